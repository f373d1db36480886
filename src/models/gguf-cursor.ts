// Reads a file front to back through one small window, so that memory follows what is there and never what a number in the file
// claims. It knows little-endian numbers and strings and says at which byte the file ends too early; it knows nothing of GGUF.
import { isUtf8 } from "node:buffer";
import { readSync } from "node:fs";

const windowBytes = 256 * 1024;

/** A fault at a place in the file; gguf.ts turns it into an AppError with the file's name. */
export class FormatFault extends Error {
  readonly byte: number;
  constructor(byte: number, message: string) {
    super(message);
    this.byte = byte;
  }
}

export class FileCursor {
  readonly fileBytes: number;
  readonly #fd: number;
  #window = Buffer.alloc(0);
  #windowAt = 0;
  #at = 0;

  /** Borrows the descriptor: the caller closes it. */
  constructor(fd: number, fileBytes: number) {
    this.#fd = fd;
    this.fileBytes = fileBytes;
  }

  /** Bytes from the file's start. */
  get position(): number {
    return this.#windowAt + this.#at;
  }

  get remainingBytes(): number {
    return this.fileBytes - this.position;
  }

  fail(message: string, byte = this.position): never {
    throw new FormatFault(byte, message);
  }

  uint8(what: string): number {
    return this.#window.readUInt8(this.#take(1, what));
  }
  int8(what: string): number {
    return this.#window.readInt8(this.#take(1, what));
  }
  uint16(what: string): number {
    return this.#window.readUInt16LE(this.#take(2, what));
  }
  int16(what: string): number {
    return this.#window.readInt16LE(this.#take(2, what));
  }
  uint32(what: string): number {
    return this.#window.readUInt32LE(this.#take(4, what));
  }
  int32(what: string): number {
    return this.#window.readInt32LE(this.#take(4, what));
  }
  float32(what: string): number {
    return this.#window.readFloatLE(this.#take(4, what));
  }
  float64(what: string): number {
    return this.#window.readDoubleLE(this.#take(8, what));
  }
  uint64(what: string): bigint {
    return this.#window.readBigUInt64LE(this.#take(8, what));
  }
  int64(what: string): bigint {
    return this.#window.readBigInt64LE(this.#take(8, what));
  }

  /** A uint64 that must be a count, an offset or a length: anything above 2^53 is a fault. */
  count(what: string): number {
    const at = this.#take(8, what);
    const high = this.#window.readUInt32LE(at + 4);
    if (high >= 0x20_0000) {
      const claimed = this.#window.readBigUInt64LE(at);
      this.fail(`${what} is ${claimed}, which no file can hold`, this.position - 8);
    }
    return high * 0x1_0000_0000 + this.#window.readUInt32LE(at);
  }

  /** A string with its uint64 length in front. Its bytes must be UTF-8 and at most `limitBytes`. */
  string(what: string, limitBytes: number): string {
    const startsAt = this.position;
    const length = this.count(`the length of ${what}`);
    if (length > this.remainingBytes)
      this.fail(`${what} should have ${length} bytes, but the file ends ${this.remainingBytes} bytes later`, startsAt);
    if (length > limitBytes) this.fail(`${what} has ${length} bytes; at most ${limitBytes} are accepted`, startsAt);
    const at = this.#take(length, what);
    const text = this.#window.toString("utf8", at, at + length);
    // The decoder puts U+FFFD for bad bytes; only a text with that character needs the second look.
    if (text.includes("\uFFFD") && !isUtf8(this.#window.subarray(at, at + length)))
      this.fail(`${what} is not valid UTF-8`, startsAt);
    return text;
  }

  /** A copy of the next bytes; the caller has checked the length against `remainingBytes`. */
  bytes(length: number, what: string): Uint8Array<ArrayBuffer> {
    const copy = new Uint8Array(length);
    for (let done = 0; done < length; ) {
      const step = Math.min(windowBytes, length - done);
      const at = this.#take(step, what);
      copy.set(this.#window.subarray(at, at + step), done);
      done += step;
    }
    return copy;
  }

  /** Makes the next bytes present in the window and steps over them; returns where in the window they begin. */
  #take(length: number, what: string): number {
    if (this.#at + length > this.#window.length) this.#refill(length, what);
    const at = this.#at;
    this.#at += length;
    return at;
  }

  #refill(length: number, what: string): void {
    const position = this.position;
    if (length > this.fileBytes - position)
      this.fail(`the file ends inside ${what}: ${length} bytes needed, ${this.fileBytes - position} left`, position);
    // Bounded by the check above: a longer string is really in the file.
    const window = Buffer.allocUnsafe(Math.min(Math.max(length, windowBytes), this.fileBytes - position));
    let filled = 0;
    while (filled < window.length) {
      const got = readSync(this.#fd, window, filled, window.length - filled, position + filled);
      if (got === 0) this.fail(`the file became shorter while it was read`, position + filled);
      filled += got;
    }
    this.#window = window;
    this.#windowAt = position;
    this.#at = 0;
  }
}
