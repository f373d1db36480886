// What was done to a sheet to get its table, said in words: rows left out, hidden rows and columns, formulas.
import type { TableLayout } from "./detect-tables.ts";
import { addressOf, cellText, type Grid } from "./grid.ts";
import type { Column } from "./table.ts";
import type { Words } from "./words.ts";

export function describeExcluded({ excluded, headerRows, titles }: TableLayout, decisions: Words[]): void {
  if (titles.length > 0)
    decisions.push({
      zh: `表头上方的 ${titles.length} 行是标题：${titles.join("；")}`,
      en: `${titles.length} title ${titles.length === 1 ? "row" : "rows"} above the header: ${titles.join("; ")}`,
    });
  if (headerRows.length === 0)
    decisions.push({
      zh: "没有找到表头，列名用列字母",
      en: "no header row was found; columns are named by their letters",
    });
  else if (headerRows.length > 1)
    decisions.push({
      zh: `表头有 ${headerRows.length} 行，已合并`,
      en: `the header has ${headerRows.length} rows, joined into one`,
    });
  const kinds: readonly (readonly [string, Words])[] = [
    ["subtotal", { zh: "小计行", en: "subtotal rows" }],
    ["total", { zh: "合计行", en: "total rows" }],
    ["detail", { zh: "“其中”明细行", en: "rows that are part of another (“of which”)" }],
    ["section", { zh: "小标题行", en: "headings inside the table" }],
    ["repeated_header", { zh: "重复的表头行", en: "repeated header rows" }],
    ["note", { zh: "注释行", en: "note rows" }],
  ];
  for (const [kind, words] of kinds) {
    const rows = excluded.filter((row) => row.kind === kind).map(({ row }) => row + 1);
    if (rows.length === 0) continue;
    const shown = rows.slice(0, 8).join(", ") + (rows.length > 8 ? " …" : "");
    decisions.push({
      zh: `${rows.length} 个${words.zh}不计入数据（第 ${shown} 行）`,
      en: `${rows.length} ${words.en} are left out of the data (row ${shown})`,
    });
  }
}

/** Hidden rows and columns are read like the others, and said; gives how many rows are hidden. */
export function describeHidden(grid: Grid, rows: Int32Array, columns: readonly Column[], decisions: Words[]): number {
  const hidden = columns.filter((column) => column.isHidden).map((column) => column.name);
  if (hidden.length > 0)
    decisions.push({
      zh: `隐藏的列也已读入：${hidden.join("、")}`,
      en: `hidden columns are read too: ${hidden.join(", ")}`,
    });
  const hiddenRowCount = rows.reduce((count, row) => count + (grid.hiddenRows.has(row) ? 1 : 0), 0);
  if (hiddenRowCount > 0)
    decisions.push({ zh: `${hiddenRowCount} 个隐藏的行已计入`, en: `${hiddenRowCount} hidden rows are counted in` });
  return hiddenRowCount;
}

export interface FormulaCells {
  /** How many have the result that the file saved. */
  saved: number;
  /** Addresses of those without: a program wrote the file and nobody has computed it. */
  empty: readonly string[];
}

export function formulaCells(grid: Grid, { region, firstBodyRow }: TableLayout): FormulaCells {
  const empty: string[] = [];
  let saved = 0;
  for (const key of grid.formulas.keys()) {
    const row = Math.floor(key / 16_384);
    const column = key % 16_384;
    if (row < firstBodyRow || row > region.endRow || column < region.startColumn || column > region.endColumn) continue;
    if (cellText(grid, row, column) === "") empty.push(addressOf(grid, row, column));
    else saved++;
  }
  return { saved, empty };
}

export function describeFormulas({ saved, empty }: FormulaCells, decisions: Words[]): void {
  if (saved > 0)
    decisions.push({
      zh: `${saved} 个公式单元格取文件里保存的结果`,
      en: `${saved} formula cells are taken with the results saved in the file`,
    });
  if (empty.length > 0)
    decisions.push({
      zh: `${empty.length} 个公式单元格没有保存的结果，按空值处理`,
      en: `${empty.length} formula cells have no saved result and count as missing`,
    });
}
