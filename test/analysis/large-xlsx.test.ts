// The fast reader of large sheets gives the very grids that the general reader gives.
import assert from "node:assert/strict";
import test from "node:test";
import { makeSalesRows, makeSalesWorkbook } from "../../bench/analysis/make-sales.ts";
import { Random } from "../../bench/analysis/random.ts";
import { cellAt, type Grid } from "../../src/analysis/grid.ts";
import { readLargeXlsx } from "../../src/analysis/read-sheet-xml.ts";
import { readModern } from "../../src/analysis/read-workbook.ts";
import { type Cells, xlsx } from "./workbooks.ts";

function plain(grid: Grid) {
  const { sheet, rowCount, merges, hiddenRows, hiddenColumns, isHidden } = grid;
  const cells: unknown[] = [];
  for (let row = 0; row < rowCount; row++)
    for (let column = 0; column < grid.columns.length; column++) cells.push(cellAt(grid, row, column));
  return {
    sheet,
    rowCount,
    cells,
    merges,
    hiddenRows: [...hiddenRows],
    hiddenColumns: [...hiddenColumns],
    isHidden,
    formulas: [...grid.formulas],
    formats: grid.columns.map((column) => [...column.formats]),
  };
}

async function assertSame(bytes: Uint8Array): Promise<void> {
  const fast = readLargeXlsx(bytes, 0);
  assert.ok(fast, "the fast reader gave up");
  assert.deepEqual(fast.map(plain), (await readModern(bytes)).map(plain));
}

test("a real sheet with dates, titles and merges", async () => {
  await assertSame(await makeSalesWorkbook(makeSalesRows(5, 300)));
});

test("formulas, formats, errors, hidden rows, columns and sheets, several sheets, odd texts", async () => {
  await assertSame(
    await xlsx(
      {
        name: "一 & <二>",
        rows: [
          ["名", "值", "率"],
          ["a<b>&\"c'", 1.5, 0.25],
          ["  两端空格 ", -2e-7, 1],
          ["换\n行", 123456789012345, 0.1],
          [true, 1e21, "#N/A"],
          [null, null, 0.5],
        ],
        formats: { C: "0.0%", B: "#,##0.00" },
        formulas: { B6: ["SUM(B2:B5)", 7] },
        merges: ["A1:A2", "B4:C5"],
        hiddenRows: [3],
        hiddenColumns: [1],
      },
      {
        name: "隐藏",
        hidden: true,
        rows: [
          ["x", new Date("2025-02-28T00:00:00Z")],
          ["y", new Date("1999-12-31T12:30:00Z")],
        ],
      },
      { name: "空", rows: [[null]] },
    ),
  );
});

test("two hundred random sheets of every kind of cell", async () => {
  const random = new Random(20_251_122);
  const value = (): Cells[number][number] => {
    const kind = random.integer(0, 7);
    if (kind === 0) return null;
    if (kind === 1) return random.integer(-1e9, 1e9);
    if (kind === 2) return (random.next() - 0.5) * 10 ** random.integer(-12, 14);
    if (kind === 3) return random.pick(["", "华东", " a ", "&amp;", "<v>1</v>", "_x000D_", "é", "😀", "1,234", "=1+1"]);
    if (kind === 4) return random.next() < 0.5;
    if (kind === 5) return new Date(Date.UTC(random.integer(1950, 2050), random.integer(0, 11), random.integer(1, 28)));
    return Math.round(random.next() * 1e6) / 100;
  };
  for (let round = 0; round < 200; round++) {
    const width = random.integer(1, 30);
    await assertSame(
      await xlsx({ rows: Array.from({ length: random.integer(1, 12) }, () => Array.from({ length: width }, value)) }),
    );
  }
});

test("what is not of the plain form is left to the general reader", () => {
  assert.equal(readLargeXlsx(new Uint8Array([0x50, 0x4b, 5, 6, ...new Array(18).fill(0)]), 0), undefined);
});
