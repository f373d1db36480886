// `quern analyze` from the shell: the issue's own command, plans by options, files of other kinds, and what it refuses.
import assert from "node:assert/strict";
import { readFileSync, writeFileSync } from "node:fs";
import path from "node:path";
import test from "node:test";
import { unzipSync } from "fflate";
import { makeSalesWorkbook } from "../../bench/analysis/make-sales.ts";
import type { Analysis } from "../../src/analysis/analyse.ts";
import { home, quern } from "../cli/quern.ts";

const file = path.join(home, "sales.xlsx");
writeFileSync(file, await makeSalesWorkbook());

test("metric, filter, breakdown and comparison become sentences and slides", async () => {
  const target = path.join(home, "report.pptx");
  const options = [
    "--metric",
    "销售额",
    "--filter",
    "区域=华东",
    "--by",
    "品类",
    "--compare",
    "环比",
    "--no-model",
    "-o",
    target,
  ];
  const { code, out, err } = await quern(["analyze", file, ...options]);
  assert.equal(code, 0, err);
  assert.match(out, /华东的销售额环比增长4\.5%/);
  assert.match(err, /把销售额的2025年第三季度与2025年第二季度对比（环比），变化按品类归因/);
  assert.ok(Object.keys(unzipSync(readFileSync(target))).some((name) => /charts\/chart\d+\.xml$/.test(name)));
});

test("the smallest few, as JSON", async () => {
  const { code, out, err } = await quern([
    "analyze",
    file,
    "--by",
    "产品",
    "--top",
    "2",
    "--order",
    "smallest",
    "--json",
    "--no-model",
  ]);
  assert.equal(code, 0, err);
  const { result } = JSON.parse(out) as Analysis;
  assert.deepEqual(result.kind === "ranking" && result.members.map(({ label }) => label), ["空气炸锅", "净水器"]);
});

test("a table in a web page is analysed too", async () => {
  const page = path.join(home, "page.html");
  writeFileSync(
    page,
    "<table><tr><th>店</th><th>额</th></tr><tr><td>甲</td><td>3</td></tr><tr><td>乙</td><td>4</td></tr></table>",
  );
  const { code, out, err } = await quern(["analyze", page, "各店的额", "--no-model"]);
  assert.equal(code, 0, err);
  assert.match(out, /额合计7，按店分为2项/);
});

test("what cannot be done is said with what can", async () => {
  for (const [options, message] of [
    [["--metric", "利润"], /没有“利润”这一列[\s\S]*销售额/],
    [["--top", "many"], /--top many is not a number/],
    [["--order", "random"], /no order "random"/],
    [["--compare", "去年"], /--compare 去年 is not known/],
    [["-o", path.join(home, "x.exe")], /cannot tell what to write/],
  ] as const) {
    const { code, err } = await quern(["analyze", file, ...options, "--no-model"]);
    assert.notEqual(code, 0);
    assert.match(err, message);
  }
});
