// A second dimension beside the first: for each category (a member, a point in time) the values of the few largest inner members, the
// rest folded into "others". Charts stack these; with several lines they are one line each.
import { sumOf } from "./quality.ts";

export interface StackLayer {
  /** "" for the others. */
  label: string;
  /** By category; NaN where an average has nothing to be of. */
  values: readonly number[];
  /** Of the others: how many they are. */
  memberCount?: number;
}

const mostLayers = 6;

export interface StackCell {
  category: number;
  label: string;
  value: number;
}

/** Layers by their size over all categories. Values that cannot be added (averages) have no others: the rest is left out. */
export function layersOf(
  cells: readonly StackCell[],
  { categories, isAdditive }: { categories: number; isAdditive: boolean },
): StackLayer[] {
  const byLabel = new Map<string, number[]>();
  for (const { category, label, value } of cells) {
    const values = byLabel.get(label) ?? new Array<number>(categories).fill(isAdditive ? 0 : Number.NaN);
    values[category] = value;
    byLabel.set(label, values);
  }
  const layers = [...byLabel].map(([label, values]) => ({ label, values, size: Math.abs(sumOf(values)) }));
  const sorted = layers.sort((a, b) => b.size - a.size || a.label.localeCompare(b.label));
  const isFolded = sorted.length > mostLayers + 1;
  const shown = sorted.slice(0, isFolded ? mostLayers : undefined).map(({ label, values }) => ({ label, values }));
  const rest = sorted.slice(shown.length);
  if (rest.length === 0 || !isAdditive) return shown;
  const others = Array.from({ length: categories }, (_, at) => sumOf(rest.map(({ values }) => values[at] ?? 0)));
  return [...shown, { label: "", values: others, memberCount: rest.length }];
}
