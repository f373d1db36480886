// A question while it is being read: what was understood is blotted out by spaces of the same length, so that places stay what they are
// and what is left at the end nobody has taken.
export class Remaining {
  text: string;

  constructor(text: string) {
    this.text = text;
  }

  /** Takes out all matches; returns them. */
  take(pattern: RegExp): string[] {
    return this.takeAt(pattern).map(({ text }) => text);
  }

  /** Takes out all matches; returns them with their places. */
  takeAt(pattern: RegExp): { text: string; at: number }[] {
    const found: { text: string; at: number }[] = [];
    this.text = this.text.replace(pattern, (match, ...rest: unknown[]) => {
      found.push({ text: match, at: rest.find((one) => typeof one === "number") ?? 0 });
      return " ".repeat(match.length);
    });
    return found;
  }

  /** Takes out all matches; returns only where they stood. */
  places(pattern: RegExp): number[] {
    return this.takeAt(pattern).map(({ at }) => at);
  }

  /** Takes out a stretch. */
  blot(start: number, end: number): void {
    this.text = this.text.slice(0, start) + " ".repeat(end - start) + this.text.slice(end);
  }

  /** Takes out a literal once or more; whole words only in Latin script. */
  takeLiteral(literal: string): boolean {
    if (literal === "") return false;
    const escaped = literal.replace(/[.*+?^${}()|[\]\\]/g, "\\$&").replace(/\s+/g, "\\s*");
    const edge = (sign: string): string =>
      /[\p{Script=Latin}\p{N}]/u.test(sign) ? "(?![\\p{Script=Latin}\\p{N}])" : "";
    const start = /[\p{Script=Latin}\p{N}]/u.test(literal[0] ?? "") ? "(?<![\\p{Script=Latin}\\p{N}])" : "";
    // Plurals: products, cities.
    const body = /[a-z]y$/i.test(literal) ? `(?:${escaped}s?|${escaped.slice(0, -1)}ies)` : `${escaped}s?`;
    return this.take(new RegExp(`${start}${body}${edge(literal.at(-1) ?? "")}`, "giu")).length > 0;
  }
}
