// The ready-made instructions of /v1/qwen3/instruct: a name in the query, a system prompt for the model. They are the `instruction`
// of the templates that come with Quern (workspace/template-list.ts), under their Chinese names and their ids; short, because every
// request pays for them once per prefix, and the body stays the user's material.
import { builtInTemplates } from "../workspace/template-list.ts";
import { refuse } from "./errors.ts";

const named = builtInTemplates.flatMap(({ id, zh }) =>
  zh.instruction === undefined ? [] : [{ id, name: zh.name, prompt: zh.instruction }],
);
const prompts = new Map([
  ...named.map(({ name, prompt }) => [name, prompt] as const),
  ...named.map(({ id, prompt }) => [id, prompt] as const),
]);

export const templateNames: readonly string[] = [...prompts.keys()];

/** The system prompt of a template. */
export function templatePrompt(name: string, param: string): string {
  const prompt = prompts.get(name);
  if (prompt !== undefined) return prompt;
  throw refuse(param, `There is no template "${name.slice(0, 40)}".`, `There are ${templateNames.join(", ")}.`);
}
