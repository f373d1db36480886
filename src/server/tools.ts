// Tools of a chat request: what goes into the prompt, and how far the model is held to calling one.
//
// "auto" leaves the model free and finds its calls in the text. "required" and a named tool put Qwen3's opening tag at the end of
// the prompt and hold the answer to a JSON schema of one call: no answer but a valid call is possible, on every engine, because
// it is the same JSON schema machinery as response_format.
import type { Grammar } from "../engine/contract.ts";
import { checkedSchema } from "./answer-format.ts";
import { refuse, unsupported } from "./errors.ts";
import { Fields, isObject } from "./fields.ts";

export interface Tool {
  name: string;
  description?: string;
  parameters: unknown;
  /** As sent, for the template. */
  definition: unknown;
}

export interface ToolUse {
  /** Tools the prompt shows. */
  tools: Tool[];
  /** Set when the answer must be a call: the grammar of it. The prompt then ends with the opening tag. */
  forced?: Grammar;
  /** At most one call (`parallel_tool_calls: false`). */
  single: boolean;
}

/** Undefined when the model is to see no tools: none were sent, or tool_choice is "none". */
export function parseToolUse(body: Fields): ToolUse | undefined {
  const tools = parseTools(body);
  const single = body.boolean("parallel_tool_calls") === false;
  if (body.boolean("parse_tool_calls") === false) {
    throw unsupported(
      "parse_tool_calls",
      "Tool calls are always parsed.",
      'Send tool_choice "none", or put the tools into your own prompt.',
    );
  }
  const choice = parseToolChoice(body);
  if (choice === "none") return undefined;
  if (tools.length === 0) {
    if (choice === undefined || choice === "auto") return undefined;
    throw refuse("tool_choice", "tool_choice asks for a call, but there are no tools.");
  }
  if (choice === undefined || choice === "auto") return { tools, single };
  const callable = choice === "required" ? tools : tools.filter((tool) => tool.name === choice.name);
  if (callable.length === 0 && typeof choice === "object") {
    throw refuse("tool_choice", `tool_choice names "${choice.name.slice(0, 64)}", which is not among the tools.`);
  }
  return { tools, single: true, forced: callGrammar(callable) };
}

type ToolChoice = "none" | "auto" | "required" | { name: string } | undefined;

function parseToolChoice(body: Fields): ToolChoice {
  const value = body.raw("tool_choice");
  if (value === undefined || value === "none" || value === "auto" || value === "required") return value;
  if (typeof value === "string")
    throw refuse("tool_choice", 'tool_choice must be "none", "auto", "required" or name a function.');
  const choice = Fields.of(value, "tool_choice");
  const type = choice.required("type", choice.string("type"));
  if (type !== "function") {
    throw unsupported(
      choice.path("type"),
      `tool_choice of type "${type.slice(0, 40)}" is not supported; name a function.`,
    );
  }
  const named = choice.required("function", choice.object("function"));
  return { name: named.required("name", named.string("name")) };
}

function parseTools(body: Fields): Tool[] {
  const names = new Set<string>();
  return (body.list("tools", 1024) ?? []).map((item, index) => {
    const tool = Fields.of(item, `tools[${index}]`);
    const type = tool.required("type", tool.string("type"));
    if (type !== "function") {
      throw unsupported(
        tool.path("type"),
        `A tool of type "${type.slice(0, 40)}" is not supported; only functions are.`,
      );
    }
    const made = tool.required("function", tool.object("function"));
    const name = made.required("name", made.string("name"));
    if (!/^[\w.:-]{1,128}$/.test(name)) {
      throw refuse(
        made.path("name"),
        `${made.path("name")} must be 1 to 128 letters, digits, dots, colons, dashes or underscores.`,
      );
    }
    if (names.has(name)) throw refuse(made.path("name"), `Two tools are named "${name}".`);
    names.add(name);
    const description = made.string("description");
    made.boolean("strict"); // forced calls always follow their schema
    const parameters = checkedSchema(
      made.raw("parameters") ?? { type: "object", properties: {} },
      made.path("parameters"),
    );
    return { name, ...(description === undefined ? {} : { description }), parameters, definition: item };
  });
}

/** One call: {"name": …, "arguments": …}, the arguments as the tool's own schema has them. */
function callGrammar(tools: readonly Tool[]): Grammar {
  const definitions: Record<string, unknown> = {};
  const calls = tools.map(({ name, parameters }, index) => ({
    type: "object",
    properties: { name: { const: name }, arguments: hoisted(parameters, `tool${index}_`, definitions) },
    required: ["name", "arguments"],
    additionalProperties: false,
  }));
  const schema = calls.length === 1 ? { ...calls[0] } : { anyOf: calls };
  return {
    kind: "json_schema",
    schema: Object.keys(definitions).length === 0 ? schema : { ...schema, $defs: definitions },
  };
}

/** A schema that is to stand within another: its definitions move to the outer one under a prefix, its references follow. */
function hoisted(schema: unknown, prefix: string, definitions: Record<string, unknown>): unknown {
  const rewritten = (value: unknown): unknown => {
    if (Array.isArray(value)) return value.map(rewritten);
    if (!isObject(value)) return value;
    return Object.fromEntries(
      Object.entries(value).map(([key, item]) => {
        const local =
          key === "$ref" && typeof item === "string" ? /^#\/(?:\$defs|definitions)\/(.+)$/.exec(item) : null;
        return [key, local ? `#/$defs/${prefix}${local[1]}` : rewritten(item)];
      }),
    );
  };
  if (!isObject(schema)) return schema;
  const { $defs, definitions: older, ...rest } = schema;
  for (const group of [$defs, older]) {
    if (!isObject(group)) continue;
    for (const [name, definition] of Object.entries(group)) definitions[prefix + name] = rewritten(definition);
  }
  return rewritten(rest);
}
