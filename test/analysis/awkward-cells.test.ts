// Cells that people type and that once read wrongly: mixed units and currencies, commas for points, day numbers among dates.
import assert from "node:assert/strict";
import test from "node:test";
import iconv from "iconv-lite";
import { OpenWorkbook } from "../../src/analysis/analyse.ts";
import { decimalMark, parseNumber } from "../../src/analysis/parse-number.ts";
import { checkQuality } from "../../src/analysis/quality.ts";
import { Store } from "../../src/analysis/store.ts";
import { collect } from "./collect.ts";
import { column, csvTable, shown, tableOf } from "./workbooks.ts";

test("negative in brackets inside and outside the currency, 元 and 万元 mixed", async () => {
  const table = await tableOf({
    rows: [
      ["项目", "利润"],
      ["A", "¥(1,200)"],
      ["B", "(¥300.50)"],
      ["C", "1.2万元"],
      ["D", "￥3,000"],
      ["E", "-2万"],
      ["F", "¥-8"],
    ],
  });
  assert.deepEqual(shown(column(table, "利润")), [-1200, -300.5, 12000, 3000, -20000, -8]);
  assert.equal(column(table, "利润").unit.base, "元");
});

test("a magnitude in the cell counts once under a header that has one too", async () => {
  const table = await tableOf({
    rows: [
      ["项目", "金额（万元）"],
      ["A", "1.2万元"],
      ["B", "3亿"],
      ["C", "45"],
      ["D", "¥6"],
    ],
  });
  assert.deepEqual(shown(column(table, "金额")), [1.2, 30000, 45, 6]);
});

test("grams and kilograms in one column are one measure", async () => {
  const table = await tableOf({
    rows: [
      ["品", "重量"],
      ["A", "3kg"],
      ["B", "2.5 公斤"],
      ["C", "500g"],
      ["D", "0.1吨"],
    ],
  });
  assert.deepEqual(shown(column(table, "重量")), [3, 2.5, 0.5, 100]);
  assert.ok(column(table, "重量").decisions.some(({ zh }) => /同类的换算成/.test(zh)));
});

test("another currency cannot be added: left out, listed, and an error of the data", async () => {
  const table = await tableOf({
    name: "S",
    rows: [
      ["Region", "Revenue"],
      ["East", "$120"],
      ["West", "¥800"],
      ["North", "$95"],
      ["South", "€10"],
    ],
  });
  assert.deepEqual(shown(column(table, "Revenue")), [120, null, 95, null]);
  using store = await Store.open();
  await store.load(table);
  const finding = (await checkQuality(table, store)).find(({ kind }) => kind === "unreadable");
  assert.deepEqual([finding?.severity, finding?.addresses], ["error", ["S!B3", "S!B5"]]);
});

test("$1.2M and $800K are money; 5 m is a length", async () => {
  const table = await tableOf({
    rows: [
      ["Region", "Revenue"],
      ["East", "$1.2M"],
      ["West", "$800K"],
      ["North", "$0.95m"],
    ],
  });
  assert.deepEqual(shown(column(table, "Revenue")), [1_200_000, 800_000, 950_000]);
  assert.equal(parseNumber("5 m")?.unit?.kind, "length");
});

test("percentages typed as bare text under a % header are percentages", async () => {
  const table = await tableOf({
    rows: [
      ["区　域", "销售额\n（万元）", "同比\n(%)"],
      ["华东", 1, "12.5"],
      ["华南", 2, "-3"],
      ["华北", 2, "(4.5)"],
    ],
  });
  assert.deepEqual(shown(column(table, "同比")), [0.125, -0.03, -0.045]);
});

test("a few percentages among amounts are left out rather than added to them", async () => {
  const table = await tableOf({
    rows: [["科目", "金额"], ...Array.from({ length: 20 }, (_, i) => [`K${i}`, i === 7 ? "12%" : 100 + i])],
  });
  assert.equal(column(table, "金额").values[7], Number.NaN);
  assert.equal(column(table, "金额").unit.kind, "plain");
});

test("spaces part thousands, and the comma the fraction, when the column says so", async () => {
  const table = await tableOf({
    rows: [
      ["品", "数量", "Betrag"],
      ["A", " 1 234 ", "1 234,50"],
      ["B", "2 000", "999,00"],
      ["C", "3\u00a0500", "2.500,25"],
      ["D", "1'200", "1.234"],
    ],
  });
  assert.deepEqual(shown(column(table, "数量")), [1234, 2000, 3500, 1200]);
  assert.deepEqual(shown(column(table, "Betrag")), [1234.5, 999, 2500.25, 1234]);
  assert.match(column(table, "Betrag").decisions[0]?.zh ?? "", /逗号是小数点/);
});

test("one plain point settles that the comma parts thousands", () => {
  assert.equal(decimalMark(["1,23", "4.5"]), ".");
  assert.equal(decimalMark(["1,234", "5,678"]), ".");
  assert.equal(decimalMark(["12,5%", "8,0%"]), ",");
  assert.equal(parseNumber("1,2345")?.value, 12345);
  assert.equal(parseNumber("01.07.2025", ","), undefined);
});

test("a GBK file with semicolons, day.month.year and decimal commas", async () => {
  const text =
    "日期;区域;销售额;毛利率\n01.07.2025;华东;1.234,50;12,5%\n02.07.2025;华南;2.500;8,0%\n13.07.2025;华北;99,90;10%\n";
  const table = await csvTable(new Uint8Array(iconv.encode(text, "gbk")));
  assert.deepEqual(shown(column(table, "日期")), ["2025-07-01", "2025-07-02", "2025-07-13"]);
  assert.deepEqual(shown(column(table, "销售额")), [1234.5, 2500, 99.9]);
  assert.deepEqual(shown(column(table, "毛利率")), [0.125, 0.08, 0.1]);
});

test("day numbers among dates are dates; without any date beside them and without a name they stay numbers", async () => {
  const table = await tableOf({
    rows: [
      ["下单", "发货", "额"],
      [45839, 45839, 1],
      ["2025/7/4", 45840, 2],
      [45842, 45842, 3],
    ],
  });
  assert.deepEqual(shown(column(table, "下单")), ["2025-07-01", "2025-07-04", "2025-07-04"]);
  assert.match(column(table, "下单").decisions[0]?.zh ?? "", /2 个是 Excel 的日期序号/);
  assert.equal(column(table, "发货").type, "number");
  const set = await tableOf(
    {
      rows: [
        ["发货", "额"],
        [45839, 1],
        [45840, 2],
      ],
    },
    { overrides: { t0: { 发货: { type: "date" } } } },
  );
  assert.deepEqual(shown(column(set, "发货")), ["2025-07-01", "2025-07-02"]);
});

test("2025年7月, 7/1/25 and stretches of days each read as time", async () => {
  const table = await tableOf({
    rows: [
      ["月份", "Date", "周期", "额"],
      ["2025年7月", "7/1/25", "2025-07-01~2025-07-07", 1],
      ["2025年8月", "7/15/25", "2025-07-08 至 2025-07-14", 2],
    ],
  });
  assert.deepEqual(
    ["月份", "Date", "周期"].map((name) => shown(column(table, name))[1]),
    ["2025-08-01", "2025-07-15", "2025-07-08"],
  );
});

test("a price for each piece is a price: averaged, not added up", async () => {
  const table = await tableOf({
    rows: [
      ["产品", "成本（元/台）"],
      ["A", 10],
      ["B", 20],
    ],
  });
  assert.deepEqual([column(table, "成本").unit.symbol, column(table, "成本").role], ["元/台", "ratio"]);
});

test("a rate moves in percentage points, and a column in 万元 keeps its 万", async () => {
  using workbook = await OpenWorkbook.open({
    name: "b",
    tables: [
      {
        name: "b",
        rows: [
          ["月份", "区域", "毛利率", "利润（万元）"],
          ["2025-06", "华东", "20%", -30],
          ["2025-07", "华东", "24%", -5],
          ["2025-06", "华南", "10%", 50],
          ["2025-07", "华南", "8%", 60],
        ],
      },
    ],
  });
  const text = async (question: string): Promise<string> =>
    (await collect(workbook.analyse({ question, language: "zh" }))).text.join("");
  assert.match(await text("毛利率趋势"), /毛利率的平均值上升1个百分点，从15%到16%/);
  assert.match(await text("毛利率环比"), /华东贡献2个百分点/);
  assert.match(await text("7月各区域利润"), /华东为-5万元/);
});

test("a column called 完成率 is asked for by its name; without one it is a comparison with plan", async () => {
  const rows = [
    ["区域", "计划", "实际", "完成率"],
    ["华东", 100, 90, "90%"],
    ["华南", 50, 60, "120%"],
  ];
  const planOf = async (question: string, table: (string | number)[][]) => {
    using workbook = await OpenWorkbook.open({ name: "b", tables: [{ name: "b", rows: table }] });
    return (await collect(workbook.analyse({ question, language: "zh" }))).analysis.plan;
  };
  const named = await planOf("完成率最低的区域", rows);
  assert.deepEqual([named.kind, named.metric, named.order], ["ranking", "完成率", "smallest"]);
  const compared = await planOf(
    "各区域完成率",
    rows.map((row) => row.slice(0, 3)),
  );
  assert.deepEqual([compared.kind, compared.comparison, compared.planMetric], ["change", "plan", "计划"]);
});
