// Numbers as the bench reports them: a median of several runs with its spread, never a single run, and ratios whose two sides were
// measured alternately in one process, so that a machine that slows down slows both.

export interface Row {
  name: string;
  value: number;
  unit: string;
  /** Half the distance between the smallest and the largest run, relative to the median. */
  spread?: number;
  /** What is compared with, or what the row means. */
  note?: string;
  /** The bar, when there is one, and whether it holds. */
  bar?: string;
  holds?: boolean;
}

export function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b);
  const middle = sorted.length >> 1;
  const [low = Number.NaN, high = Number.NaN] = [sorted[sorted.length % 2 === 0 ? middle - 1 : middle], sorted[middle]];
  return (low + high) / 2;
}

export function toRow(name: string, values: readonly number[], rest: Omit<Row, "name" | "value" | "spread">): Row {
  const value = median(values);
  const spread = value === 0 ? 0 : (Math.max(...values) - Math.min(...values)) / 2 / Math.abs(value);
  return { name, value, spread, ...rest };
}

/** Runs each of `sides` once a round, in an order that turns, and returns their values by side. */
export async function alternately(rounds: number, sides: readonly (() => Promise<number>)[]): Promise<number[][]> {
  const values: number[][] = sides.map(() => []);
  for (let round = 0; round < rounds; round++) {
    for (let turn = 0; turn < sides.length; turn++) {
      const side = (turn + round) % sides.length;
      values[side]?.push((await sides[side]?.()) ?? Number.NaN);
    }
  }
  return values;
}

/** Median of the ratios within each round: steadier than the ratio of the medians when the machine drifts. */
export function ratios(above: readonly number[], below: readonly number[]): number[] {
  return above.map((value, index) => value / (below[index] ?? Number.NaN));
}

export function toTable(rows: readonly Row[]): string {
  const cells = rows.map(({ name, value, unit, spread, bar, holds, note }) => [
    name,
    `${toFigure(value)} ${unit}`,
    spread === undefined ? "" : `±${(spread * 100).toFixed(0)} %`,
    bar === undefined ? "" : `${bar}${holds ? "" : "  MISSED"}`,
    note ?? "",
  ]);
  const widths = [0, 1, 2, 3].map((column) => Math.max(...cells.map((row) => row[column]?.length ?? 0)));
  return cells
    .map((row) =>
      row
        .map((cell, column) => cell.padEnd(widths[column] ?? 0))
        .join("  ")
        .trimEnd(),
    )
    .join("\n");
}

export function toFigure(value: number): string {
  if (!Number.isFinite(value)) return "-";
  const magnitude = Math.abs(value);
  return magnitude >= 100 ? String(Math.round(value)) : magnitude >= 10 ? value.toFixed(1) : value.toFixed(2);
}
