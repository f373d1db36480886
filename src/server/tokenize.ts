// POST /tokenize and /detokenize in vLLM's and llama.cpp's words: {"prompt"} or {"content"} or {"messages"} in, tokens out, and back.
import { type Api, type ApiContext, assertModel, bodyOf } from "./api.ts";
import { parseJsonFields } from "./body.ts";
import { parseMessages } from "./chat-messages.ts";
import { refuse } from "./errors.ts";
import { either, isObject } from "./fields.ts";

const mostTokens = 10_000_000;

export async function tokenize(context: ApiContext, api: Api): Promise<Response> {
  const body = parseJsonFields(await bodyOf(context, api));
  assertModel(api, body.string("model"));
  const special = body.boolean("parse_special") ?? true;
  const withPieces = either(body, ["with_pieces", "return_token_strs"], (name) => body.boolean(name)) ?? false;
  const countOnly = body.boolean("count_only") ?? false;
  if (countOnly && withPieces) throw refuse("count_only", "count_only leaves out what with_pieces asks for.");
  const text = either(body, ["prompt", "content", "text"], (name) => body.string(name));
  if (text === undefined && !body.has("messages"))
    throw refuse("prompt", "prompt is missing; send a text, or messages.");
  if (text !== undefined && body.has("messages")) throw refuse("messages", "Send prompt or messages, not both.");
  const pieces =
    text === undefined
      ? api.template.render({
          messages: parseMessages(body),
          tools: (body.list("tools", 1024) ?? []).filter(isObject),
          addGenerationPrompt: body.boolean("add_generation_prompt") ?? true,
        })
      : [text];
  const isTemplate = text === undefined;
  const tokens = (
    await Promise.all(pieces.map((piece) => api.engine.tokenize(piece, { special: special || isTemplate })))
  ).flat();
  const counted = { count: tokens.length, max_model_len: api.engine.status().contextTokens };
  if (countOnly) return context.json(counted);
  const texts = withPieces
    ? await Promise.all(tokens.map((id) => api.engine.detokenize([id], { special: true })))
    : undefined;
  return context.json({ ...counted, tokens, ...(texts ? { token_strs: texts } : {}) });
}

export async function detokenize(context: ApiContext, api: Api): Promise<Response> {
  const body = parseJsonFields(await bodyOf(context, api));
  assertModel(api, body.string("model"));
  const most = api.engine.status().model.vocabularyTokens - 1;
  const tokens = body.required("tokens", body.tokenIds("tokens", { most, mostItems: mostTokens }));
  const text = await api.engine.detokenize([...tokens], { special: body.boolean("special") ?? true });
  // Two names for one text: vLLM's and llama.cpp's.
  return context.json({ prompt: text, content: text });
}
