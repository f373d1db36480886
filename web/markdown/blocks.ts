// Cuts Markdown into pieces that can be rendered one by one, so that a growing answer re-renders its last piece only. A cut is
// made only where CommonMark starts anew whatever came before: at a blank line that is followed by an unindented line which
// continues no list, and never inside a code fence or a display formula. Rendering the pieces equals rendering the whole; the
// test compares the two.

const fence = /^ {0,3}(`{3,}|~{3,})/;
const listMarker = /^(?:[-*+]|\d{1,9}[.)])(?:\s|$)/;
const indented = /^\s/;
/** Link definitions and footnotes reach across pieces: such a text stays whole. */
const definition = /^ {0,3}\[[^\]\n]+\]:/m;

export function splitBlocks(text: string): string[] {
  if (definition.test(text)) return [text];
  const blocks: string[] = [];
  let lines: string[] = [];
  let openFence: string | undefined;
  let isInFormula = false;
  let sawBlank = false;
  for (const line of text.split("\n")) {
    const startsAnew = sawBlank && line !== "" && !indented.test(line) && !listMarker.test(line);
    if (startsAnew && openFence === undefined && !isInFormula && lines.some((each) => each.trim() !== "")) {
      blocks.push(lines.join("\n"));
      lines = [];
    }
    lines.push(line);
    sawBlank = line.trim() === "";
    const mark = fence.exec(line)?.[1];
    if (openFence === undefined) {
      if (mark !== undefined && !isInFormula) openFence = mark;
      else if (/^\s*\$\$\s*$/.test(line)) isInFormula = !isInFormula;
    } else if (mark?.startsWith(openFence) && line.trim() === mark) {
      openFence = undefined;
    }
  }
  if (lines.length > 0) blocks.push(lines.join("\n"));
  return blocks;
}

/** Whether the text ends inside a code fence. */
export function endsInFence(text: string): boolean {
  let open: string | undefined;
  for (const line of text.split("\n")) {
    const mark = fence.exec(line)?.[1];
    if (mark === undefined) continue;
    if (open === undefined) open = mark;
    else if (mark.startsWith(open) && line.trim() === mark) open = undefined;
  }
  return open !== undefined;
}
