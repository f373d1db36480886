// Cells copied from a spreadsheet, a document or a web page: as a Markdown table, so that rows and columns reach the model as what they are.

const mostColumns = 100;

/** Undefined for what is not one table and nothing else. */
export function pastedTable(html: string): string | undefined {
  if (!/<table/i.test(html)) return undefined;
  const { body } = new DOMParser().parseFromString(html, "text/html"); // runs nothing and loads nothing
  const tables = body.querySelectorAll("table");
  const [table] = tables;
  if (table === undefined || tables.length > 1) return undefined;
  const rows = [...table.rows].map((row) => [...row.cells].flatMap(cellsOf));
  for (const style of body.querySelectorAll("style, script")) style.remove();
  table.remove();
  const width = Math.max(0, ...rows.map((cells) => cells.length));
  if (body.textContent?.trim() !== "" || rows.length < 2 || width < 2 || width > mostColumns) return undefined;
  const [head = [], ...rest] = rows.map((cells) => [...cells, ...Array<string>(width - cells.length).fill("")]);
  const line = (cells: readonly string[]): string => `| ${cells.join(" | ")} |`;
  return [line(head), line(head.map(() => "---")), ...rest.map(line)].join("\n");
}

/** A cell over several columns keeps its place with empty ones behind it. */
function cellsOf(cell: HTMLTableCellElement): string[] {
  const text = (cell.textContent ?? "").replaceAll(/\s+/g, " ").trim().replaceAll("|", "\\|");
  return [text, ...Array<string>(Math.min(mostColumns, cell.colSpan) - 1).fill("")];
}
