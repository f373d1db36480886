// Numbers that Word counts itself ("第三条", "2.1", "（一）") stand nowhere in the document's text, and mammoth counts its lists from one
// after every paragraph between them. A contract whose clauses carry wrong numbers is worse than one without: so the numbers are counted
// here, as Word does it, and written into the paragraphs before mammoth sees them.
import { attribute, replaceElements, scanMarkup } from "./markup.ts";

/** Stand around a number in the text, so that a list item takes it as its marker. */
export const numberOpens = "\ue010";
export const numberCloses = "\ue011";

interface Level {
  format: string;
  /** "第%1条", "%1.%2" */
  text: string;
  start: number;
  /** All figures Arabic, whatever the levels above say. */
  isLegal: boolean;
}

interface Numbering {
  list: string;
  levels: ReadonlyMap<number, Level>;
}

export interface NumberingParts {
  numbering: string;
  styles: string;
}

/** word/document.xml with every counted number written out; bullets stay as they are. */
export function withNumbers(document: string, parts: NumberingParts): string {
  const styles = styleNumbers(parts.styles);
  const numberings = numberingsOf(parts.numbering, styles);
  if (numberings.size === 0) return document;
  const counters = new Map<string, number[]>();
  // Tracked changes of format repeat the paragraph's properties.
  const plain = replaceElements(document, "w:pPrChange", () => "");
  const isUnread = choicesIn(plain);
  return replaceElements(plain, "w:pPr", ({ whole, inner, at }) => {
    if (isUnread(at)) return whole;
    const style = styles.get(valueIn(inner, "w:pStyle") ?? "");
    const number = valueIn(inner, "w:numId") ?? style?.number;
    const level = Number(valueIn(inner, "w:ilvl") ?? style?.level ?? 0);
    const numbering = numberings.get(number ?? "");
    const found = numbering?.levels.get(level);
    if (!numbering || !found || found.format === "bullet") return whole;
    const counts = counters.get(numbering.list) ?? [];
    counters.set(numbering.list, counts);
    counts[level] = (counts[level] ?? found.start - 1) + 1;
    counts.length = level + 1;
    const label = labelOf(found, numbering.levels, counts);
    const run = `<w:r><w:t xml:space="preserve">${numberOpens}${label}${numberCloses}</w:t></w:r>`;
    return label === "" ? whole : whole + run;
  });
}

/** Word writes a text box twice, for new programs (Choice) and old ones (Fallback); mammoth reads the second, and it must count once. */
function choicesIn(document: string): (at: number) => boolean {
  const ends: { at: number; depth: number }[] = [];
  let depth = 0;
  for (const match of document.matchAll(/<(\/?)mc:Choice[\s>]/g)) {
    depth += match[1] === "/" ? -1 : 1;
    ends.push({ at: match.index, depth });
  }
  let next = 0;
  // Asked in the order of the text.
  return (at) => {
    while ((ends[next]?.at ?? Number.POSITIVE_INFINITY) < at) next++;
    return (ends[next - 1]?.depth ?? 0) > 0;
  };
}

function labelOf(level: Level, levels: ReadonlyMap<number, Level>, counts: readonly number[]): string {
  return level.text
    .replaceAll(/%(\d)/g, (_, digit: string) => {
      const at = Number(digit) - 1;
      const count = counts[at] ?? levels.get(at)?.start ?? 1;
      return formatted(count, level.isLegal ? "decimal" : (levels.get(at)?.format ?? "decimal"));
    })
    .replaceAll(/[<>&]/g, "")
    .trim();
}

function valueIn(properties: string, element: string): string | undefined {
  return new RegExp(`<${element}\\s[^>]*?w:val="([^"]{0,200})"`).exec(properties)?.[1];
}

interface StyleNumber {
  number?: string;
  level?: string;
}

/** What styles say about numbering, through the styles they are based on. */
function styleNumbers(xml: string): ReadonlyMap<string, StyleNumber> {
  const own = new Map<string, StyleNumber & { basedOn?: string }>();
  replaceElements(xml, "w:style", ({ inner, attributes }) => {
    const [number, level, basedOn] = ["w:numId", "w:ilvl", "w:basedOn"].map((element) => valueIn(inner, element));
    own.set(attribute(attributes, "w:styleId") ?? "", {
      ...(number === undefined ? {} : { number }),
      ...(level === undefined ? {} : { level }),
      ...(basedOn === undefined ? {} : { basedOn }),
    });
    return "";
  });
  const inherited = (id: string, depth: number): StyleNumber => {
    const style = own.get(id);
    if (!style || depth > 20) return {};
    return { ...inherited(style.basedOn ?? "", depth + 1), ...style };
  };
  return new Map([...own.keys()].map((id) => [id, inherited(id, 0)]));
}

function numberingsOf(xml: string, styles: ReadonlyMap<string, StyleNumber>): ReadonlyMap<string, Numbering> {
  const abstracts = new Map<string, { levels: Map<number, Level>; style: string | undefined }>();
  const numbers = new Map<string, Numbering>();
  const links = new Map<string, string>();
  let levels = new Map<number, Level>();
  let abstract = "";
  let number = "";
  let at = 0;
  let level: Level | undefined;
  for (const event of scanMarkup(xml, { isXml: true })) {
    if (event.type !== "open") continue;
    const value = attribute(event.attributes, "w:val") ?? "";
    if (event.name === "w:abstractNum") {
      levels = new Map();
      abstract = attribute(event.attributes, "w:abstractNumId") ?? "";
      abstracts.set(abstract, { levels, style: undefined });
    } else if (event.name === "w:numStyleLink") {
      abstracts.set(abstract, { levels, style: value });
    } else if (event.name === "w:num") {
      number = attribute(event.attributes, "w:numId") ?? "";
      level = undefined;
    } else if (event.name === "w:abstractNumId") {
      links.set(number, value);
      // Its own levels begin as the list's; what follows may override them.
      levels = new Map(abstracts.get(value)?.levels);
      numbers.set(number, { list: value, levels });
    } else if (event.name === "w:lvl" || event.name === "w:lvlOverride") {
      at = Number(attribute(event.attributes, "w:ilvl") ?? 0);
      const known = levels.get(at);
      level = {
        format: "decimal",
        text: `%${at + 1}.`,
        start: 1,
        isLegal: false,
        ...(event.name === "w:lvl" ? {} : known),
      };
      levels.set(at, level);
    } else if (level && event.name === "w:start") level.start = Number(value) || 0;
    else if (level && event.name === "w:startOverride") {
      level.start = Number(value) || 0;
      // A list that starts anew counts by itself.
      numbers.set(number, { list: `${number} anew`, levels });
    } else if (level && event.name === "w:numFmt") level.format = value;
    else if (level && event.name === "w:lvlText") level.text = value;
    else if (level && event.name === "w:isLgl") level.isLegal = value !== "0" && value !== "false";
  }
  for (const [id, list] of links) {
    const linked = links.get(styles.get(abstracts.get(list)?.style ?? "")?.number ?? "");
    const found = linked === undefined ? undefined : abstracts.get(linked);
    if (linked !== undefined && found) numbers.set(id, { list: linked, levels: found.levels });
  }
  return numbers;
}

const digits = "〇一二三四五六七八九";
const stems = "甲乙丙丁戊己庚辛壬癸";
const branches = "子丑寅卯辰巳午未申酉戌亥";

/** A count in one of Word's formats; those not listed here count in Arabic figures. */
function formatted(count: number, format: string): string {
  switch (format) {
    case "none":
      return "";
    case "decimalZero":
      return String(count).padStart(2, "0");
    case "lowerLetter":
    case "upperLetter": {
      const letter = String.fromCharCode(97 + ((count - 1) % 26)).repeat(Math.min(9, Math.ceil(count / 26)));
      return format === "lowerLetter" ? letter : letter.toUpperCase();
    }
    case "lowerRoman":
      return roman(count);
    case "upperRoman":
      return roman(count).toUpperCase();
    case "chineseCounting":
    case "chineseCountingThousand":
    case "japaneseCounting":
    case "taiwaneseCounting":
    case "taiwaneseCountingThousand":
      return chinese(count);
    case "ideographTraditional":
      return stems[(count - 1) % stems.length] ?? "";
    case "ideographZodiac":
      return branches[(count - 1) % branches.length] ?? "";
    case "decimalEnclosedCircle":
    case "decimalEnclosedCircleChinese":
      return count >= 1 && count <= 20 ? String.fromCodePoint(0x245f + count) : String(count);
    default:
      return String(count);
  }
}

function chinese(count: number): string {
  if (count < 1 || count > 9999) return String(count);
  let text = "";
  let isGap = false;
  for (const [power, unit] of [
    [1000, "千"],
    [100, "百"],
    [10, "十"],
    [1, ""],
  ] as const) {
    const digit = Math.floor(count / power) % 10;
    if (digit === 0) {
      isGap = text !== "";
      continue;
    }
    text += `${isGap ? "零" : ""}${digits[digit]}${unit}`;
    isGap = false;
  }
  return text.replace(/^一十/, "十");
}

function roman(count: number): string {
  let rest = Math.min(3999, Math.max(0, count));
  let text = "";
  for (const [value, sign] of [
    [1000, "m"],
    [900, "cm"],
    [500, "d"],
    [400, "cd"],
    [100, "c"],
    [90, "xc"],
    [50, "l"],
    [40, "xl"],
    [10, "x"],
    [9, "ix"],
    [5, "v"],
    [4, "iv"],
    [1, "i"],
  ] as const)
    for (; rest >= value; rest -= value) text += sign;
  return text;
}
