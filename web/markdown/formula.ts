// One spelling for formulas. Models write \( \), \[ \], $ $ and $$ $$; remark-math, told to leave single dollars alone (prices
// are written with them too), reads $$ inline and $$ on lines of their own as display. Code is never touched.

const fenceLine = /^ {0,3}(`{3,}|~{3,})/;

export function normaliseFormulas(text: string): string {
  if (!/[$\\]/.test(text)) return text;
  const out: string[] = [];
  let plain: string[] = [];
  let open: string | undefined;
  const flush = (): void => {
    if (plain.length > 0) out.push(outsideSpans(plain.join("\n")));
    plain = [];
  };
  for (const line of text.split("\n")) {
    const mark = fenceLine.exec(line)?.[1];
    if (open !== undefined) {
      out.push(line);
      if (mark?.startsWith(open) && line.trim() === mark) open = undefined;
    } else if (mark !== undefined) {
      flush();
      out.push(line);
      open = mark;
    } else {
      plain.push(line);
    }
  }
  flush();
  return out.join("\n");
}

/** Whether a normalised text holds a formula: the reason to load KaTeX. */
export function hasFormula(text: string): boolean {
  return text.includes("$$");
}

function outsideSpans(text: string): string {
  return text
    .split(/(`+[^`\n]*`+)/)
    .map((part, n) => (n % 2 === 1 ? part : rewrite(part)))
    .join("");
}

function rewrite(text: string): string {
  return text
    .replaceAll(/([ \t]*)\\\[([\s\S]+?)\\\]/g, (_, indent: string, body: string) => display(indent, body))
    .replaceAll(/^([ \t]*)\$\$([^$\n]+)\$\$[ \t]*$/gm, (_, indent: string, body: string) => display(indent, body))
    .replaceAll(/\\\((.+?)\\\)/g, (_, body: string) => `$$${body.trim()}$$`)
    .replaceAll(/(?<![\\$\w])\$(?![\s$])([^$\n]*[^\s\\$])\$(?![\w$])/g, (whole: string, body: string) =>
      isPrice(body) ? whole : `$$${body}$$`,
    );
}

const display = (indent: string, body: string): string =>
  `\n${indent}$$\n${indent}${body.trim().replaceAll("\n", `\n${indent}`)}\n${indent}$$\n`;

/** "$5 and 10$" is about money; a formula that starts with a figure goes on with an operator. */
const isPrice = (body: string): boolean => /^\d[\d.,]*[\s\u4e00-\u9fff]/.test(body) && !/[\\^_=+*/]/.test(body);
