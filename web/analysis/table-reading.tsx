// How the table was read: every decision in words, and the type and unit of each column to be overruled. What was changed is sent along
// with each question about this file.
import { type ReactElement, useState } from "react";
import type { ColumnBody, OverridesBody, TableBody } from "../../src/server/api-types.ts";
import { usePreferences } from "../preferences.ts";
import { useOfficeStrings } from "../use-office-strings.ts";

type Override = OverridesBody[string][string];
const types = ["number", "text", "date", "period"] as const;

export function TableReading({
  table,
  overrides,
  onOverrides,
}: {
  table: TableBody;
  overrides: OverridesBody;
  onOverrides: (overrides: OverridesBody) => void;
}): ReactElement {
  const t = useOfficeStrings();
  const { language } = usePreferences();
  const own = overrides[table.id] ?? {};
  const put = (column: ColumnBody, change: Override): void =>
    onOverrides({ ...overrides, [table.id]: { ...own, [column.header]: { ...own[column.header], ...change } } });
  return (
    <details className="table-reading">
      <summary>{t.howRead}</summary>
      <p className="hint">{table.range}</p>
      {table.decisions.length > 0 && (
        <ul>
          {table.decisions.map((words) => (
            <li key={words.en}>{words[language]}</li>
          ))}
        </ul>
      )}
      {/* biome-ignore lint/a11y/noNoninteractiveTabindex: wide tables scroll, and the keyboard must reach them */}
      <div className="table-scroll" tabIndex={0}>
        <table>
          <thead>
            <tr>
              <th>{t.column}</th>
              <th>{t.columnType}</th>
              <th>{t.columnUnit}</th>
              <th>{t.because}</th>
            </tr>
          </thead>
          <tbody>
            {table.columns.map((column) => (
              <tr key={column.id}>
                <th scope="row">{column.name}</th>
                <td>
                  {column.isMade ? (
                    t.columnTypes[column.type]
                  ) : (
                    <select
                      aria-label={`${column.name}: ${t.columnType}`}
                      value={column.type}
                      onChange={(event) => {
                        const type = types.find((each) => each === event.target.value);
                        if (type) put(column, { type });
                      }}
                    >
                      {[...new Set([...types, column.type])].map((type) => (
                        <option key={type} value={type} disabled={type === "boolean"}>
                          {t.columnTypes[type] ?? type}
                        </option>
                      ))}
                    </select>
                  )}
                </td>
                <td>
                  {column.type === "number" &&
                    (column.isMade ? (
                      column.unit
                    ) : (
                      <UnitField key={column.unit} column={column} onUnit={(unit) => put(column, { unit })} />
                    ))}
                </td>
                <td className="hint">
                  {column.decisions.map((words) => words[language]).join(language === "zh" ? "；" : "; ")}
                </td>
              </tr>
            ))}
          </tbody>
        </table>
      </div>
      {Object.keys(own).length > 0 && (
        <button
          type="button"
          className="button"
          onClick={() => {
            const { [table.id]: _own, ...others } = overrides;
            onOverrides(others);
          }}
        >
          {t.readAsFound}
        </button>
      )}
    </details>
  );
}

/** Takes effect when it is left, or with Enter: a unit half typed is none. */
function UnitField({ column, onUnit }: { column: ColumnBody; onUnit: (unit: string) => void }): ReactElement {
  const t = useOfficeStrings();
  const [unit, setUnit] = useState(column.unit);
  const settle = (): void => {
    if (unit.trim() !== column.unit) onUnit(unit.trim());
  };
  return (
    <input
      type="text"
      size={6}
      aria-label={`${column.name}: ${t.columnUnit}`}
      value={unit}
      onChange={(event) => setUnit(event.target.value)}
      onBlur={settle}
      onKeyDown={(event) => {
        if (event.key === "Enter") settle();
      }}
    />
  );
}
