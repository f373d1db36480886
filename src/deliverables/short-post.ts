import { AppError } from "../base/errors.ts";
import type { Report } from "./report.ts";

/** Characters as people count them: an emoji or a letter with its accent is one. */
function lengthOf(text: string, language: string): number {
  return [...new Intl.Segmenter(language, { granularity: "grapheme" }).segment(text)].length;
}

/** A short post (Moments, Instagram): whole sentences from the first on, as many as fit. A sentence is never cut: half a figure lies. */
export function shortPost({ sections, language }: Report, { limit = 140 }: { limit?: number } = {}): string {
  const all = sections
    .flatMap(({ paragraphs, bullets }) => [...paragraphs, ...bullets])
    .flatMap((text) => text.split(/(?<=[。！？!?])|(?<=\.)\s+/u))
    .map((text) => text.trim())
    .filter((text) => text !== "");
  const joint = language === "zh" ? "" : " ";
  let post = "";
  for (const sentence of all) {
    const longer = post === "" ? sentence : `${post}${joint}${sentence}`;
    if (lengthOf(longer, language) > limit) break;
    post = longer;
  }
  if (post !== "") return post;
  const first = all[0] ?? "";
  // The first clauses of a sentence are still whole statements.
  const clauses = first.split(/(?<=[，,；;])/u);
  for (let count = clauses.length - 1; count > 0; count--) {
    const shorter = `${clauses
      .slice(0, count)
      .join("")
      .replace(/[，,；;\s]+$/u, "")}${language === "zh" ? "。" : "."}`;
    if (lengthOf(shorter, language) <= limit && /\d/.test(shorter)) return shorter;
  }
  throw new AppError(
    "bad_request",
    `The first sentence has ${lengthOf(first, language)} characters; the limit is ${limit}.`,
    { param: "limit", hint: "Raise the limit, or ask for a shorter conclusion." },
  );
}
