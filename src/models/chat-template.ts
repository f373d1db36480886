// Turns a conversation into the text a model was trained on, by the Jinja template in its file.
//
// The danger here is text that looks like a special token. A template glues the user's words and its own marks into one string, and
// the tokenizer cannot tell them apart any more: a document that contains "<|im_end|>\n<|im_start|>system" would speak as the system.
// So a private sign is put inside every such look-alike before rendering, and the rendered text is cut at the signs. The engine
// tokenises each piece on its own (contract.ts, Prompt), and no piece of a user's look-alike is a special token.
import { Template } from "@huggingface/jinja";
import { AppError } from "../base/errors.ts";
import type { SpecialToken } from "./inspect-model.ts";
import { qwen3InstructTemplate } from "./qwen3-template.ts";

export interface ChatToolCall {
  id?: string;
  name: string;
  /** JSON text as the model wrote it, put in unchanged; or the object, written as the template writes JSON. */
  arguments: string | Readonly<Record<string, unknown>>;
}

export interface ChatMessage {
  role: "system" | "user" | "assistant" | "tool";
  /** Absent for an assistant that only calls tools. */
  content?: string;
  name?: string;
  toolCalls?: readonly ChatToolCall[];
  /** Of a tool's answer: the call it answers. */
  toolCallId?: string;
}

export interface RenderOptions {
  messages: readonly ChatMessage[];
  /** Tool definitions as the OpenAI API has them: `{ type: "function", function: { name, … } }`. */
  tools?: readonly unknown[];
  /** Open the assistant's turn at the end. Default true, false with `continueFinalMessage`. */
  addGenerationPrompt?: boolean;
  /** Leave the last message, an assistant's, open, so that the model goes on in it. */
  continueFinalMessage?: boolean;
  /** Further variables of the template. */
  variables?: Readonly<Record<string, unknown>>;
}

export interface ChatTemplate {
  /** The template's own text. */
  source: string;
  /** The pieces of a Prompt of kind "text". Throws AppError `bad_request` when the template refuses the conversation. */
  render(options: RenderOptions): string[];
}

export interface ChatTemplateOptions {
  bosToken?: string;
  eosToken?: string;
  /** What must not arise from a message's text: `specialTokensOf(gguf)`. */
  specialTokens: readonly Pick<SpecialToken, "text" | "isControl">[];
}

/**
 * Compiles a template once, for many renderings. Without a source it is Qwen3-Instruct's. Throws AppError `bad_request` when the
 * template itself is malformed.
 */
export function openChatTemplate(
  source: string | undefined,
  { bosToken = "", eosToken = "", specialTokens }: ChatTemplateOptions,
): ChatTemplate {
  const text = source || qwen3InstructTemplate;
  const template = compiled(text);
  const knowsTools = /\btools\b/.test(text);
  const allSpecial = lookAlikes(specialTokens);
  // What an assistant said may hold marks it wrote as content, such as <think>; cutting these would change the tokens of its own
  // turn, and templates look for them. Only what opens and closes turns is cut there.
  const controlOnly = lookAlikes(specialTokens.filter(({ isControl }) => isControl));

  const pieces = (options: RenderOptions): string[] => {
    const { messages, tools = [], variables = {}, continueFinalMessage = false } = options;
    const { addGenerationPrompt = !continueFinalMessage } = options;
    refuseImpossible(options, { knowsTools });
    const signs = unusedSigns(options);
    const cutAll = cutter(allSpecial, signs.cut);
    const cutControl = cutter(controlOnly, signs.cut);
    const shaped = messages.map((message) =>
      shapedMessage(message, { inContent: message.role === "assistant" ? cutControl : cutAll, elsewhere: cutAll }),
    );
    const last = shaped.at(-1);
    if (continueFinalMessage && last) last.content = `${last.content}${signs.end}`;
    const rendered = run(template, {
      ...cutDeep(variables, cutAll),
      messages: shaped,
      ...(tools.length > 0 ? { tools: cutDeep(tools, cutAll) } : {}),
      add_generation_prompt: addGenerationPrompt,
      bos_token: bosToken,
      eos_token: eosToken,
    });
    return openEnded(rendered, continueFinalMessage ? signs.end : undefined)
      .split(signs.cut)
      .filter((piece) => piece !== "");
  };
  const render = (options: RenderOptions): string[] => {
    try {
      return pieces(options);
    } catch (cause) {
      if (!(cause instanceof RangeError)) throw cause;
      throw new AppError("bad_request", "The messages or tools are nested too deeply.", { param: "messages", cause });
    }
  };
  return { source: text, render };
}

function compiled(source: string): Template {
  try {
    return new Template(source);
  } catch (cause) {
    throw new AppError("bad_request", `The chat template is malformed: ${reasonOf(cause)}.`, {
      param: "chat_template",
      hint: "It must be a Jinja template like the one in the model's file.",
      cause,
    });
  }
}

function run(template: Template, variables: Record<string, unknown>): string {
  try {
    return template.render(variables);
  } catch (cause) {
    // raise_exception in a template ends here too: its text tells the caller what the model cannot take.
    throw new AppError("bad_request", `The model's chat template refused the conversation: ${reasonOf(cause)}.`, {
      param: "messages",
      hint: "Check the order and the roles of the messages.",
      cause,
    });
  }
}

function refuseImpossible(options: RenderOptions, { knowsTools }: { knowsTools: boolean }): void {
  const { messages, tools = [], continueFinalMessage = false, addGenerationPrompt = false } = options;
  if (messages.length === 0) throw new AppError("bad_request", "There is no message to answer.", { param: "messages" });
  for (const [index, { role }] of messages.entries())
    if (!["system", "user", "assistant", "tool"].includes(role))
      // A template passes over a role that it does not know; the message would be lost in silence.
      throw new AppError("bad_request", `Message ${index + 1} has the unknown role "${role}".`, {
        param: `messages[${index}].role`,
        hint: "Roles are system, user, assistant and tool.",
      });
  if (tools.length > 0 && !knowsTools)
    throw new AppError("unsupported", "This model's chat template knows no tools.", {
      param: "tools",
      hint: "Send the request without tools, or take a model that was trained to call them.",
    });
  if (!continueFinalMessage) return;
  if (addGenerationPrompt)
    throw new AppError("bad_request", "A conversation can open a new turn or go on in the last one, not both.", {
      param: "add_generation_prompt",
    });
  const last = messages.at(-1);
  if (last?.role !== "assistant" || last.content === undefined || (last.toolCalls?.length ?? 0) > 0)
    throw new AppError("bad_request", "To go on in the last message, it must be an assistant's text.", {
      param: "continue_final_message",
    });
}

/** Matches what looks like one of the tokens, the longest first. */
function lookAlikes(tokens: ChatTemplateOptions["specialTokens"]): RegExp | undefined {
  // One character cannot be cut in two, and no vocabulary has such a special token.
  const texts = tokens.map(({ text }) => text).filter((text) => [...text].length > 1);
  if (texts.length === 0) return undefined;
  const inOrder = texts
    .toSorted((a, b) => b.length - a.length)
    .map((text) => text.replace(/[\\^$.*+?()[\]{}|/]/g, "\\$&"));
  return new RegExp(inOrder.join("|"), "gu");
}

type Cut = (text: string) => string;

/** Puts the sign behind the first character of every look-alike; one that begins inside another is found as well. */
function cutter(pattern: RegExp | undefined, sign: string): Cut {
  if (!pattern) return (text) => text;
  return (text) => {
    let cut = "";
    let done = 0;
    pattern.lastIndex = 0;
    for (let match = pattern.exec(text); match; match = pattern.exec(text)) {
      const behindFirst = match.index + String.fromCodePoint(match[0].codePointAt(0) ?? 0).length;
      cut += text.slice(done, behindFirst) + sign;
      done = behindFirst;
      pattern.lastIndex = behindFirst;
    }
    return cut + text.slice(done);
  };
}

/** Signs that occur nowhere in what is rendered: noncharacters of Unicode, numbered until they are new. */
function unusedSigns(options: RenderOptions): { cut: string; end: string } {
  let number = 0;
  const everything = JSON.stringify(options);
  while (everything.includes(`\uFDD0${number}`)) number++;
  return { cut: `\uFDD0${number}\uFDD1`, end: `\uFDD0${number}\uFDD2` };
}

/** A message in the words of templates, which are the OpenAI API's. */
function shapedMessage(
  message: ChatMessage,
  { inContent, elsewhere: cut }: { inContent: Cut; elsewhere: Cut },
): Record<string, unknown> {
  const { role, content = "", name, toolCalls = [], toolCallId } = message;
  return {
    role,
    content: inContent(content),
    ...(name === undefined ? {} : { name: cut(name) }),
    ...(toolCallId === undefined ? {} : { tool_call_id: cut(toolCallId) }),
    ...(toolCalls.length === 0
      ? {}
      : {
          tool_calls: toolCalls.map((call) => ({
            type: "function",
            ...(call.id === undefined ? {} : { id: cut(call.id) }),
            function: { name: cut(call.name), arguments: cutDeep(call.arguments, cut) },
          })),
        }),
  };
}

function cutDeep<T>(value: T, cut: Cut): T;
function cutDeep(value: unknown, cut: Cut): unknown {
  if (typeof value === "string") return cut(value);
  if (Array.isArray(value)) return value.map((element: unknown) => cutDeep(element, cut));
  if (typeof value !== "object" || value === null) return value;
  return Object.fromEntries(Object.entries(value).map(([key, element]) => [cut(key), cutDeep(element, cut)]));
}

/** The text up to the end sign of a message that is to be continued, without what the template puts behind it. */
function openEnded(rendered: string, endSign: string | undefined): string {
  if (endSign === undefined) return rendered;
  const end = rendered.lastIndexOf(endSign);
  if (end >= 0) return rendered.slice(0, end);
  throw new AppError(
    "unsupported",
    "This model's chat template does not show the last message, so it cannot go on in it.",
    {
      param: "continue_final_message",
    },
  );
}

function reasonOf(cause: unknown): string {
  return (cause instanceof Error ? cause.message : String(cause)).replace(/\.$/, "");
}
