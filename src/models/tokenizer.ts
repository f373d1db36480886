// Text to token ids and back: the byte-level BPE of GGUF files with `tokenizer.ggml.model = gpt2` and `pre = qwen2`, which is what
// every Qwen2 and Qwen3 file carries. Text is taken as it is: no Unicode normalisation (as in llama.cpp), so that what was written
// comes back byte for byte. A lone surrogate cannot be written in UTF-8 and becomes U+FFFD.
//
// Merging works on ids: each pair of neighbours looks up its rank in one hash table, a heap yields the lowest rank, leftmost first,
// and a linked list takes the merge; n log n for a word of any length. Words met before come out of a bounded cache.
import { AppError } from "../base/errors.ts";
import { wordEnd } from "./pretokenize.ts";

export interface Tokenizer {
  readonly vocabularyTokens: number;
  /** The vocabulary as the file spells it: byte-level characters for normal tokens, plain text for special ones. */
  readonly tokens: readonly string[];
  /** Ids of a text. `special`: text that spells a special token becomes that token (default false: it is only text). */
  encode(text: string, options?: { special?: boolean }): Int32Array;
  /**
   * The same ids in parts of about a thousand, so that a caller with other work can do it between them. `from` (default 0) must be
   * the beginning of a word or of a special token.
   */
  encodeParts(text: string, options?: { special?: boolean; from?: number }): Iterable<EncodedPart>;
  /** Characters of the longest special token. */
  readonly longestSpecial: number;
  /** Text of ids, whole characters; what is no UTF-8 becomes U+FFFD. `special`: spell control tokens out (default: they are ""). */
  decode(ids: Iterable<number>, options?: { special?: boolean }): string;
  /** The bytes one token stands for; a character may be spread over several tokens. A view: do not write to it. */
  tokenBytes(id: number, options?: { special?: boolean }): Uint8Array;
  /** Whether the token is a mark (`<|im_end|>`), not text. `<tool_call>` and its like are special to encode, but are text. */
  isControl(id: number): boolean;
  /** The id of a special token by its text. */
  specialId(text: string): number | undefined;
}

/** Ids of the stretch of text that ends before character `end`, at the end of a word or of a special token. */
export interface EncodedPart {
  ids: Int32Array;
  end: number;
}

type Metadata = Pick<ReadonlyMap<string, unknown>, "get">;

const controlType = 3;
const userDefinedType = 4;
const unusedType = 5;
const noBytes = new Uint8Array(0);
const partTokens = 1024;
const cachedWords = 65_536;
const cachedWordLength = 24;

/** Builds the tokenizer a GGUF file describes. Throws AppError: `unsupported` for another kind, `unreadable` when parts are missing or damaged. */
export function openTokenizer(metadata: Metadata): Tokenizer {
  const model = metadata.get("tokenizer.ggml.model");
  const pre = metadata.get("tokenizer.ggml.pre");
  if (model !== "gpt2" || pre !== "qwen2") {
    throw new AppError(
      "unsupported",
      `The file's tokenizer is "${String(model)}" with pre-tokenizer "${String(pre)}".`,
      {
        hint: "Quern reads the byte-level BPE of the Qwen2 and Qwen3 families: gpt2 with qwen2.",
      },
    );
  }
  return new ByteLevelBpe(
    stringsOf(metadata, "tokenizer.ggml.tokens"),
    stringsOf(metadata, "tokenizer.ggml.merges"),
    typesOf(metadata),
  );
}

function stringsOf(metadata: Metadata, key: string): readonly string[] {
  const value = metadata.get(key);
  if (Array.isArray(value) && value.length > 0 && value.every((item) => typeof item === "string")) return value;
  throw new AppError("unreadable", `The file's ${key} is missing or is no list of texts.`);
}

function typesOf(metadata: Metadata): ArrayLike<number> {
  const value = metadata.get("tokenizer.ggml.token_type");
  if (value instanceof Int32Array || Array.isArray(value)) return value;
  throw new AppError("unreadable", "The file's tokenizer.ggml.token_type is missing or is no list of numbers.");
}

class ByteLevelBpe implements Tokenizer {
  readonly tokens: readonly string[];
  readonly longestSpecial: number;
  readonly #types: ArrayLike<number>;
  readonly #merges: MergeTable;
  /** Id of each single byte. */
  readonly #byteIds = new Int32Array(256);
  readonly #specialIds = new Map<string, number>();
  readonly #specialPattern: RegExp | undefined;
  // Bytes of all tokens end to end; token i is bytes[starts[i]..starts[i+1]).
  readonly #bytes: Uint8Array;
  readonly #starts: Int32Array;
  readonly #cache = new Map<string, Int32Array>();
  readonly #word = new WordMerger();

  constructor(tokens: readonly string[], merges: readonly string[], types: ArrayLike<number>) {
    if (types.length !== tokens.length) {
      throw new AppError("unreadable", `The file lists ${tokens.length} tokens and ${types.length} token types.`);
    }
    this.tokens = tokens;
    this.#types = types;
    const ids = new Map<string, number>();
    for (let id = 0; id < tokens.length; id++) {
      const text = tokens[id] ?? "";
      const type = types[id];
      if (type === controlType || type === userDefinedType) this.#specialIds.set(text, id);
      else ids.set(text, id);
    }
    for (let byte = 0; byte < 256; byte++) {
      const id = ids.get(byteCharacters[byte] ?? "");
      if (id === undefined) throw new AppError("unreadable", `The file's vocabulary has no token for byte ${byte}.`);
      this.#byteIds[byte] = id;
    }
    this.#merges = new MergeTable(merges, ids);
    const specials = [...this.#specialIds.keys()].filter((text) => text !== "").sort((a, b) => b.length - a.length);
    this.longestSpecial = specials[0]?.length ?? 0;
    if (specials.length > 0) {
      this.#specialPattern = new RegExp(
        specials.map((text) => text.replace(/[\\^$.*+?()[\]{}|]/g, "\\$&")).join("|"),
        "g",
      );
    }
    [this.#bytes, this.#starts] = bytesOfAll(tokens, types);
  }

  get vocabularyTokens(): number {
    return this.tokens.length;
  }

  encode(text: string, options: { special?: boolean } = {}): Int32Array {
    const out = new IdList(Math.ceil(text.length / 2) + 8);
    for (const { ids } of this.#parts(text, { ...options, partTokens: Number.POSITIVE_INFINITY })) out.pushAll(ids);
    return out.taken();
  }

  *encodeParts(
    text: string,
    options: { special?: boolean; from?: number } = {},
  ): Generator<EncodedPart, void, undefined> {
    for (const { ids, end } of this.#parts(text, { ...options, partTokens })) yield { ids: ids.slice(), end };
  }

  /** Parts of about `partTokens` ids, which are a view that is good until the next part. */
  *#parts(
    text: string,
    { special = false, from = 0, partTokens }: { special?: boolean; from?: number; partTokens: number },
  ): Generator<EncodedPart, void, undefined> {
    const out = new IdList(1024);
    for (const { start: runStart, run, id } of this.#runs(text, special, from)) {
      for (let start = 0; start < run.length; ) {
        start = this.#encodeWord(run, start, out);
        if (out.count < partTokens) continue;
        yield { ids: out.view(), end: runStart + start };
        out.clear();
      }
      if (id !== undefined) out.push(id);
    }
    yield { ids: out.view(), end: text.length };
  }

  /** The stretches of text between special tokens, each with the id of the one behind it. A cut is the end of the text for the words before it. */
  *#runs(
    text: string,
    special: boolean,
    from: number,
  ): Generator<{ start: number; run: string; id?: number }, void, undefined> {
    let start = from;
    const rest = text.slice(from);
    if (special && this.#specialPattern) {
      for (const match of rest.matchAll(this.#specialPattern)) {
        yield { start, run: text.slice(start, from + match.index), id: this.#specialIds.get(match[0]) ?? 0 };
        start = from + match.index + match[0].length;
      }
    }
    yield { start, run: text.slice(start) };
  }

  /** Encodes the word at `start`; returns its end. */
  #encodeWord(text: string, start: number, out: IdList): number {
    const end = wordEnd(text, start);
    if (end - start > cachedWordLength) {
      out.pushAll(this.#merge(text, start, end));
      return end;
    }
    const word = text.slice(start, end);
    let ids = this.#cache.get(word);
    if (ids === undefined) {
      ids = this.#merge(text, start, end).slice();
      // Dropping all of it keeps a hit at one look-up; the common words are back within a page of text.
      if (this.#cache.size >= cachedWords) this.#cache.clear();
      // A slice keeps its whole text alive; the key must not.
      this.#cache.set(Buffer.from(word, "utf16le").toString("utf16le"), ids);
    }
    out.pushAll(ids);
    return end;
  }

  #merge(text: string, start: number, end: number): Int32Array {
    return this.#word.merge(text, { start, end, byteIds: this.#byteIds, merges: this.#merges });
  }

  decode(ids: Iterable<number>, options: { special?: boolean } = {}): string {
    const parts: Uint8Array[] = [];
    for (const id of ids) parts.push(this.tokenBytes(id, options));
    return Buffer.concat(parts).toString("utf8");
  }

  tokenBytes(id: number, { special = false }: { special?: boolean } = {}): Uint8Array {
    const start = this.#starts[id];
    const end = this.#starts[id + 1];
    if (start === undefined || end === undefined) {
      throw new AppError(
        "bad_request",
        `${id} is no token id of this model; its ids are 0 to ${this.tokens.length - 1}.`,
      );
    }
    if (!special && this.#types[id] === controlType) return noBytes;
    return this.#bytes.subarray(start, end);
  }

  isControl(id: number): boolean {
    return this.#types[id] === controlType;
  }

  specialId(text: string): number | undefined {
    return this.#specialIds.get(text);
  }
}

/** A growing list of ids. */
class IdList {
  #ids: Int32Array<ArrayBuffer>;
  #count = 0;

  constructor(room: number) {
    this.#ids = new Int32Array(room);
  }

  push(id: number): void {
    if (this.#count === this.#ids.length) this.#grow(1);
    this.#ids[this.#count++] = id;
  }

  pushAll(ids: Int32Array): void {
    if (this.#count + ids.length > this.#ids.length) this.#grow(ids.length);
    // A loop beats set() for the one to five ids of a word.
    for (let index = 0; index < ids.length; index++) this.#ids[this.#count + index] = ids[index] ?? 0;
    this.#count += ids.length;
  }

  #grow(by: number): void {
    const larger = new Int32Array(2 * this.#ids.length + by);
    larger.set(this.#ids);
    this.#ids = larger;
  }

  get count(): number {
    return this.#count;
  }

  /** Good until the next push. */
  view(): Int32Array {
    return this.#ids.subarray(0, this.#count);
  }

  taken(): Int32Array {
    return this.#ids.slice(0, this.#count);
  }

  clear(): void {
    this.#count = 0;
  }
}

/** (left id, right id) -> rank of the merge, and rank -> the id it makes; open addressing over typed arrays. */
class MergeTable {
  readonly #mask: number;
  readonly #left: Int32Array;
  readonly #right: Int32Array;
  readonly #rank: Int32Array;
  readonly merged: Int32Array;

  constructor(merges: readonly string[], ids: ReadonlyMap<string, number>) {
    const slots = 2 ** Math.ceil(Math.log2(2 * merges.length + 2));
    this.#mask = slots - 1;
    this.#left = new Int32Array(slots).fill(-1);
    this.#right = new Int32Array(slots);
    this.#rank = new Int32Array(slots);
    this.merged = new Int32Array(merges.length);
    merges.forEach((merge, rank) => {
      const cut = merge.indexOf(" ", 1);
      const [first, second] = [merge.slice(0, cut), merge.slice(cut + 1)];
      const [left, right, both] = [ids.get(first), ids.get(second), ids.get(first + second)];
      if (cut < 0 || left === undefined || right === undefined || both === undefined) {
        throw new AppError(
          "unreadable",
          `Merge ${rank} of the file's tokenizer ("${merge}") names tokens it does not have.`,
        );
      }
      this.merged[rank] = both;
      if (this.rankOf(left, right) >= 0) return; // the first of two equal merges counts
      let slot = hash(left, right) & this.#mask;
      while (this.#left[slot] !== -1) slot = (slot + 1) & this.#mask;
      this.#left[slot] = left;
      this.#right[slot] = right;
      this.#rank[slot] = rank;
    });
  }

  /** Rank of the merge, lower first; -1 when the two do not merge. */
  rankOf(left: number, right: number): number {
    let slot = hash(left, right) & this.#mask;
    for (;;) {
      const at = this.#left[slot];
      if (at === left && this.#right[slot] === right) return this.#rank[slot] ?? -1;
      if (at === -1) return -1;
      slot = (slot + 1) & this.#mask;
    }
  }
}

function hash(left: number, right: number): number {
  const mixed = Math.imul(left, 0x9e3779b1) ^ Math.imul(right, 0x85ebca6b);
  return mixed ^ (mixed >>> 15);
}

interface Stretch {
  start: number;
  end: number;
  byteIds: Int32Array;
  merges: MergeTable;
}

/** Merges one word at a time in arrays that are kept, and grow to the longest word met. */
class WordMerger {
  #ids = new Int32Array(256);
  #next = new Int32Array(256);
  #previous = new Int32Array(256);
  /** Rank with which the symbol merges with the next one, -1 when it does not: what a heap entry is checked against. */
  #rank = new Int32Array(256);
  /** Binary heap of rank * 2^31 + position. */
  #heap = new Float64Array(768);
  #heapCount = 0;

  /** The word's ids: a view, good until the next call. */
  merge(text: string, { start, end, byteIds, merges }: Stretch): Int32Array {
    this.#reserve(3 * (end - start));
    const count = this.#spell(text, { start, end, byteIds });
    for (let at = 0; at < count; at++) {
      this.#next[at] = at + 1 < count ? at + 1 : -1;
      this.#previous[at] = at - 1;
    }
    this.#heapCount = 0;
    for (let at = 0; at < count; at++) this.#rate(at, merges);
    while (this.#heapCount > 0) {
      const entry = this.#pop();
      const rank = Math.floor(entry / 2 ** 31);
      const at = entry - rank * 2 ** 31;
      if (this.#rank[at] !== rank) continue; // one of the two was merged with another meanwhile
      const right = this.#next[at] ?? -1;
      const after = this.#next[right] ?? -1;
      this.#ids[at] = merges.merged[rank] ?? 0;
      this.#next[at] = after;
      if (after >= 0) this.#previous[after] = at;
      this.#rank[right] = -1;
      this.#rate(at, merges);
      const before = this.#previous[at] ?? -1;
      if (before >= 0) this.#rate(before, merges);
    }
    let kept = 0;
    for (let at = count > 0 ? 0 : -1; at >= 0; at = this.#next[at] ?? -1) this.#ids[kept++] = this.#ids[at] ?? 0;
    return this.#ids.subarray(0, kept);
  }

  /** Writes the ids of the stretch's UTF-8 bytes; returns how many. */
  #spell(text: string, { start, end, byteIds }: Omit<Stretch, "merges">): number {
    let count = 0;
    const put = (byte: number): void => {
      this.#ids[count++] = byteIds[byte] ?? 0;
    };
    for (let at = start; at < end; at++) {
      let code = text.codePointAt(at) ?? 0;
      if (code >= 0xd800 && code <= 0xdfff) code = 0xfffd;
      if (code < 0x80) {
        put(code);
        continue;
      }
      if (code < 0x800) {
        put(0xc0 | (code >> 6));
      } else {
        if (code < 0x10000) {
          put(0xe0 | (code >> 12));
        } else {
          put(0xf0 | (code >> 18));
          put(0x80 | ((code >> 12) & 63));
          at++; // the low surrogate
        }
        put(0x80 | ((code >> 6) & 63));
      }
      put(0x80 | (code & 63));
    }
    return count;
  }

  #rate(at: number, merges: MergeTable): void {
    const right = this.#next[at] ?? -1;
    const rank = right < 0 ? -1 : merges.rankOf(this.#ids[at] ?? 0, this.#ids[right] ?? 0);
    this.#rank[at] = rank;
    if (rank >= 0) this.#push(rank * 2 ** 31 + at);
  }

  #push(entry: number): void {
    const heap = this.#heap;
    let at = this.#heapCount++;
    while (at > 0) {
      const parent = (at - 1) >> 1;
      const above = heap[parent] ?? 0;
      if (above <= entry) break;
      heap[at] = above;
      at = parent;
    }
    heap[at] = entry;
  }

  #pop(): number {
    const heap = this.#heap;
    const top = heap[0] ?? 0;
    const entry = heap[--this.#heapCount] ?? 0;
    const count = this.#heapCount;
    let at = 0;
    for (;;) {
      let child = 2 * at + 1;
      if (child >= count) break;
      if (child + 1 < count && (heap[child + 1] ?? 0) < (heap[child] ?? 0)) child++;
      const below = heap[child] ?? 0;
      if (below >= entry) break;
      heap[at] = below;
      at = child;
    }
    heap[at] = entry;
    return top;
  }

  #reserve(symbols: number): void {
    if (symbols <= this.#ids.length) return;
    const room = 2 ** Math.ceil(Math.log2(symbols));
    this.#ids = new Int32Array(room);
    this.#next = new Int32Array(room);
    this.#previous = new Int32Array(room);
    this.#rank = new Int32Array(room);
    // One entry a pair at first, then at most two a merge.
    this.#heap = new Float64Array(3 * room);
  }
}

/**
 * GPT-2's spelling of bytes as visible characters: printable Latin-1 stands for itself, the 68 others for U+0100 onwards.
 * Index is the byte.
 */
const byteCharacters: readonly string[] = (() => {
  let next = 0x100;
  return Array.from({ length: 256 }, (_, byte) => {
    const isPlain = (byte >= 33 && byte <= 126) || (byte >= 161 && byte <= 172) || byte >= 174;
    return String.fromCodePoint(isPlain ? byte : next++);
  });
})();

function bytesOfAll(tokens: readonly string[], types: ArrayLike<number>): [Uint8Array, Int32Array] {
  const byteOfCharacter = new Map(byteCharacters.map((character, byte) => [character.charCodeAt(0), byte]));
  const encoder = new TextEncoder();
  const starts = new Int32Array(tokens.length + 1);
  let bytes = new Uint8Array(8 * tokens.length);
  let count = 0;
  for (let id = 0; id < tokens.length; id++) {
    const text = types[id] === unusedType ? "" : (tokens[id] ?? "");
    if (count + 3 * text.length > bytes.length) {
      const larger = new Uint8Array(2 * bytes.length + 3 * text.length);
      larger.set(bytes);
      bytes = larger;
    }
    starts[id] = count;
    if (types[id] === controlType || types[id] === userDefinedType) {
      count += encoder.encodeInto(text, bytes.subarray(count)).written;
      continue;
    }
    for (let at = 0; at < text.length; at++) {
      const byte = byteOfCharacter.get(text.charCodeAt(at));
      if (byte === undefined)
        throw new AppError("unreadable", `Token ${id} ("${text}") is not spelt in byte-level characters.`);
      bytes[count++] = byte;
    }
  }
  starts[tokens.length] = count;
  return [bytes.slice(0, count), starts];
}
