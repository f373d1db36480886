// The figures against the sheet's own total row: they match, they differ (and by how much, where), or the sheet states no total.
import { formatNumber } from "./format-number.ts";
import { columnLetters, quotedSheet } from "./grid.ts";
import type { Plan } from "./plan.ts";
import { sumOf } from "./quality.ts";
import { columnNamed, type Table } from "./table.ts";
import type { Words } from "./words.ts";

export interface Reconciliation {
  status: "matches" | "differs" | "no_total";
  words: Words;
  stated?: number;
  computed?: number;
  address?: string;
}

export function reconcile(plan: Plan, table: Table): Reconciliation {
  const metric = columnNamed(table, plan.metric);
  const total = table.totals.find((row) => row.kind === "total" && metric !== undefined && row.values.has(metric.id));
  if (metric === undefined || total === undefined || plan.aggregation !== "sum") {
    return {
      status: "no_total",
      words: {
        zh: `表内没有可核对的合计行；按 ${table.recordCount} 行数据计算`,
        en: `The sheet states no total to check against; computed from its ${table.recordCount} rows`,
      },
    };
  }
  const stated = total.values.get(metric.id) ?? 0;
  const computed = sumOf(metric.values, total.start, total.end);
  const at = `${metric.sheetColumn === undefined ? "" : columnLetters(metric.sheetColumn)}${total.sheetRow + 1}`;
  const address = table.hasSheets ? `${quotedSheet(table.sheet)}!${at}` : at;
  const [shownStated, shownComputed] = [stated, computed].map((value) => formatNumber(value, { decimals: 2 }));
  const tolerance = Math.max(0.01, 1e-9 * Math.abs(computed), 0.0051 * Math.sqrt(total.end - total.start));
  if (Math.abs(stated - computed) <= tolerance) {
    return {
      status: "matches",
      stated,
      computed,
      address,
      words: {
        zh: `与表内合计（${address}，${shownStated}）一致`,
        en: `Agrees with the sheet's own total (${address}, ${shownStated})`,
      },
    };
  }
  return {
    status: "differs",
    stated,
    computed,
    address,
    words: {
      zh: `与表内合计不一致：${address} 写的是 ${shownStated}，各行相加是 ${shownComputed}；以下按各行计算`,
      en: `Differs from the sheet's own total: ${address} says ${shownStated}, its rows add up to ${shownComputed}; the figures below follow the rows`,
    },
  };
}
