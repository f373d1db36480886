// Thirty workbooks as people really make them, each one behaviour of reading.
import assert from "node:assert/strict";
import test from "node:test";
import * as XLSX from "@e965/xlsx";
import iconv from "iconv-lite";
import { checkQuality } from "../../src/analysis/quality.ts";
import { Store } from "../../src/analysis/store.ts";
import { recordAddress } from "../../src/analysis/table.ts";
import { column, csvTable, shown, tableOf, tablesOf, xlsx } from "./workbooks.ts";

const body = [
  ["华东", "手机", 120],
  ["华东", "电脑", 80],
  ["华南", "手机", 60],
  ["华南", "电脑", 40],
];

test("1 · a plain table keeps the address of every cell", async () => {
  const table = await tableOf({ name: "销售", rows: [["区域", "品类", "销售额"], ...body] });
  assert.deepEqual(shown(column(table, "销售额")), [120, 80, 60, 40]);
  assert.equal(recordAddress(table, 2, column(table, "销售额")), "销售!C4");
  assert.equal(table.range, "销售!A1:C5");
});

test("2 · title rows above the header are titles, not data", async () => {
  const table = await tableOf({
    rows: [["2025 年销售报表"], ["制表：张三"], ["区域", "品类", "销售额"], ...body],
    merges: ["A1:C1"],
  });
  assert.deepEqual(table.titles, ["2025 年销售报表", "制表：张三"]);
  assert.equal(table.recordCount, 4);
});

test("3 · a blank line between title and header does not part them", async () => {
  const tables = await tablesOf(await xlsx({ rows: [["销售报表"], [], ["区域", "品类", "销售额"], ...body] }));
  assert.equal(tables.length, 1);
  assert.deepEqual(
    tables[0]?.columns.map(({ name }) => name),
    ["区域", "品类", "销售额"],
  );
});

test("4 · a two-row header with merges joins its levels", async () => {
  const table = await tableOf({
    rows: [
      ["区域", "线上", null, "线下", null],
      [null, "销量", "退货", "销量", "退货"],
      ["华东", 1, 2, 3, 4],
      ["华南", 5, 6, 7, 8],
    ],
    merges: ["A1:A2", "B1:C1", "D1:E1"],
  });
  assert.deepEqual(
    table.columns.map(({ name }) => name),
    ["区域", "线上 / 销量", "线上 / 退货", "线下 / 销量", "线下 / 退货"],
  );
  assert.equal(table.recordCount, 2);
});

test("5 · a group header without merges reaches over its blank neighbours", async () => {
  const table = await tableOf({
    rows: [
      [null, "线上", null, "线下", null],
      ["区域", "销量", "退货", "销量", "退货"],
      ["华东", 1, 2, 3, 4],
      ["华南", 5, 6, 7, 8],
    ],
  });
  assert.deepEqual(
    table.columns.map(({ name }) => name),
    ["区域", "线上 / 销量", "线上 / 退货", "线下 / 销量", "线下 / 退货"],
  );
});

test("6 · units in headers are taken out of the name", async () => {
  const table = await tableOf({
    rows: [
      ["产品", "销售额（万元）", "毛利率(%)", "重量/kg", "数量【台】"],
      ["A", 12.5, 23.5, 3, 4],
      ["B", 8, 18, 2, 5],
    ],
  });
  assert.deepEqual(
    table.columns.map(({ name, unit }) => [name, unit.symbol, unit.kind]),
    [
      ["产品", "", "plain"],
      ["销售额", "万元", "money"],
      ["毛利率", "%", "percent"],
      ["重量", "kg", "mass"],
      ["数量", "台", "count"],
    ],
  );
  assert.deepEqual(shown(column(table, "毛利率")), [0.235, 0.18]);
});

test("7 · a unit line above the table gives its unit to amounts, not to counts and rates", async () => {
  const table = await tableOf({
    rows: [
      ["销售汇总"],
      ["单位：万元"],
      ["区域", "销售额", "销量", "毛利率"],
      ["华东", 12, 30, "12%"],
      ["华南", 8, 20, "15%"],
    ],
  });
  assert.deepEqual(
    [column(table, "销售额").unit.symbol, column(table, "销量").unit.symbol, column(table, "毛利率").unit.symbol],
    ["万元", "", "%"],
  );
});

test("8 · total and subtotal rows are left out and named", async () => {
  const table = await tableOf({
    rows: [
      ["区域", "品类", "销售额"],
      ...body.slice(0, 2),
      ["华东小计", null, 200],
      ...body.slice(2),
      ["华南小计", null, 100],
      ["合计", null, 300],
    ],
  });
  assert.equal(table.recordCount, 4);
  assert.deepEqual(
    table.totals.map(({ kind, label }) => [kind, label]),
    [
      ["subtotal", "华东小计"],
      ["subtotal", "华南小计"],
      ["total", "合计"],
    ],
  );
  assert.ok(table.decisions.some(({ zh }) => /2 个小计行不计入/.test(zh)));
});

test("9 · a total that does not add up is found with its address", async () => {
  const table = await tableOf({ name: "表1", rows: [["区域", "品类", "销售额"], ...body, ["合计", null, 310]] });
  using store = await Store.open();
  await store.load(table);
  const finding = (await checkQuality(table, store)).find(({ kind }) => kind === "totals");
  assert.equal(finding?.severity, "error");
  assert.deepEqual(finding?.addresses, ["表1!C6"]);
  assert.match(finding?.words.zh ?? "", /310.*300/);
});

test("10 · a total row without a label is known by its SUM formula", async () => {
  const table = await tableOf({
    rows: [["区域", "品类", "销售额"], ...body, [null, null, 300]],
    formulas: { C6: ["SUM(C2:C5)", 300] },
  });
  assert.equal(table.recordCount, 4);
  assert.equal(table.totals[0]?.values.get("c2"), 300);
});

test("11 · formulas count with the result saved in the file", async () => {
  const table = await tableOf({
    rows: [
      ["产品", "单价", "数量", "金额"],
      ["A", 2, 3, 6],
      ["B", 4, 5, 20],
    ],
    formulas: { D2: ["B2*C2", 6], D3: ["B3*C3", 20] },
  });
  assert.deepEqual(shown(column(table, "金额")), [6, 20]);
  assert.ok(table.decisions.some(({ en }) => /2 formula cells/.test(en)));
});

test("12 · numbers stored as text are numbers: separators, brackets, currency, 万", async () => {
  const table = await tableOf({
    rows: [
      ["项目", "金额"],
      ["A", "1,234.50"],
      ["B", "(300)"],
      ["C", "￥88"],
      ["D", "1.2万"],
      ["E", "１２０"],
      ["F", "45-"],
    ],
  });
  assert.deepEqual(shown(column(table, "金额")), [1234.5, -300, 88, 12000, 120, -45]);
  assert.match(column(table, "金额").decisions[0]?.zh ?? "", /6 个单元格的数字存成了文字/);
});

test("13 · percent as text, as format and as number mean the same", async () => {
  const text = await tableOf({
    rows: [
      ["产品", "增长率"],
      ["A", "12%"],
      ["B", "-3.5%"],
    ],
  });
  const format = await tableOf({
    rows: [
      ["产品", "增长"],
      ["A", 0.12],
      ["B", -0.035],
    ],
    formats: { B: "0.0%" },
  });
  const number = await tableOf({
    rows: [
      ["产品", "增长率%"],
      ["A", 12],
      ["B", -3.5],
    ],
  });
  for (const table of [text, format, number]) {
    const growth = table.columns[1];
    assert.deepEqual(growth && shown(growth), [0.12, -0.035]);
    assert.equal(growth?.role, "ratio");
  }
});

test("14 · Chinese, ISO, slashed and compact dates are one date column", async () => {
  const table = await tableOf({
    rows: [
      ["日期", "金额"],
      ["2025年7月3日", 1],
      ["2025-07-04", 2],
      ["2025/7/5", 3],
      ["2025.7.6", 4],
      [new Date("2025-07-07T00:00:00Z"), 5],
      ["20250708", 6],
    ],
  });
  assert.deepEqual(shown(column(table, "日期")), [
    "2025-07-03",
    "2025-07-04",
    "2025-07-05",
    "2025-07-06",
    "2025-07-07",
    "2025-07-08",
  ]);
});

test("15 · 25/12/2025 settles that the day comes first, and says so", async () => {
  const table = await tableOf({
    rows: [
      ["date", "amount"],
      ["03/04/2025", 1],
      ["25/12/2025", 2],
    ],
  });
  assert.deepEqual(shown(column(table, "date")), ["2025-04-03", "2025-12-25"]);
  assert.match(column(table, "date").decisions[0]?.en ?? "", /day first/);
});

test("16 · periods: 2025Q3, FY24, 第三季度, 7月 each read at their grain", async () => {
  const quarters = await tableOf({
    rows: [
      ["期间", "额"],
      ["2025Q2", 1],
      ["2025年第三季度", 2],
    ],
  });
  assert.deepEqual(shown(column(quarters, "期间")), ["2025-04-01", "2025-07-01"]);
  const fiscal = await tableOf({
    rows: [
      ["year", "sales"],
      ["FY23", 1],
      ["FY24", 2],
    ],
  });
  assert.deepEqual([column(fiscal, "year").grain, column(fiscal, "year").isFiscal], ["year", true]);
  const months = await tableOf({
    rows: [
      ["月份", "额"],
      ["7月", 1],
      ["十二月", 2],
    ],
  });
  assert.deepEqual([column(months, "月份").grain, column(months, "月份").hasYear], ["month", false]);
});

test("17 · year and month columns join into one time column", async () => {
  const table = await tableOf({
    rows: [
      ["年份", "月份", "区域", "销售额"],
      [2024, 12, "华东", 5],
      [2025, 1, "华东", 6],
    ],
  });
  assert.deepEqual(shown(column(table, "年份月份")), ["2024-12-01", "2025-01-01"]);
});

test("18 · months as columns become rows, and their total column is left out", async () => {
  const table = await tableOf({
    name: "表",
    rows: [
      ["区域", "1月", "2月", "3月", "合计"],
      ["华东", 1, 2, 3, 6],
      ["华南", 4, 5, 6, 15],
    ],
  });
  assert.equal(table.recordCount, 6);
  assert.deepEqual(shown(column(table, "数值")), [1, 2, 3, 4, 5, 6]);
  assert.equal(recordAddress(table, 4, column(table, "数值")), "表!C3");
  assert.equal(
    table.columns.some(({ name }) => name === "合计"),
    false,
  );
});

test("19 · years over months as a two-row header become rows with a year", async () => {
  const table = await tableOf({
    rows: [
      ["区域", "2024年", null, "2025年", null],
      [null, "1月", "2月", "1月", "2月"],
      ["华东", 1, 2, 3, 4],
      ["华南", 5, 6, 7, 8],
    ],
    merges: ["A1:A2", "B1:C1", "D1:E1"],
  });
  assert.deepEqual(
    [...new Set(shown(column(table, "期间")))],
    ["2024-01-01", "2024-02-01", "2025-01-01", "2025-02-01"],
  );
});

test("20 · merged cells in the body give their value to every row", async () => {
  const table = await tableOf({
    rows: [
      ["区域", "品类", "销售额"],
      ["华东", "手机", 1],
      [null, "电脑", 2],
      ["华南", "手机", 3],
      [null, "电脑", 4],
    ],
    merges: ["A2:A3", "A4:A5"],
  });
  assert.deepEqual(shown(column(table, "区域")), ["华东", "华东", "华南", "华南"]);
});

test("21 · a report that prints each group name once is filled down, and says so", async () => {
  const table = await tableOf({
    rows: [
      ["区域", "品类", "销售额"],
      ["华东", "手机", 1],
      [null, "电脑", 2],
      [null, "家电", 3],
      ["华南", "手机", 4],
      [null, "电脑", 5],
      [null, "家电", 6],
    ],
  });
  assert.deepEqual(shown(column(table, "区域")), ["华东", "华东", "华东", "华南", "华南", "华南"]);
  assert.ok(table.decisions.some(({ zh }) => /空白处沿用上一行/.test(zh)));
});

test("22 · two tables side by side are two tables", async () => {
  const tables = await tablesOf(
    await xlsx({
      rows: [
        ["区域", "销售额", null, "产品", "库存"],
        ["华东", 1, null, "A", 10],
        ["华南", 2, null, "B", 20],
        ["华北", 3, null, "C", 30],
      ],
    }),
  );
  assert.deepEqual(tables.map(({ range }) => range).sort(), ["Sheet1!A1:B4", "Sheet1!D1:E4"]);
});

test("23 · two tables one above the other are two tables", async () => {
  const tables = await tablesOf(
    await xlsx({ rows: [["区域", "销售额"], ["华东", 1], ["华南", 2], [], ["产品", "库存"], ["A", 10], ["B", 20]] }),
  );
  assert.deepEqual(tables.map(({ columns }) => columns.map(({ name }) => name).join()).sort(), [
    "产品,库存",
    "区域,销售额",
  ]);
});

test("24 · a blank row inside a table does not end it", async () => {
  const tables = await tablesOf(
    await xlsx({ rows: [["区域", "品类", "销售额"], ...body.slice(0, 2), [], ...body.slice(2)] }),
  );
  assert.equal(tables.length, 1);
  assert.equal(tables[0]?.recordCount, 4);
});

test("25 · hidden rows and columns are read and reported", async () => {
  const table = await tableOf({
    rows: [
      ["区域", "成本", "销售额"],
      ["华东", 1, 2],
      ["华南", 3, 4],
      ["华北", 5, 6],
    ],
    hiddenRows: [2],
    hiddenColumns: [1],
  });
  assert.equal(table.recordCount, 3);
  assert.equal(table.hiddenRowCount, 1);
  assert.ok(table.decisions.some(({ zh }) => /隐藏的列也已读入：成本/.test(zh)));
});

test("26 · what is no number in a number column is missing, listed with its address", async () => {
  const rows = Array.from({ length: 20 }, (_, i) => [`P${i}`, i === 7 ? "约三百" : i === 9 ? "暂无" : i]);
  const table = await tableOf({ name: "表", rows: [["产品", "数量"], ...rows] });
  const quantity = column(table, "数量");
  assert.deepEqual([quantity.type, quantity.missingCount, quantity.unreadableCount], ["number", 2, 1]);
  assert.deepEqual(quantity.unreadable, [{ address: "表!B9", text: "约三百" }]);
});

test("27 · identifiers are not added up: order numbers, leading zeros, long digits", async () => {
  const table = await csvTable("订单号,门店编码,金额\n202507010001,007,5\n202507010002,008,6\n");
  assert.deepEqual(
    table.columns.map(({ role }) => role),
    ["id", "id", "metric"],
  );
  assert.deepEqual(shown(column(table, "门店编码")), ["007", "008"]);
});

test("28 · a GBK CSV with semicolons reads as it should", async () => {
  const table = await csvTable(
    new Uint8Array(iconv.encode("区域;品类;销售额\n华东;手机;1200\n华南;电脑;800\n", "gbk")),
  );
  assert.deepEqual(shown(column(table, "区域")), ["华东", "华南"]);
  assert.equal(recordAddress(table, 0, column(table, "销售额")), "C2");
});

test("29 · quoted cells with commas, quotes and line breaks; tabs; a byte order mark; UTF-16", async () => {
  const quoted = await csvTable('name,note,n\n"a, b","say ""hi""\nthere",1\nc,d,2\n');
  assert.deepEqual(shown(column(quoted, "note")), ['say "hi" there', "d"]);
  const tabs = await csvTable("\ufeff区域\t额\n华东\t1\n华南\t2\n", "data.tsv");
  assert.deepEqual(shown(column(tabs, "区域")), ["华东", "华南"]);
  const wide = await csvTable(new Uint8Array(Buffer.from("\ufeff区域,额\n华东,1\n华南,2\n", "utf16le")));
  assert.deepEqual(shown(column(wide, "额")), [1, 2]);
});

test("30 · an old XLS file reads like a new one: dates, formats, merges", async () => {
  const sheet = XLSX.utils.aoa_to_sheet([
    ["销售表"],
    ["日期", "区域", "占比"],
    [45_841, "华东", 0.25],
    [45_842, "华南", 0.75],
  ]);
  for (const address of ["A3", "A4"]) sheet[address].z = "yyyy-mm-dd";
  for (const address of ["C3", "C4"]) sheet[address].z = "0.0%";
  sheet["!merges"] = [{ s: { r: 0, c: 0 }, e: { r: 0, c: 2 } }];
  const book = XLSX.utils.book_new();
  XLSX.utils.book_append_sheet(book, sheet, "老表");
  const [table] = await tablesOf(
    new Uint8Array(XLSX.write(book, { type: "buffer", bookType: "biff8" })),
    {},
    "old.xls",
  );
  assert.ok(table);
  assert.deepEqual(shown(column(table, "日期")), ["2025-07-03", "2025-07-04"]);
  assert.deepEqual([column(table, "占比").unit.symbol, table.titles], ["%", ["销售表"]]);
});

test("31 · no header: columns get their letters and the first row is data", async () => {
  const table = await tableOf({
    rows: [
      ["华东", 120, 3],
      ["华南", 80, 4],
      ["华北", 60, 5],
    ],
  });
  assert.equal(table.recordCount, 3);
  assert.deepEqual(
    table.columns.map(({ name }) => name),
    ["A", "B", "C"],
  );
});

test("32 · header repeated on every printed page, and notes below, are left out", async () => {
  const table = await tableOf({
    rows: [
      ["区域", "品类", "销售额"],
      ...body.slice(0, 2),
      ["区域", "品类", "销售额"],
      ...body.slice(2),
      ["注：数据来自财务系统"],
    ],
  });
  assert.equal(table.recordCount, 4);
  assert.ok(
    table.decisions.some(({ zh }) => /重复的表头行/.test(zh)) && table.decisions.some(({ zh }) => /注释行/.test(zh)),
  );
});

test("33 · error cells are missing and listed; typing can be overruled", async () => {
  const rows = Array.from({ length: 12 }, (_, i) => [`P${i}`, i === 3 ? "#DIV/0!" : i + 1]);
  const table = await tableOf(
    { rows: [["产品", "年度"], ...rows] },
    { overrides: { t0: { 年度: { type: "number", unit: "万元" } } } },
  );
  const year = column(table, "年度");
  assert.deepEqual([year.type, year.unit.symbol, year.unreadableCount], ["number", "万元", 1]);
  assert.ok(year.decisions.some(({ en }) => /as you set it/.test(en)));
});
