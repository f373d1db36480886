// OpenAI's messages, checked and brought to what the chat template takes: four roles, text content, tool calls with parsed
// arguments. Content parts of text are joined; images, audio and files are refused, because a model that reads text would answer
// as if it had seen them.
import type { ChatMessage, ChatToolCall } from "../models/chat-template.ts";
import { refuse, unsupported } from "./errors.ts";
import { Fields, given, isObject, kindOf } from "./fields.ts";

const mostMessages = 100_000;
const roles = ["system", "developer", "user", "assistant", "tool"] as const;

export function parseMessages(body: Fields): ChatMessage[] {
  const list = body.required("messages", body.list("messages", mostMessages));
  if (list.length === 0) throw refuse("messages", "messages is empty; send at least one message.");
  return list.map((item, index) => parseMessage(Fields.of(item, `messages[${index}]`)));
}

function parseMessage(fields: Fields): ChatMessage {
  const role = fields.required("role", fields.choice("role", roles));
  const name = fields.string("name");
  const content = parseContent(fields);
  switch (role) {
    case "system":
    case "developer":
      return { role: "system", content: fields.required("content", content), ...given("name", name) };
    case "user":
      return { role, content: fields.required("content", content), ...given("name", name) };
    case "tool": {
      const toolCallId = fields.string("tool_call_id");
      return {
        role,
        content: fields.required("content", content),
        ...given("name", name),
        ...given("toolCallId", toolCallId),
      };
    }
    case "assistant": {
      if (fields.has("function_call")) {
        throw unsupported(fields.path("function_call"), "function_call is the old form of tool_calls; send those.");
      }
      const toolCalls = parseToolCalls(fields);
      if (content === undefined && !toolCalls) {
        throw refuse(fields.path("content"), `${fields.path("content")} is missing, and there are no tool_calls.`);
      }
      return { role, ...given("content", content), ...given("name", name), ...given("toolCalls", toolCalls) };
    }
  }
}

function parseContent(fields: Fields): string | undefined {
  const content = fields.raw("content");
  if (content === undefined || typeof content === "string") return content;
  if (!Array.isArray(content)) {
    throw refuse(
      fields.path("content"),
      `${fields.path("content")} must be a string or a list of parts, not ${kindOf(content)}.`,
    );
  }
  return content.map((part: unknown, index) => parsePart(part, `${fields.path("content")}[${index}]`)).join("");
}

function parsePart(part: unknown, path: string): string {
  if (typeof part === "string") return part;
  const fields = Fields.of(part, path);
  const type = fields.required("type", fields.string("type"));
  if (type === "text" || type === "input_text" || type === "output_text")
    return fields.required("text", fields.string("text"));
  if (type === "refusal") return fields.required("refusal", fields.string("refusal"));
  throw unsupported(
    fields.path("type"),
    `This model reads text only; it cannot take a part of type "${type.slice(0, 40)}".`,
    "Send what the picture, recording or file says as text.",
  );
}

function parseToolCalls(fields: Fields): ChatToolCall[] | undefined {
  const calls = fields.list("tool_calls", 1024);
  if (!calls?.length) return undefined;
  return calls.map((item, index) => {
    const call = Fields.of(item, `${fields.path("tool_calls")}[${index}]`);
    const made = call.required("function", call.object("function"));
    const name = made.required("name", made.string("name"));
    const args = made.raw("arguments");
    if (args !== undefined && typeof args !== "string" && !isObject(args)) {
      throw refuse(made.path("arguments"), `${made.path("arguments")} must be JSON text, not ${kindOf(args)}.`);
    }
    // What a model wrote comes back as it was, byte for byte: the prefix of the conversation stays the same.
    return { name, arguments: args ?? {}, ...given("id", call.string("id")) };
  });
}
