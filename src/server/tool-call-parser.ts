// Finds Qwen3's tool calls in streamed text: <tool_call>\n{"name": …, "arguments": {…}}\n</tool_call>, any number of them, with
// text before and between. As soon as name and the arguments' opening brace are in, the call is announced and its arguments pass
// through as they come; anything in another order is held until the closing tag and parsed whole. What turns out not to be a call
// is handed back as the text it was: nothing the model wrote is lost, but white space around calls.

export type ToolPiece =
  | { type: "text"; text: string }
  | { type: "call"; index: number; name: string }
  | { type: "arguments"; index: number; text: string };

const openTag = "<tool_call>";
const closeTag = "</tool_call>";
// Name first, then an object of arguments: the form Qwen3 is trained on, and the only one that can be streamed.
const streamableHead = /^\s*\{\s*"name"\s*:\s*("(?:[^"\\]|\\.)*")\s*,\s*"arguments"\s*:\s*(?=\{)/;

export class ToolCallParser {
  #state: "text" | "head" | "arguments" | "tail";
  #held = "";
  #calls = 0;
  /** What the model wrote to open the call, white space before it included; given back when it was none. */
  #opening = "";
  #depth = 0;
  #inString = false;
  #escaped = false;

  /** `isInside`: the prompt ended with the opening tag, so the answer begins within a call. */
  constructor({ isInside = false }: { isInside?: boolean } = {}) {
    this.#state = isInside ? "head" : "text";
  }

  get calls(): number {
    return this.#calls + (this.#state === "arguments" ? 1 : 0);
  }

  push(text: string): ToolPiece[] {
    this.#held += text;
    const pieces: ToolPiece[] = [];
    while (this.#advance(pieces));
    return pieces;
  }

  /** The answer has ended: whatever was held back comes out. */
  end(): ToolPiece[] {
    const held = this.#held;
    this.#held = "";
    if (this.#state === "head") {
      const call = parseCall(held);
      if (call) return this.#wholeCall(call);
      return textPiece(this.#opening + held);
    }
    if (this.#state === "text" && !(this.#calls > 0 && held.trim() === "")) return textPiece(held);
    return [];
  }

  /** One step through what is held; false when more text is needed. */
  #advance(pieces: ToolPiece[]): boolean {
    switch (this.#state) {
      case "text":
        return this.#readText(pieces);
      case "head":
        return this.#readHead(pieces);
      case "arguments":
        return this.#readArguments(pieces);
      case "tail":
        return this.#readTail();
    }
  }

  #readText(pieces: ToolPiece[]): boolean {
    const at = this.#held.indexOf(openTag);
    if (at < 0) {
      const keep = holdBack(this.#held);
      pieces.push(...textPiece(this.#held.slice(0, this.#held.length - keep)));
      this.#held = this.#held.slice(this.#held.length - keep);
      return false;
    }
    const before = this.#held.slice(0, at).trimEnd();
    pieces.push(...textPiece(before));
    this.#opening = this.#held.slice(before.length, at + openTag.length);
    this.#held = this.#held.slice(at + openTag.length);
    this.#state = "head";
    return true;
  }

  #readHead(pieces: ToolPiece[]): boolean {
    const head = streamableHead.exec(this.#held);
    const name = head ? parseJson(head[1] ?? "") : undefined;
    if (head && typeof name === "string") {
      pieces.push({ type: "call", index: this.#calls, name });
      this.#held = this.#held.slice(head[0].length);
      this.#state = "arguments";
      this.#depth = 0;
      this.#inString = false;
      this.#escaped = false;
      return true;
    }
    const at = this.#held.indexOf(closeTag);
    if (at < 0) return false;
    const body = this.#held.slice(0, at);
    const call = parseCall(body);
    pieces.push(...(call ? this.#wholeCall(call) : textPiece(this.#opening + body + closeTag)));
    this.#held = this.#held.slice(at + closeTag.length);
    this.#state = "text";
    return true;
  }

  #readArguments(pieces: ToolPiece[]): boolean {
    const end = this.#scanJson();
    const text = end < 0 ? this.#held : this.#held.slice(0, end);
    if (text !== "") pieces.push({ type: "arguments", index: this.#calls, text });
    this.#held = this.#held.slice(text.length);
    if (end < 0) return false;
    this.#calls++;
    this.#state = "tail";
    return true;
  }

  #readTail(): boolean {
    const at = this.#held.indexOf(closeTag);
    if (at < 0) return false;
    this.#held = this.#held.slice(at + closeTag.length);
    this.#state = "text";
    return true;
  }

  /** Index behind the bracket that closes the value begun at depth 0, or -1 when it has not come yet. Counts on across calls. */
  #scanJson(): number {
    for (let index = 0; index < this.#held.length; index++) {
      const character = this.#held[index];
      if (this.#escaped) this.#escaped = false;
      else if (this.#inString) {
        if (character === "\\") this.#escaped = true;
        else if (character === '"') this.#inString = false;
      } else if (character === '"') this.#inString = true;
      else if (character === "{" || character === "[") this.#depth++;
      else if ((character === "}" || character === "]") && --this.#depth === 0) return index + 1;
    }
    return -1;
  }

  #wholeCall(call: { name: string; arguments: string }): ToolPiece[] {
    const index = this.#calls++;
    return [
      { type: "call", index, name: call.name },
      { type: "arguments", index, text: call.arguments },
    ];
  }
}

/** How many characters at the end may belong to a coming tag, or be white space before one. */
function holdBack(text: string): number {
  let tag = 0;
  for (let length = Math.min(openTag.length - 1, text.length); length > 0; length--) {
    if (text.endsWith(openTag.slice(0, length))) {
      tag = length;
      break;
    }
  }
  return text.length - text.slice(0, text.length - tag).trimEnd().length;
}

function parseCall(body: string): { name: string; arguments: string } | undefined {
  const value = parseJson(body);
  if (typeof value !== "object" || value === null || !("name" in value) || typeof value.name !== "string")
    return undefined;
  const given = "arguments" in value ? value.arguments : "parameters" in value ? value.parameters : {};
  return { name: value.name, arguments: typeof given === "string" ? given : JSON.stringify(given ?? {}) };
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined; // not JSON is an answer here, not a failure
  }
}

const textPiece = (text: string): ToolPiece[] => (text === "" ? [] : [{ type: "text", text }]);
