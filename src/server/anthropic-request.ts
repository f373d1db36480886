// An Anthropic request brought to the words of chat completions: checked under its own names, so that a refusal names the field that
// was sent. Thinking is refused, as the model does none; cache_control needs no obeying, as prefixes are always reused.
import { checkedSchema } from "./answer-format.ts";
import { refuse, unsupported } from "./errors.ts";
import { Fields, given, isObject, kindOf } from "./fields.ts";

// Claude Code begins its system prompt with a line for billing that changes with every request and would void every prefix.
const billingHeader = /^x-anthropic-billing-header:/i;

/** The request in the words of chat completions. */
export function chatBody(body: Fields): Record<string, unknown> {
  const thinking = body.object("thinking");
  if (thinking && thinking.string("type") !== "disabled") {
    throw unsupported("thinking", "This model answers without thinking first.", "Leave thinking out.");
  }
  for (const name of ["container", "mcp_servers", "context_management"]) {
    if (body.has(name)) throw unsupported(name, `${name} is not supported: Quern runs no tools of its own.`);
  }
  const stops = body.strings("stop_sequences", 64);
  if (stops?.includes("")) throw refuse("stop_sequences", "A stop sequence must not be empty.");
  const turns = body
    .required("messages", body.list("messages", 100_000))
    .flatMap((item, index) => turnOf(Fields.of(item, `messages[${index}]`)));
  const system = systemOf(body);
  return {
    ...given("model", body.raw("model")),
    messages: system === "" ? turns : [{ role: "system", content: system }, ...turns],
    ...given("stop", stops),
    ...given("temperature", body.number("temperature", 0, 1)),
    ...given("top_p", body.raw("top_p")),
    ...given("top_k", body.raw("top_k")),
    ...given("json_schema", schemaOf(body)),
    ...toolFields(body),
  };
}

/** The schema of `output_config.format`, or of `output_format` as it was called before. */
function schemaOf(body: Fields): unknown {
  const config = body.object("output_config");
  if (config?.has("effort")) throw unsupported("output_config.effort", "This model has no effort to choose.");
  const format = config?.object("format") ?? body.object("output_format");
  if (!format) return undefined;
  format.required("type", format.choice("type", ["json_schema"]));
  return checkedSchema(format.required("schema", format.raw("schema")), format.path("schema"));
}

function systemOf(body: Fields): string {
  const system = body.raw("system");
  if (system === undefined) return "";
  if (typeof system === "string") return system;
  return textsOf(system, "system")
    .filter((text) => !billingHeader.test(text))
    .join("\n");
}

/** One message of theirs is one or more of ours: results of tools stand in messages of their own. */
function turnOf(fields: Fields): Record<string, unknown>[] {
  const role = fields.required("role", fields.choice("role", ["user", "assistant"]));
  const content = fields.required("content", fields.raw("content"));
  if (typeof content === "string") return [{ role, content }];
  const path = fields.path("content");
  if (!Array.isArray(content))
    throw refuse(path, `${path} must be a text or a list of blocks, not ${kindOf(content)}.`);
  const results: Record<string, unknown>[] = [];
  const calls: unknown[] = [];
  const texts: string[] = [];
  for (const [index, item] of content.entries()) {
    const block = Fields.of(item, `${path}[${index}]`);
    const type = block.required("type", block.string("type"));
    if (type === "text") texts.push(block.required("text", block.string("text")));
    else if (type === "tool_use" && role === "assistant") calls.push(callOf(block));
    else if (type === "tool_result" && role === "user") results.push(resultOf(block));
    else if (!(role === "assistant" && (type === "thinking" || type === "redacted_thinking"))) {
      throw unsupported(
        block.path("type"),
        `A block of type "${type.slice(0, 40)}" is not supported in a message of the ${role}; this model reads text.`,
      );
    }
  }
  const text = texts.join("");
  if (role === "user") return text === "" && results.length > 0 ? results : [...results, { role, content: text }];
  return [
    {
      role,
      content: text === "" && calls.length > 0 ? null : text,
      ...(calls.length > 0 ? { tool_calls: calls } : {}),
    },
  ];
}

function callOf(block: Fields): object {
  const input = block.raw("input") ?? {};
  if (!isObject(input))
    throw refuse(block.path("input"), `${block.path("input")} must be an object, not ${kindOf(input)}.`);
  return {
    id: block.string("id"),
    type: "function",
    function: { name: block.required("name", block.string("name")), arguments: JSON.stringify(input) },
  };
}

function resultOf(block: Fields): Record<string, unknown> {
  const id = block.required("tool_use_id", block.string("tool_use_id"));
  const content = block.raw("content");
  const text =
    content === undefined || typeof content === "string"
      ? (content ?? "")
      : textsOf(content, block.path("content")).join("");
  return { role: "tool", tool_call_id: id, content: block.boolean("is_error") ? `Error: ${text}` : text };
}

function textsOf(blocks: unknown, path: string): string[] {
  if (!Array.isArray(blocks)) throw refuse(path, `${path} must be a text or a list of blocks, not ${kindOf(blocks)}.`);
  return blocks.map((item, index) => {
    const block = Fields.of(item, `${path}[${index}]`);
    const type = block.required("type", block.string("type"));
    if (type !== "text")
      throw unsupported(
        block.path("type"),
        `A block of type "${type.slice(0, 40)}" is not supported here; this model reads text.`,
      );
    return block.required("text", block.string("text"));
  });
}

function toolFields(body: Fields): Record<string, unknown> {
  const tools = body.list("tools", 1024)?.map((item, index) => {
    const tool = Fields.of(item, `tools[${index}]`);
    const type = tool.string("type");
    if (type !== undefined && type !== "custom")
      throw unsupported(
        tool.path("type"),
        `A tool of type "${type.slice(0, 40)}" is not supported; only your own are.`,
      );
    return {
      type: "function",
      function: {
        name: tool.required("name", tool.string("name")),
        ...given("description", tool.string("description")),
        parameters: tool.required("input_schema", tool.object("input_schema")).values,
      },
    };
  });
  const choice = body.object("tool_choice");
  const type = choice?.required("type", choice.choice("type", ["auto", "any", "tool", "none"]));
  return {
    ...given("tools", tools),
    ...given("tool_choice", type === undefined ? undefined : chosen(type, choice)),
    ...(choice?.boolean("disable_parallel_tool_use") ? { parallel_tool_calls: false } : {}),
  };
}

function chosen(type: "auto" | "any" | "tool" | "none", choice: Fields | undefined): unknown {
  if (type !== "tool") return type === "any" ? "required" : type;
  return { type: "function", function: { name: choice?.required("name", choice.string("name")) } };
}
