// Text that a spreadsheet would run as a formula is made plain text: a cell starting with = + - @ (or a tab, or their full-width
// forms) gets an apostrophe in front. Plain numbers such as -5 or +46% stay as they are: they compute nothing.

const risky = /^[\s\p{Cc}]*[=+\-@＝＋－＠]/u;
const plainNumber = /^[+-]?[\d,.]+(?:%|[万亿]?元?)?$/;

export function neutral(text: string): string {
  return risky.test(text) && !plainNumber.test(text.trim()) ? `'${text}` : text;
}

/** Signs that XML 1.0 cannot hold; they would make a file that Office offers to repair. Lone surrogates too. */
export function clean(text: string): string {
  return text.toWellFormed().replace(/(?![\t\n\r])\p{Cc}|[\ufffe\uffff]/gu, "");
}

export function escapeHtml(text: string): string {
  return clean(text)
    .replaceAll("&", "&amp;")
    .replaceAll("<", "&lt;")
    .replaceAll(">", "&gt;")
    .replaceAll('"', "&quot;")
    .replaceAll("'", "&#39;");
}
