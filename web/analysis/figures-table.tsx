// The figures behind chart and sentences: as a table, and as the numbered facts that the sentences are held against.
import type { ReactElement } from "react";
import type { ChartBody, FactBody } from "../../src/server/api-types.ts";
import { CopyButton } from "../ui/copy-button.tsx";
import { useOfficeStrings } from "../use-office-strings.ts";

const shownRows = 60;

export function FiguresTable({
  chart,
  facts,
  chosen,
  onFact,
}: {
  chart: ChartBody | undefined;
  facts: readonly FactBody[];
  chosen: string | undefined;
  onFact: (id: string) => void;
}): ReactElement {
  const t = useOfficeStrings();
  const copied = (): { text: string } => ({
    text: facts.map(({ id, sentence, formula, cells }) => [id, sentence, formula, cells.range].join("\t")).join("\n"),
  });
  return (
    <section className="figures">
      <div className="chart-head">
        <h3>{t.facts}</h3>
        <CopyButton label={t.facts} content={copied} />
      </div>
      <ol className="facts">
        {facts.map((fact) => (
          <li key={fact.id}>
            <button type="button" aria-pressed={fact.id === chosen} onClick={() => onFact(fact.id)}>
              <span className="fact-id">{fact.id}</span> {fact.sentence}
            </button>
          </li>
        ))}
      </ol>
      {chart && chart.categories.length > 0 && chart.series.length > 0 && (
        <details className="figure-table">
          <summary>{t.figures}</summary>
          {/* biome-ignore lint/a11y/noNoninteractiveTabindex: wide tables scroll, and the keyboard must reach them */}
          <div className="table-scroll" tabIndex={0}>
            <table>
              <thead>
                <tr>
                  <th />
                  {chart.series.map(({ name }) => (
                    <th key={name}>
                      {name}
                      {chart.unit === "" ? "" : ` (${chart.unit})`}
                    </th>
                  ))}
                </tr>
              </thead>
              <tbody>
                {chart.categories.slice(0, shownRows).map((category, row) => (
                  <tr key={category}>
                    <th scope="row">{category}</th>
                    {chart.series.map(({ name, values }) => (
                      <td key={name}>{values[row]?.toLocaleString(undefined, { maximumFractionDigits: 2 })}</td>
                    ))}
                  </tr>
                ))}
              </tbody>
            </table>
          </div>
        </details>
      )}
    </section>
  );
}
