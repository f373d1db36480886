// Takes the README's pictures of a running Quern: `node test/page/screenshots.ts http://127.0.0.1:7860`. Every answer in them is
// the model's own, to the templates' own examples.
import path from "node:path";
import { strings } from "../../web/strings.ts";
import { templates } from "../../web/templates.ts";
import { openBrowser, visit } from "./browser.ts";

const url = process.argv[2];
if (url === undefined) throw new Error("Give the address of a running Quern, such as http://127.0.0.1:7860");
const folder = path.join(import.meta.dirname, "../../docs/images");

await using browser = await openBrowser();
for (const [language, locale, colorScheme] of [
  ["en", "en-US", "light"],
  ["zh", "zh-CN", "dark"],
] as const) {
  const t = strings[language];
  await using visited = await visit(browser, url, { locale, colorScheme, viewport: { width: 1280, height: 860 } });
  const { page } = visited;
  for (const template of [...templates].reverse()) {
    await page.getByRole("button", { name: t.newChat, exact: true }).first().click();
    await page.locator(".welcome").getByRole("button", { name: template.name[language] }).click();
    await page.getByRole("button", { name: t.templateFill }).click();
    await page.getByRole("dialog").getByRole("button", { name: t.templateSend, exact: true }).click();
    await page.locator('.message.assistant[data-state="complete"]').waitFor({ timeout: 300_000 });
  }
  await page.mouse.move(900, 780);
  await page.waitForTimeout(1500); // one more look at the status
  await page.screenshot({ path: path.join(folder, `page-${language}.png`) });
}
