// Makes the end of an unfinished answer look like what it is about to become: an open **bold** is closed, a link's half address
// and a table's lonely head wait until they are whole. Without this, marks flash up and vanish with every few tokens.
import { endsInFence } from "./blocks.ts";

export function repairTail(text: string): string {
  if (endsInFence(text)) return text;
  return closeMarks(holdTable(holdLine(holdFormula(text))));
}

/** Cuts off a formula that has begun and not ended: half of a formula is an error to KaTeX. */
function holdFormula(text: string): string {
  let kept = text;
  for (const [open, close] of [
    ["\\[", "\\]"],
    ["\\(", "\\)"],
  ] as const) {
    const at = kept.lastIndexOf(open);
    if (at >= 0 && kept.indexOf(close, at) < 0) kept = kept.slice(0, at);
  }
  const dollars = kept.split("$$");
  return dollars.length % 2 === 0 ? dollars.slice(0, -1).join("$$") : kept;
}

/** A last line of nothing but marks (`-`, `1.`, `##`, `===`) has not said yet what it is. */
function holdLine(text: string): string {
  return text.replace(/\n[ \t]*(?:[-*+=#>`~]+|\d{1,9}[.)]?)[ \t]*$/, "\n");
}

/** A table is one from its second line on; until that is whole, its head is not shown as a paragraph. */
function holdTable(text: string): string {
  const lines = text.split("\n");
  let first = lines.length;
  while (first > 0 && lines[first - 1]?.trimStart().startsWith("|")) first--;
  const rows = lines.slice(first);
  const isWhole = rows.length > 2 || (rows.length === 2 && /^[\s|:-]+\|\s*$/.test(rows[1] ?? ""));
  if (rows.length === 0) return text;
  if (!isWhole) return lines.slice(0, first).join("\n");
  // The row that is being written grows by whole cells, so that columns do not jump.
  return text;
}

function closeMarks(text: string): string {
  const start = text.lastIndexOf("\n\n") + 1;
  let tail = text.slice(start);
  // A mark that opens nothing yet.
  tail = tail.replace(/(?:\*{1,3}|_{1,3}|~{1,2}|`|!?\[|!)$/, "");
  if ((withoutCode(tail).match(/`/g)?.length ?? 0) % 2 === 1) return `${text.slice(0, start)}${tail}\``;
  // A link whose address is not whole shows its words; an image nothing.
  tail = tail.replace(/!\[[^\]\n]*(?:\](?:\([^)\n]*)?)?$/, "");
  tail = tail.replace(/\[([^\]\n]*)\]\([^)\n]*$/, "$1").replace(/\[([^\]\n]*)\]?$/, "$1");
  const plain = withoutCode(tail);
  for (const mark of ["**", "~~"]) {
    if ((plain.split(mark).length - 1) % 2 === 1) {
      const trimmed = tail.trimEnd();
      tail = trimmed.endsWith(mark) ? trimmed.slice(0, -mark.length) : `${trimmed.replace(/\*$/, "")}${mark}`;
    }
  }
  return text.slice(0, start) + tail;
}

const withoutCode = (text: string): string => text.replaceAll(/(`+)[^`]+\1/g, "");
