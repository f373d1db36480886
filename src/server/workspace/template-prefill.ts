// At start the fixed beginnings of the templates are taken into the engine's memory, so that the first token of a template's answer comes
// from there. Like all background work it ends when an answer begins.
import type { Log } from "../../base/log.ts";
import { builtInTemplates } from "../../workspace/template-list.ts";
import { fixedBeginning } from "../../workspace/template-text.ts";
import type { Api } from "../api.ts";
import { given } from "../fields.ts";
import { toGenerateRequest } from "./branch-request.ts";
import type { WorkspaceDoor } from "./workspace-door.ts";

/**
 * Prefills the fixed beginning of each of Quern's templates, one after another at the lowest priority. An answer that begins meanwhile
 * puts it off to the next. Resolves with how many are in; a failure is logged and ends it, for the templates work without.
 */
export async function prefillTemplates(api: Api, door: WorkspaceDoor, log: Log): Promise<number> {
  let count = 0;
  try {
    for (const { zh, en } of builtInTemplates) {
      for (const { system, prompt } of [zh, en]) {
        const text = fixedBeginning(prompt).trimEnd();
        if (door.leaving.aborted) return count;
        const request = await toGenerateRequest(api, {
          settings: { ...given("systemPrompt", system) },
          turns: [{ role: "user", content: text }],
          more: { max_tokens: 0, priority: "background", add_generation_prompt: false },
        });
        await door.background.run("templates", door.leaving, async (signal) => {
          for await (const event of api.engine.generate(
            { ...request, id: `template-${crypto.randomUUID()}` },
            { signal },
          )) {
            if (event.type === "done" && event.reason !== "aborted") count++;
          }
        });
      }
    }
  } catch (error) {
    log.warn("templates not prefilled", { count, error: error instanceof Error ? error.message : String(error) });
  }
  return count;
}
