// Headings between the records ("一、手机", then its products), and groups that stand above their members with the sum of them, as a
// column of their own, so that one can ask for the parts they name.
import type { TableLayout } from "./detect-tables.ts";
import type { Grid } from "./grid.ts";
import { numbering } from "./nested-rows.ts";
import type { Column } from "./table.ts";
import { plainUnit } from "./unit.ts";

/** Undefined where the layout has no headings, or not every record stands below one. */
export function sectionColumn(
  grid: Grid,
  { excluded, headers }: TableLayout,
  rows: Int32Array,
  index: number,
): Column | undefined {
  const isInside = (row: number): boolean =>
    excluded.some(({ covers }) => covers !== undefined && covers[0] <= row && row <= covers[1]);
  const sections = excluded.filter(
    ({ kind, covers, row }) => kind === "section" || (covers !== undefined && !isInside(row)),
  );
  const areAllCovered = sections.every(({ kind }) => kind === "section") || rows.every((row) => isInside(row));
  const [first] = sections;
  if (first === undefined || first.row > (rows[0] ?? 0) || !areAllCovered) return undefined;
  const labels = [...new Set(sections.map(({ label }) => label.replace(numbering, "")))];
  const codes = sections.map(({ label }) => labels.indexOf(label.replace(numbering, "")));
  let at = 0;
  const values = Float64Array.from(rows, (row) => {
    while ((sections[at + 1]?.row ?? Number.POSITIVE_INFINITY) < row) at++;
    return codes[at] ?? Number.NaN;
  });
  const name = /\p{Script=Han}/u.test(`${grid.sheet}${headers.join("")}`) ? "分组" : "Section";
  return {
    id: `c${index}`,
    name: headers.includes(name) ? `${name} (2)` : name,
    header: name,
    type: "text",
    role: "dimension",
    unit: plainUnit,
    isPlan: false,
    isHidden: false,
    values,
    labels,
    missingCount: 0,
    decisions: [{ zh: "由表中的小标题行得来", en: "from the headings inside the table" }],
    unreadable: [],
    unreadableCount: 0,
  };
}
