// Text that comes with a message without being typed: long pastes and text files. Kept whole, shown as a chip.
import { type Attachment, newId } from "../conversation.ts";

/** A paste beyond either limit becomes an attachment: a text field with 20,000 lines answers no key in time. */
const pasteLines = 200;
const pasteCharacters = 20_000;
export const fileBytesLimit = 20 * 1024 * 1024;

export function countLines(text: string): number {
  let lines = 1;
  for (let at = text.indexOf("\n"); at >= 0; at = text.indexOf("\n", at + 1)) lines++;
  return text.endsWith("\n") ? lines - 1 : lines;
}

export function isLongPaste(text: string): boolean {
  return text.length > pasteCharacters || countLines(text) > pasteLines;
}

export function toAttachment(name: string, text: string, { isPasted }: { isPasted: boolean }): Attachment {
  const unix = text.replaceAll("\r\n", "\n");
  return { id: newId(), name, text: unix, lineCount: countLines(unix), isPasted };
}

/** A file's text, or nothing when it is not text. UTF-8 first; GB18030 is what Chinese Windows writes otherwise. */
export async function textOfFile(file: File): Promise<string | undefined> {
  const bytes = new Uint8Array(await file.arrayBuffer());
  if (bytes.subarray(0, 8192).includes(0)) return undefined;
  for (const encoding of ["utf-8", "gb18030"]) {
    try {
      return new TextDecoder(encoding, { fatal: true }).decode(bytes);
    } catch {
      // Not this encoding; the next one may fit.
    }
  }
  return undefined;
}
