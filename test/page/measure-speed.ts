// Milliseconds that a person feels, in Chromium on this machine: until one can write, of a long paste, from a token's arrival to the screen, and of typing while
// an answer is written below 500 messages. Run on a quiet machine: node test/page/measure-speed.ts
import { openBrowser, pasteInto, visit } from "./browser.ts";
import { openPageServer } from "./page-server.ts";
import { numberedWords, seenWords, watchTokens } from "./watch-tokens.ts";

const at = (values: readonly number[], share: number): number =>
  values.toSorted((a, b) => a - b)[Math.min(values.length - 1, Math.floor(share * values.length))] ?? Number.NaN;
const rows: [string, string][] = [];
const report = (name: string, values: readonly number[]): void =>
  void rows.push([name, [0.5, 0.95, 1].map((share) => `${at(values, share).toFixed(0)} ms`).join(" / ")]);

await using server = await openPageServer({
  answer: () => numberedWords(600),
  tokensPerSecond: 60,
  contextTokens: 400_000,
});
await using browser = await openBrowser();

const ready: number[] = [];
for (let round = 0; round < 7; round++) {
  await using visited = await visit(browser, server.url);
  await visited.page.addInitScript(`addEventListener("input", () => requestAnimationFrame(() =>
    requestAnimationFrame(() => (globalThis.wroteAt ??= performance.now()))), true)`);
  await visited.page.reload({ waitUntil: "commit" });
  await visited.page.locator(".composer textarea").pressSequentially("x");
  await visited.page.waitForTimeout(200);
  ready.push(await visited.page.evaluate<number>("globalThis.wroteAt"));
}
report("load to a typed letter on the screen", ready);

await using visited = await visit(browser, server.url);
const { page } = visited;
await page.evaluate(`{
  document.querySelector(".composer textarea").addEventListener("paste", () => {
    const from = performance.now();
    requestAnimationFrame(() => setTimeout(() => (globalThis.pastedMs = performance.now() - from)));
  }, true);
}`);
await pasteInto(page, {
  "text/plain": Array.from({ length: 20_000 }, (_, n) => `line ${n} of a long paste`).join("\n"),
});
await page.locator(".composer .chip").waitFor();
report("20,000 pasted lines to the end of their frame", [await page.evaluate<number>("globalThis.pastedMs")]);
const { conversations } = server.door.workspace;
const { id } = conversations.create({ title: "Long one" });
let parentId: string | undefined;
for (let n = 0; n < 500; n++) {
  const content = `Message number ${n}.\n\n- ${"Some **words** to fill it. ".repeat(n % 17)}\n\n| a | b |\n|---|---|\n| ${n} | 2 |`;
  const role = n % 2 ? "assistant" : "user";
  parentId = conversations.add({ conversationId: id, role, content, ...(parentId ? { parentId } : {}) }).id;
}
await watchTokens(page);
await page.getByRole("button", { name: "Long one", exact: true }).click();
await page.getByText("Message number 499.").waitFor();
await page.evaluate(`{
  globalThis.longTasks = [];
  globalThis.keyTimes = [];
  new PerformanceObserver((list) => longTasks.push(...list.getEntries().map(({ duration }) => duration))).observe({ type: "longtask" });
  document.querySelector(".composer textarea").addEventListener("beforeinput", () => {
    const from = performance.now();
    requestAnimationFrame(() => setTimeout(() => keyTimes.push(performance.now() - from)));
  });
}`);
await page.locator(".composer textarea").fill("count");
await page.keyboard.press("Enter");
await page.locator('.message.assistant[data-state="running"]').waitFor();
await page.locator(".composer textarea").pressSequentially("typing while the answer is written below ".repeat(3), {
  delay: 50,
});
report(
  "a letter to the end of its frame, while an answer is written below 500 messages",
  await page.evaluate("keyTimes"),
);
const long = await page.evaluate<number[]>("longTasks");
rows.push([
  "tasks over 50 ms meanwhile",
  `${long.length}${long.length > 0 ? `, longest ${Math.max(...long)} ms` : ""}`,
]);
await page.locator('.message.assistant[data-state="running"]').waitFor({ state: "detached" });
const seen = await seenWords(page);
report(
  "a token's arrival to the document",
  seen.map(({ ms }) => ms),
);
const soon = seen.filter(({ frames }) => frames <= 1).length;
rows.push(["tokens shown with the next frame", `${soon} of ${seen.length}`]);
console.log("median / 95 % / worst");
for (const [name, value] of rows) console.log(`${name.padEnd(82)} ${value}`);
