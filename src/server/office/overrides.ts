// Decisions of reading that a request overrules: the type, role, unit and order of dates of columns.
import type { WorkbookInput } from "../../analysis/analyse.ts";
import type { ColumnOverride } from "../../analysis/columns.ts";
import { refuse } from "../errors.ts";
import { Fields, given } from "../fields.ts";

export type Overrides = NonNullable<WorkbookInput["overrides"]>;

/** `{"t0": {"金额": {"type": "number", "unit": "万元"}}}`: by table id and by header, as the tables are listed. */
export function overridesOf(value: unknown): Overrides | undefined {
  if (value === undefined) return undefined;
  const byTable: Record<string, Record<string, ColumnOverride>> = {};
  const tables = Fields.of(value, "overrides");
  for (const id of tables.names()) {
    const columns = tables.object(id);
    if (columns === undefined) throw refuse(tables.path(id), `${tables.path(id)} must be an object.`);
    byTable[id] = Object.fromEntries(
      columns.names().map((header) => {
        const column = columns.object(header);
        if (column === undefined) throw refuse(columns.path(header), `${columns.path(header)} must be an object.`);
        for (const name of column.names())
          if (!["type", "role", "unit", "dateOrder"].includes(name))
            throw refuse(column.path(name), `${column.path(name)} is not known: type, role, unit or dateOrder.`);
        const override = {
          ...given("type", column.choice("type", ["number", "text", "date", "period", "boolean"])),
          ...given("role", column.choice("role", ["metric", "ratio", "dimension", "time", "id"])),
          ...given("unit", column.string("unit")),
          ...given("dateOrder", column.choice("dateOrder", ["mdy", "dmy"])),
        };
        return [header, override];
      }),
    );
  }
  return byTable;
}
