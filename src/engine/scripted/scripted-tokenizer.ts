// A tokenizer without a vocabulary file: a character is its own token, its Unicode code point the id. Characters beyond the basic
// plane become four byte tokens, so that text split in the middle of a character happens here as it does with real models. The
// special tokens of Qwen3's chat format have ids of their own.
import type { Prompt, PromptIds } from "../contract.ts";

const firstByteId = 0x110000;
const firstSpecialId = 0x110100;
/** Control tokens stand for no text in an answer; the tool call markers do, as in Qwen3. */
const specials = ["<|endoftext|>", "<|im_start|>", "<|im_end|>", "<tool_call>", "</tool_call>"] as const;
const textSpecials: ReadonlySet<string> = new Set(["<tool_call>", "</tool_call>"]);
const specialPattern = /(<\|endoftext\|>|<\|im_start\|>|<\|im_end\|>|<\/?tool_call>)/;

export const scriptedVocabularyTokens = firstSpecialId + specials.length;
export const scriptedEosId = firstSpecialId + 2;

const utf8 = new TextEncoder();

export function scriptedIds(text: string, special: boolean): number[] {
  const ids: number[] = [];
  for (const piece of special ? text.split(specialPattern) : [text]) {
    const place = special ? specials.indexOf(piece as (typeof specials)[number]) : -1;
    if (place >= 0) ids.push(firstSpecialId + place);
    else for (const character of piece) addCharacter(character, ids);
  }
  return ids;
}

export function scriptedPromptIds(prompt: Prompt): PromptIds {
  return prompt.kind === "tokens" ? prompt.ids : prompt.pieces.flatMap((piece) => scriptedIds(piece, true));
}

/** The bytes a token stands for; control tokens stand for none unless `special`. */
export function scriptedBytes(id: number, special: boolean): Uint8Array {
  if (id >= firstSpecialId) {
    const text = specials[id - firstSpecialId] ?? "";
    return utf8.encode(special || textSpecials.has(text) ? text : "");
  }
  if (id >= firstByteId) return Uint8Array.of(id - firstByteId);
  return utf8.encode(String.fromCodePoint(id));
}

export function scriptedText(ids: PromptIds, special: boolean): string {
  return Buffer.concat(Array.from(ids, (id) => scriptedBytes(id, special))).toString("utf8");
}

function addCharacter(character: string, ids: number[]): void {
  const codePoint = character.codePointAt(0) ?? 0;
  if (codePoint < 0x10000) ids.push(codePoint);
  else for (const byte of utf8.encode(character)) ids.push(firstByteId + byte);
}
