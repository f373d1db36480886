import assert from "node:assert/strict";
import test from "node:test";
import { buildTables } from "./build-tables.ts";
import { cellLimit, GridBuilder } from "./grid.ts";
import { workbookFromRows } from "./read-workbook.ts";
import { Store } from "./store.ts";

const rows = [
  ["名", "值", "序"],
  ...Array.from({ length: 60_000 }, (_, index) => [`n${index % 9}`, index * 1.5, index * 7919]),
];
const [table] = buildTables(workbookFromRows([{ name: "t", rows }], "t"));
assert.ok(table);
const sums = { sql: `select c0, fsum(c1), count(distinct c2) from ${table.id} group by 1 order by 1`, values: [] };

test("closing under a query ends it with an error, and whoever waits is told", async () => {
  const store = await Store.open();
  await store.load(table);
  const waiting = Array.from({ length: 4 }, () =>
    store.query(sums).then(
      () => "answered",
      (error: { code?: string }) => error.code,
    ),
  );
  store[Symbol.dispose]();
  store[Symbol.dispose](); // twice is once
  for (const outcome of await Promise.all(waiting))
    assert.ok(outcome === "answered" || outcome === "internal", outcome);
  await assert.rejects(store.query(sums), /closed/);
});

test("closing while rows are loaded ends the loading", async () => {
  const store = await Store.open();
  const loading = store.load(table).then(
    () => "loaded",
    (error: Error) => error.message,
  );
  store[Symbol.dispose]();
  assert.match(await loading, /closed|loaded/);
});

test("beyond its memory the database works on disk and gives the same figures; too little is said", async () => {
  const answers: unknown[] = [];
  for (const memoryMiB of [24, 1024]) {
    using store = await Store.open({ memoryMiB });
    await store.load(table);
    answers.push(await store.query(sums));
  }
  assert.deepEqual(answers[0], answers[1]);
  await assert.rejects(
    async () => {
      using store = await Store.open({ memoryMiB: 2 });
      await store.load(table);
      await store.query(sums);
    },
    { code: "too_large" },
  );
});

test("a sheet of more cells than can be held is refused before the memory is gone", () => {
  const builder = new GridBuilder();
  assert.throws(
    () => {
      // One cell written again and again counts like many: the limit is on what is read.
      for (let count = 0; count <= cellLimit; count++) builder.number(0, 0, count);
    },
    { code: "too_large" },
  );
});
