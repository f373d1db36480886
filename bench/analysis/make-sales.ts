// The flagship workbook: 5,000 sales rows over Q2 and Q3 of 2025 (a quarter-on-quarter comparison needs both), in which phones in
// East China grow by 23 % and 小米 14 系列 makes 68 % of the growth, OPPO Reno12 22 %. Run it to write the file:
//   node bench/analysis/make-sales.ts sales.xlsx
import { writeFileSync } from "node:fs";
import { writeXlsx } from "hucre/xlsx";
import { Random } from "./random.ts";

export const salesHeader = [
  "日期",
  "月份",
  "区域",
  "城市",
  "渠道",
  "品类",
  "产品",
  "销量（台）",
  "销售额（元）",
  "计划销售额（元）",
] as const;

export interface SalesRow {
  day: string;
  month: string;
  region: string;
  city: string;
  channel: string;
  category: string;
  product: string;
  units: number;
  amount: number;
  plan: number;
}

const cities: Record<string, readonly string[]> = {
  华东: ["上海", "杭州", "南京"],
  华南: ["广州", "深圳"],
  华北: ["北京", "天津"],
  西南: ["成都", "重庆"],
};
const products: Record<string, readonly (readonly [name: string, price: number])[]> = {
  手机: [
    ["小米 14 系列", 3999],
    ["OPPO Reno12", 2699],
    ["华为 Pura 70", 5499],
    ["荣耀 200", 2299],
  ],
  电脑: [
    ["联想小新 Pro", 5999],
    ["华为 MateBook", 6499],
    ["MacBook Air", 7999],
  ],
  家电: [
    ["扫地机器人", 2999],
    ["空气炸锅", 399],
    ["净水器", 1899],
  ],
};
const channels = ["线上商城", "直营门店", "经销商"];

/** 华东 phones in yuan: quarter totals of 10.0 and 12.3 million; the differences are 68 %, 22 %, 15 % and -5 % of 2.3 million. */
export const flagshipTotals: Readonly<Record<string, readonly [q2: number, q3: number]>> = {
  "小米 14 系列": [3_400_000, 4_964_000],
  "OPPO Reno12": [2_300_000, 2_806_000],
  "华为 Pura 70": [2_600_000, 2_945_000],
  "荣耀 200": [1_700_000, 1_585_000],
};

export function makeSalesRows(seed = 7, rowCount = 5000): SalesRow[] {
  const random = new Random(seed);
  const cells: Omit<SalesRow, "units" | "amount" | "plan" | "day" | "channel" | "city">[] = [];
  const prices = new Map<string, number>();
  for (const month of ["2025-04", "2025-05", "2025-06", "2025-07", "2025-08", "2025-09"]) {
    for (const region of Object.keys(cities)) {
      for (const [category, list] of Object.entries(products)) {
        for (const [product, price] of list) {
          prices.set(product, price);
          cells.push({ month, region, category, product });
        }
      }
    }
  }
  const rows = Array.from({ length: rowCount }, (_, index): SalesRow => {
    const cell = cells[index % cells.length] ?? random.pick(cells);
    const units = random.integer(5, 60);
    const amount = Math.round((prices.get(cell.product) ?? 1000) * units * (0.9 + 0.1 * random.next()));
    return {
      ...cell,
      day: `${cell.month}-${String(random.integer(1, cell.month.endsWith("4") || cell.month.endsWith("6") || cell.month.endsWith("9") ? 30 : 31)).padStart(2, "0")}`,
      city: random.pick(cities[cell.region] ?? []),
      channel: random.pick(channels),
      units,
      amount,
      plan: 0,
    };
  });
  const isFirst = (row: SalesRow): boolean => row.month < "2025-07";
  for (const [product, [first, second]] of Object.entries(flagshipTotals)) {
    const group = rows.filter((row) => row.region === "华东" && row.product === product);
    scaleTo(group.filter(isFirst), first);
    scaleTo(
      group.filter((row) => !isFirst(row)),
      second,
    );
  }
  for (const row of rows) row.plan = Math.round((row.amount * (0.92 + 0.16 * random.next())) / 100) * 100;
  return rows.sort((a, b) => (a.day < b.day ? -1 : a.day > b.day ? 1 : 0));
}

/** Scales the amounts to an exact sum; the last row takes what rounding leaves. */
function scaleTo(rows: readonly SalesRow[], total: number): void {
  const sum = rows.reduce((all, row) => all + row.amount, 0);
  let rest = total;
  for (const [index, row] of rows.entries()) {
    row.amount = index === rows.length - 1 ? rest : Math.round((row.amount * total) / sum);
    rest -= row.amount;
  }
}

export async function makeSalesWorkbook(rows: readonly SalesRow[] = makeSalesRows()): Promise<Uint8Array> {
  const cells = rows.map((row) => [
    new Date(`${row.day}T00:00:00Z`),
    row.month,
    row.region,
    row.city,
    row.channel,
    row.category,
    row.product,
    row.units,
    row.amount,
    row.plan,
  ]);
  return writeXlsx({
    sheets: [
      {
        name: "销售明细",
        rows: [["2025 年二、三季度销售明细"], [...salesHeader], ...cells],
        merges: [{ startRow: 0, startCol: 0, endRow: 0, endCol: salesHeader.length - 1 }],
      },
    ],
  });
}

if (import.meta.main) {
  const file = process.argv[2] ?? "sales.xlsx";
  writeFileSync(file, await makeSalesWorkbook());
  process.stdout.write(`${file}: 5,000 rows\n`);
}
