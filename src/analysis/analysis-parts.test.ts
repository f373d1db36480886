import assert from "node:assert/strict";
import test from "node:test";
import { buildTables } from "./build-tables.ts";
import { themed } from "./chart-theme.ts";
import { formatNumber, formatPercent, formatQuantity, roundTo } from "./format-number.ts";
import { parseNumber } from "./parse-number.ts";
import { parseDate, parsePeriod } from "./parse-time.ts";
import { whereClause } from "./query.ts";
import { workbookFromRows } from "./read-workbook.ts";
import { SentenceCutter } from "./sentences.ts";
import { Store } from "./store.ts";
import { periodName, shifted, startOf, yearBefore } from "./time.ts";
import { parseUnit, splitHeaderUnit } from "./unit.ts";

test("rounding is on the decimal digits, half away from zero", () => {
  assert.deepEqual(
    [
      roundTo(1.005, 2),
      roundTo(2.5, 0),
      roundTo(-2.5, 0),
      roundTo(0.1 + 0.2, 1),
      roundTo(1e-9, 2),
      roundTo(-0.0001, 2),
    ],
    [1.01, 3, -3, 0.3, 0, 0],
  );
});

test("figures are written in the magnitude people use", () => {
  const yuan = parseUnit("元");
  const tenThousand = parseUnit("万元");
  const dollar = parseUnit("$");
  assert.ok(yuan && tenThousand && dollar);
  assert.deepEqual(
    [12_300_000, 99_995_000, 123_400_000, 99_999, 1234.5, 0].map((value) => formatQuantity(value, yuan, "zh")),
    ["1,230万元", "1亿元", "1.23亿元", "99,999元", "1,235元", "0元"],
  );
  assert.deepEqual(
    [1230, 12_300].map((value) => formatQuantity(value, tenThousand, "zh")),
    ["1,230万元", "1.23亿元"],
  );
  assert.deepEqual(
    [formatQuantity(12_300_000, yuan, "en"), formatQuantity(-4_560, dollar, "en"), formatQuantity(2e9, dollar, "en")],
    ["12.3 million yuan", "-$4,560", "$2 billion"],
  );
  assert.deepEqual(
    [formatPercent(0.23, true), formatPercent(-0.068), formatPercent(0.22449), formatNumber(-1234.567)],
    ["+23%", "-6.8%", "22.4%", "-1,234.57"],
  );
});

test("numbers as people type them, and what is none", () => {
  const value = (text: string): number | undefined => parseNumber(text)?.value;
  assert.deepEqual(
    [
      "1,234",
      "(1,234.5)",
      "-¥300",
      "¥-300",
      "１２３",
      "1.5e3",
      "35%",
      "1.2亿元",
      "3 kg",
      "+5",
      "12,34",
      "1.2.3",
      "abc",
      "12abc",
      "--",
      "2025-07-01",
      "50%元",
    ].map(value),
    [
      1234,
      -1234.5,
      -300,
      -300,
      123,
      1500,
      0.35,
      120_000_000,
      3,
      5,
      undefined,
      undefined,
      undefined,
      undefined,
      undefined,
      undefined,
      undefined,
    ],
  );
});

test("dates and periods, and what is none", () => {
  assert.deepEqual(
    ["2025-02-29", "2024-02-29", "13/13/2025", "2025年13月1日", "20251301"].map((text) => parseDate(text)),
    [undefined, 19_782, undefined, undefined, undefined],
  );
  const grain = (text: string): string | undefined => parsePeriod(text)?.grain;
  assert.deepEqual(
    [
      "2025Q3",
      "Q3 2025",
      "25Q1",
      "2025年三季度",
      "2025H1",
      "上半年",
      "FY24",
      "2025年",
      "2025",
      "2025-07",
      "七月",
      "Jul 2025",
      "2025W27",
      "marching",
      "13月",
      "Q5",
    ].map(grain),
    [
      "quarter",
      "quarter",
      "quarter",
      "quarter",
      "half",
      "half",
      "year",
      "year",
      undefined,
      "month",
      "month",
      "month",
      "week",
      undefined,
      undefined,
      undefined,
    ],
  );
});

test("periods step over year ends and leap days", () => {
  const day = (text: string): number => Date.parse(text) / 86_400_000;
  assert.equal(shifted(day("2025-01-01"), "quarter", -1), day("2024-10-01"));
  assert.equal(startOf(day("2024-12-31"), "week"), day("2024-12-30"));
  assert.equal(yearBefore(day("2025-07-01"), "month"), day("2024-07-01"));
  assert.equal(periodName(day("2025-07-01"), { grain: "half", hasYear: true }, "zh"), "2025年下半年");
});

test("headers give their unit away, brackets without one stay", () => {
  assert.deepEqual(
    ["金额（单位：万元）", "占比%", "收入(USD k)", "手机（国行）", "重量/kg", "甲/乙"].map((header) => [
      splitHeaderUnit(header).name,
      splitHeaderUnit(header).unit?.symbol,
    ]),
    [
      ["金额", "万元"],
      ["占比", "%"],
      ["收入", "$k"],
      ["手机（国行）", undefined],
      ["重量", "kg"],
      ["甲/乙", undefined],
    ],
  );
});

test("sentences are cut as they complete, however the stream is cut, and 3.5 stays whole", () => {
  const text = "Sales rose 3.5%. Reno12.5 fell! 第一句。“第二句？”\n1. 第三句。尾巴";
  const whole = ["Sales rose 3.5%.", "Reno12.5 fell!", "第一句。", "“第二句？”", "1. 第三句。", "尾巴"];
  for (const size of [1, 2, 3, 7, 100]) {
    const cutter = new SentenceCutter();
    const found: string[] = [];
    for (let at = 0; at < text.length; at += size) found.push(...cutter.push(text.slice(at, at + size)));
    assert.deepEqual([...found, ...cutter.finish()], whole, `pieces of ${size}`);
  }
});

test("values never become SQL, and the database reaches no file", async () => {
  const evil = "x'); drop table t0; --";
  const [table] = buildTables(
    workbookFromRows(
      [
        {
          name: "t",
          rows: [
            ['名 "; drop', "值"],
            [evil, 1],
            ["b", 2],
          ],
        },
      ],
      "t",
    ),
  );
  assert.ok(table);
  const clause = whereClause([{ column: table.columns[0]?.name ?? "", is: "in", values: [evil] }], table);
  assert.deepEqual(clause, { sql: "c0 in ($1)", values: [0] });
  using store = await Store.open();
  await store.load(table);
  assert.deepEqual(await store.query({ sql: `select fsum(c1) from t0 where ${clause.sql}`, values: clause.values }), [
    [1],
  ]);
  for (const sql of [
    "select * from read_csv('/etc/hostname')",
    "copy t0 to 'out.csv'",
    "set enable_external_access = true",
    "install httpfs",
  ]) {
    await assert.rejects(store.query({ sql, values: [] }), { code: "internal" }, sql);
  }
});

test("a runaway query ends when its reader leaves", async () => {
  using store = await Store.open();
  const leave = new AbortController();
  const running = store.query(
    { sql: "select count(*) from range(1000000) a, range(1000000) b where (a.range * b.range) % 7 = 3", values: [] },
    leave.signal,
  );
  setImmediate(() => leave.abort(new Error("left")));
  await assert.rejects(running, /left/);
});

test("each theme inks the whole chart", () => {
  const option = themed(
    {
      title: { text: "t" },
      xAxis: { type: "category" },
      yAxis: [{ type: "value" }],
      series: [{ type: "bar", id: "up", data: [{ value: 1, label: { show: true } }] }],
    },
    "dark",
  );
  assert.equal(option.backgroundColor, "#111827");
  assert.match(JSON.stringify(option.series), /"label":\{"show":true,"color":"#e5e7eb"\}/);
  assert.match(JSON.stringify([option.xAxis, option.yAxis, option.title]), /"color":"#e5e7eb"/);
});
