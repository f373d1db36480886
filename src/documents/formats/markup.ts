// A tolerant scanner for HTML and XML: tags, attributes, text. It never fails, resolves no entities but the built-in ones and loads
// nothing. One pass, no backtracking.

export type MarkupEvent =
  | { type: "open"; name: string; attributes: string; isClosed: boolean }
  | { type: "close"; name: string }
  | { type: "text"; text: string };

/** Elements whose content is not markup. */
const rawElements = new Set(["script", "style", "textarea", "title", "template", "noscript", "iframe"]);

export function* scanMarkup(source: string, { isXml = false }: { isXml?: boolean } = {}): Generator<MarkupEvent> {
  let at = 0;
  // A search for a closing tag that found nothing is not repeated: the text behind it has none either.
  const missing = new Set<string>();
  while (at < source.length) {
    const open = source.indexOf("<", at);
    if (open < 0) {
      yield { type: "text", text: decodeEntities(source.slice(at)) };
      return;
    }
    if (open > at) yield { type: "text", text: decodeEntities(source.slice(at, open)) };
    at = open;
    if (source.startsWith("<!--", at)) {
      const end = missing.has("-->") ? -1 : source.indexOf("-->", at + 4);
      if (end < 0) missing.add("-->");
      at = end < 0 ? source.length : end + 3;
      continue;
    }
    if (source.startsWith("<![CDATA[", at)) {
      const end = source.indexOf("]]>", at);
      yield { type: "text", text: source.slice(at + 9, end < 0 ? source.length : end) };
      at = end < 0 ? source.length : end + 3;
      continue;
    }
    const next = source.charCodeAt(at + 1);
    const isTag =
      (next >= 65 && next <= 90) ||
      (next >= 97 && next <= 122) ||
      next === 47 ||
      next === 33 ||
      next === 63 ||
      next === 95;
    if (!isTag) {
      yield { type: "text", text: "<" };
      at++;
      continue;
    }
    const end = endOfTag(source, at);
    const inside = source.slice(at + 1, end);
    at = end + 1;
    if (next === 33 || next === 63) continue;
    if (next === 47) {
      yield { type: "close", name: tagName(inside.slice(1), isXml) };
      continue;
    }
    const name = tagName(inside, isXml);
    const isClosed = inside.endsWith("/");
    yield { type: "open", name, attributes: inside.slice(name.length), isClosed };
    if (isXml || isClosed || !rawElements.has(name)) continue;
    const closing = `</${name}`;
    const close = missing.has(closing) ? -1 : indexOfTag(source, closing, at);
    if (close < 0) missing.add(closing);
    const stop = close < 0 ? source.length : close;
    yield { type: "text", text: source.slice(at, stop) };
    at = stop;
  }
}

function indexOfTag(source: string, tag: string, from: number): number {
  const pattern = new RegExp(tag, "gi");
  pattern.lastIndex = from;
  return pattern.exec(source)?.index ?? -1;
}

function endOfTag(source: string, start: number): number {
  let quote = "";
  // A quote that nobody closes must not swallow the rest: tags are short.
  const limit = Math.min(source.length, start + 20_000);
  for (let at = start; at < limit; at++) {
    const character = source.charAt(at);
    if (quote !== "") {
      if (character === quote) quote = "";
    } else if (character === '"' || character === "'") quote = character;
    else if (character === ">") return at;
  }
  const end = source.indexOf(">", start);
  return end < 0 ? source.length : end;
}

function tagName(inside: string, isXml: boolean): string {
  const name = /^[^\s/>]{1,100}/.exec(inside)?.[0] ?? "";
  return isXml ? name : name.toLowerCase();
}

export function attribute(attributes: string, name: string): string | undefined {
  const match = new RegExp(`(?:^|\\s)${name}\\s*=\\s*(?:"([^"]*)"|'([^']*)'|([^\\s"'>]+))`, "i").exec(attributes);
  const value = match?.[1] ?? match?.[2] ?? match?.[3];
  return value === undefined ? undefined : decodeEntities(value);
}

const named: Readonly<Record<string, string>> = {
  amp: "&",
  lt: "<",
  gt: ">",
  quot: '"',
  apos: "'",
  nbsp: "\u00a0",
  copy: "©",
  reg: "®",
  trade: "™",
  hellip: "…",
  mdash: "—",
  ndash: "–",
  lsquo: "‘",
  rsquo: "’",
  ldquo: "“",
  rdquo: "”",
  laquo: "«",
  raquo: "»",
  bull: "•",
  middot: "·",
  times: "×",
  divide: "÷",
  deg: "°",
  plusmn: "±",
  le: "≤",
  ge: "≥",
  ne: "≠",
  rarr: "→",
  larr: "←",
  uarr: "↑",
  darr: "↓",
  euro: "€",
  pound: "£",
  yen: "¥",
  cent: "¢",
  sect: "§",
  para: "¶",
  sup2: "²",
  sup3: "³",
  frac12: "½",
  frac14: "¼",
  frac34: "¾",
  emsp: "\u2003",
  ensp: "\u2002",
  thinsp: "\u2009",
  zwnj: "\u200c",
  zwj: "\u200d",
  shy: "",
  infin: "∞",
  micro: "µ",
  alpha: "α",
  beta: "β",
  gamma: "γ",
  delta: "δ",
  lambda: "λ",
  mu: "μ",
  pi: "π",
  sigma: "σ",
  omega: "ω",
  eacute: "é",
  egrave: "è",
  agrave: "à",
  ccedil: "ç",
  uuml: "ü",
  ouml: "ö",
  auml: "ä",
  szlig: "ß",
  ntilde: "ñ",
};

/** An entity nobody knows stays as it is written. */
export function decodeEntities(text: string): string {
  if (!text.includes("&")) return text;
  return text.replaceAll(
    /&(?:#(\d{1,7})|#x([\da-f]{1,6})|([a-z][a-z\d]{1,12}));/gi,
    (whole, decimal?: string, hex?: string, name?: string) => {
      if (name !== undefined) return named[name] ?? named[name.toLowerCase()] ?? whole;
      const code = decimal === undefined ? Number.parseInt(hex ?? "", 16) : Number(decimal);
      return code > 0 && code <= 0x10ffff && !(code >= 0xd800 && code <= 0xdfff)
        ? String.fromCodePoint(code)
        : "\ufffd";
    },
  );
}

/**
 * The source with each element of a name replaced: `inner` is what stands between its tags. Elements that are closed in their opening tag
 * stay; of nested ones the innermost end counts. One pass: an element that nobody closes ends it.
 */
export function replaceElements(
  source: string,
  name: string,
  replace: (element: { whole: string; inner: string; attributes: string; at: number }) => string,
): string {
  const [opening, closing] = [`<${name}`, `</${name}>`];
  let made = "";
  let done = 0;
  for (let at = source.indexOf(opening); at >= 0; at = source.indexOf(opening, at + 1)) {
    if (at < done || !/[\s/>]/.test(source.charAt(at + opening.length))) continue;
    const head = source.indexOf(">", at);
    if (head < 0) break;
    if (source.charAt(head - 1) === "/") continue;
    const end = source.indexOf(closing, head);
    if (end < 0) break;
    const stop = end + closing.length;
    const [attributes, inner] = [source.slice(at + opening.length, head), source.slice(head + 1, end)];
    made += source.slice(done, at) + replace({ whole: source.slice(at, stop), inner, attributes, at });
    done = stop;
  }
  return made + source.slice(done);
}
