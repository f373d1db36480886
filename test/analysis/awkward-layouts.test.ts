// Layouts that people make and that once read wrongly: units in a row of their own, sums above their parts, metrics in rows.
import assert from "node:assert/strict";
import test from "node:test";
import { OpenWorkbook } from "../../src/analysis/analyse.ts";
import { mainMetric } from "../../src/analysis/plan-defaults.ts";
import { checkQuality } from "../../src/analysis/quality.ts";
import { Store } from "../../src/analysis/store.ts";
import { recordAddress } from "../../src/analysis/table.ts";
import { collect } from "./collect.ts";
import { column, shown, tableOf, tablesOf, xlsx } from "./workbooks.ts";

const units = (table: Awaited<ReturnType<typeof tableOf>>): (readonly [string, string])[] =>
  table.columns.map(({ name, unit }) => [name, unit.symbol]);

test("a row of units below the names gives each column its unit and is no record", async () => {
  const table = await tableOf({
    rows: [
      ["产品", "单价", "数量", "金额"],
      [null, "元", "（台）", "万元"],
      ["A", 10, 5, 0.005],
      ["B", 20, 3, 0.006],
    ],
  });
  assert.deepEqual(units(table), [
    ["产品", ""],
    ["单价", "元"],
    ["数量", "台"],
    ["金额", "万元"],
  ]);
  assert.equal(table.recordCount, 2);
});

test("a header of three rows, merged, the last of them units", async () => {
  const table = await tableOf({
    rows: [
      ["2025年经营月报"],
      ["地区", "销售", null, null, "成本", null],
      [null, "线上", "线下", "退货率", "物流", "人工"],
      [null, "万元", "万元", "%", "元", "元"],
      ["华东", 12.5, 30, 1.2, 1000, 2000],
      ["华南", 8, 20, 2.5, 900, 1500],
      ["合计", 20.5, 50, null, 1900, 3500],
    ],
    merges: ["A1:F1", "A2:A4", "B2:D2", "E2:F2"],
  });
  assert.deepEqual(units(table), [
    ["地区", ""],
    ["销售 / 线上", "万元"],
    ["销售 / 线下", "万元"],
    ["销售 / 退货率", "%"],
    ["成本 / 物流", "元"],
    ["成本 / 人工", "元"],
  ]);
  assert.deepEqual(shown(column(table, "销售 / 退货率")), [0.012, 0.025]);
});

test("a form: title with its unit, maker and date, a blank line, the table, signatures below", async () => {
  const table = await tableOf({
    rows: [
      ["某公司2025年7月销售情况表（单位：万元）"],
      ["编制单位：某公司", null, null, "2025年7月31日"],
      [],
      ["序号", "门店", "本月", "上月", "增减%"],
      [1, "一店", 10, 8, "25%"],
      [2, "二店", 5, 6, "-16.7%"],
      ["合计", null, 15, 14, "7.1%"],
      ["制表人：李四", null, "审核：王五"],
    ],
  });
  assert.equal(table.name, "某公司2025年7月销售情况表");
  assert.equal(table.recordCount, 2);
  assert.deepEqual([column(table, "本月").unit.symbol, column(table, "增减").unit.symbol], ["万元", "%"]);
  assert.deepEqual(shown(column(table, "本月")), [10, 5]);
});

test("其中 rows are part of the row above and are not counted twice", async () => {
  const table = await tableOf({
    rows: [
      ["科目", "金额"],
      ["营业收入", 100],
      ["其中：主营", 80],
      ["　　其他", 20],
      ["营业成本", 60],
    ],
  });
  assert.deepEqual(shown(column(table, "金额")), [100, 60]);
  assert.ok(table.decisions.some(({ zh }) => /2 个“其中”明细行/.test(zh)));
});

test("a group that stands above its members with their sum is a subtotal, and names a column", async () => {
  const rows = [
    ["地区", "额"],
    ["华东", 31],
    ["  上海", 10],
    ["  杭州", 20],
    ["华南", 5],
    ["  广州", 5],
  ];
  const same = await tableOf({ rows });
  // 31 is not 10 + 20: nothing shows that 华东 is the sum of what is set in, so it stays a record.
  assert.deepEqual(shown(column(same, "额")), [31, 10, 20, 5]);
  const table = await tableOf({ rows: rows.map((row, index) => (index === 1 ? ["华东", 30] : row)) });
  assert.deepEqual(shown(column(table, "额")), [10, 20, 5]);
  assert.deepEqual(shown(column(table, "分组")), ["华东", "华东", "华南"]);
  assert.deepEqual(
    table.totals.map(({ label, start, end }) => [label, start, end]),
    [
      ["华东", 0, 2],
      ["华南", 2, 3],
    ],
  );
});

test("headings between the records become a column", async () => {
  const table = await tableOf({
    rows: [
      ["产品", "销量", "额"],
      ["一、手机", null, null],
      ["A", 1, 2],
      ["B", 3, 4],
      ["二、电脑", null, null],
      ["C", 5, 6],
    ],
  });
  assert.deepEqual(shown(column(table, "分组")), ["手机", "手机", "电脑"]);
  assert.deepEqual(shown(column(table, "额")), [2, 4, 6]);
});

test("records without figures are no headings", async () => {
  const table = await tableOf({
    rows: [
      ["产品", "销量", "额"],
      ["A", null, null],
      ["B", 3, 4],
      ["C", null, null],
      ["D", 5, 6],
    ],
  });
  assert.deepEqual(shown(column(table, "产品")), ["A", "B", "C", "D"]);
});

test("metrics in rows and months in columns are turned, each metric with its own unit, each cell with its address", async () => {
  const bytes = await xlsx({
    name: "表",
    rows: [
      ["指标", "1月", "2月", "3月"],
      ["销售额（万元）", 100, 110, 120],
      ["销量（台）", 1000, 1100, 1150],
      ["毛利率", "20%", "21%", "22%"],
    ],
  });
  const [table] = await tablesOf(bytes);
  assert.ok(table);
  assert.deepEqual(units(table).slice(1), [
    ["销售额", "万元"],
    ["销量", "台"],
    ["毛利率", "%"],
  ]);
  assert.deepEqual(shown(column(table, "毛利率")), [0.2, 0.21, 0.22]);
  assert.equal(recordAddress(table, 2, column(table, "销量")), "表!D3");
  using workbook = await OpenWorkbook.open({ name: "b.xlsx", bytes });
  const { analysis } = await collect(workbook.analyse({ plan: { kind: "trend", metric: "销售额" }, language: "zh" }));
  assert.equal(analysis.facts[0]?.sentence, "从1月到3月，销售额上升20%，从100万元到120万元。");
  assert.equal(analysis.facts[0]?.cells.range, "表!B2:D2");
});

test("members in rows and months in columns are not turned: they share one unit", async () => {
  const table = await tableOf({
    rows: [
      ["项目", "1月", "2月"],
      ["甲工程", 1, 2],
      ["乙工程", 3, 4],
    ],
  });
  assert.deepEqual(shown(column(table, "数值")), [1, 2, 3, 4]);
});

test("a number beside the months stands once a row, and is not spread over the periods", async () => {
  const table = await tableOf({
    rows: [
      ["Region", "Annual plan", "Jan-25", "Feb-25", "Q1 Total"],
      ["East", 50, 1, 2, 3],
      ["West", 60, 4, 5, 9],
    ],
  });
  assert.deepEqual(
    table.columns.map(({ name }) => name),
    ["Region", "Period", "Value"],
  );
  assert.ok(table.decisions.some(({ en }) => /"Annual plan, Q1 Total" holds one value a row/.test(en)));
});

test("months that a spreadsheet turned into dates are still months", async () => {
  const table = await tableOf({
    rows: [
      ["产品", new Date("2025-07-01T00:00:00Z"), new Date("2025-08-01T00:00:00Z")],
      ["A", 1, 2],
      ["B", 3, 4],
    ],
  });
  assert.equal(column(table, "期间").grain, "month");
});

test("a period and its measure in one header cell are told apart", async () => {
  const chinese = await tableOf({
    rows: [
      ["门店", "6月销售额（元）", "7月销售额（元）", "6月销量", "7月销量"],
      ["一店", 10, 12, 1, 2],
      ["二店", 20, 18, 3, 4],
    ],
  });
  assert.deepEqual(units(chinese).slice(2), [
    ["销售额", "元"],
    ["销量", ""],
  ]);
  const english = await tableOf({
    rows: [
      ["Store", "Sales Q1 2025", "Sales Q2 2025"],
      ["A", 10, 12],
      ["B", 20, 18],
    ],
  });
  assert.deepEqual([...new Set(shown(column(english, "Period")))], ["2025-01-01", "2025-04-01"]);
  assert.deepEqual(shown(column(english, "Sales")), [10, 12, 20, 18]);
  const years = await tableOf({
    rows: [
      ["产品", "2024年收入", "2025年收入"],
      ["A", 1, 2],
      ["B", 3, 4],
    ],
  });
  assert.deepEqual([column(years, "期间").grain, shown(column(years, "收入"))], ["year", [1, 2, 3, 4]]);
});

test("two tables side by side keep their own titles and lengths", async () => {
  const tables = await tablesOf(
    await xlsx({
      rows: [
        ["表一 销售", null, null, null, "表二 库存", null],
        ["区域", "月份", "销售额", null, "仓库", "库存量"],
        ["华东", "1月", 10, null, "上海仓", 100],
        ["华南", "1月", 20, null, "广州仓", 200],
        ["华东", "2月", 15, null, null, null],
      ],
    }),
  );
  assert.deepEqual(
    tables.map(({ name, recordCount }) => [name, recordCount]),
    [
      ["表一 销售", 3],
      ["表二 库存", 2],
    ],
  );
});

test("subtotals of regions between the products, the region named once, and a total that is wrong", async () => {
  const table = await tableOf({
    name: "表",
    rows: [
      ["区域", "产品", "销售额"],
      ["华东", "A", 1],
      [null, "B", 3],
      ["小计", null, 4],
      ["华南", "A", 5],
      [null, "B", 7],
      ["小计", null, 13],
      ["总计", null, 17],
    ],
  });
  assert.deepEqual(shown(column(table, "区域")), ["华东", "华东", "华南", "华南"]);
  using store = await Store.open();
  await store.load(table);
  const wrong = (await checkQuality(table, store)).filter(({ kind }) => kind === "totals");
  assert.deepEqual(
    wrong.map(({ addresses, words }) => [addresses[0], words.zh]),
    [
      ["表!C7", "表!C7 的“小计”（销售额）写的是 13，各行相加是 12"],
      ["表!C8", "表!C8 的“总计”（销售额）写的是 17，各行相加是 16"],
    ],
  );
});

test("of columns that are parts and their total, the total is the main one", async () => {
  const table = await tableOf({
    rows: [
      ["区域", "手机", "电脑", "合计"],
      ["华东", 1, 2, 3],
      ["华南", 3, 4, 7],
    ],
  });
  assert.equal(mainMetric(table)?.name, "合计");
});

test("formulas that no program has computed are an error with their addresses, not zeros", async () => {
  const table = await tableOf({
    name: "表",
    rows: [
      ["产品", "单价", "数量", "金额"],
      ["A", 2, 3, null],
      ["B", 4, 5, null],
    ],
    formulas: { D2: ["B2*C2", undefined], D3: ["B3*C3", undefined] },
  });
  assert.ok(table.decisions.some(({ zh }) => /2 个公式单元格没有保存的结果/.test(zh)));
  using store = await Store.open();
  await store.load(table);
  const [first] = await checkQuality(table, store);
  assert.deepEqual([first?.kind, first?.severity, first?.addresses], ["formulas", "error", ["表!D2", "表!D3"]]);
});

test("a table that begins in the third row and column is found where it is", async () => {
  const table = await tableOf({
    name: "表",
    rows: [[], [], [null, null, "区域", "额"], [null, null, "华东", 1], [null, null, "华南", 2]],
  });
  assert.equal(table.range, "表!C3:D5");
  assert.equal(recordAddress(table, 1, column(table, "额")), "表!D5");
});
