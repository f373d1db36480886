// Old Office files are small file systems (compound files); the reader of SheetJS opens them.
import { CFB } from "@e965/xlsx";

export class CompoundFile {
  readonly #container: unknown;

  constructor(bytes: Uint8Array) {
    this.#container = CFB.read(bytes, { type: "buffer" });
  }

  /** A stream's bytes; none when the file does not have it. */
  stream(name: string): DataView {
    const content: unknown = CFB.find(this.#container, `/${name}`)?.content;
    const bytes = Array.isArray(content) || content instanceof Uint8Array ? Uint8Array.from(content) : new Uint8Array();
    return new DataView(bytes.buffer);
  }
}
