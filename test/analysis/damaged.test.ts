// Damaged and odd files end in tables or in an AppError with a sentence; nothing else is thrown, and nothing hangs.
import assert from "node:assert/strict";
import test from "node:test";
import { makeSalesRows, makeSalesWorkbook } from "../../bench/analysis/make-sales.ts";
import { Random } from "../../bench/analysis/random.ts";
import { OpenWorkbook } from "../../src/analysis/analyse.ts";
import { AppError } from "../../src/base/errors.ts";
import { tablesOf } from "./workbooks.ts";

async function opens(bytes: Uint8Array, name: string): Promise<string> {
  try {
    const tables = await tablesOf(bytes, {}, name);
    return `${tables.length} tables`;
  } catch (error) {
    assert.ok(error instanceof AppError, `${name}: ${String(error)}`);
    assert.ok(error.message.length > 10 && error.code !== "internal", error.message);
    return error.code;
  }
}

test("a workbook cut short or with bytes changed", async () => {
  const whole = await makeSalesWorkbook(makeSalesRows(9, 60));
  const random = new Random(41);
  const ends = new Set<string>();
  for (let round = 0; round < 60; round++) {
    const bytes = round % 2 === 0 ? whole.slice(0, random.integer(1, whole.length - 1)) : whole.slice();
    if (round % 2 === 1)
      for (let hit = 0; hit < 6; hit++) bytes[random.integer(0, bytes.length - 1)] = random.integer(0, 255);
    ends.add(await opens(bytes, `cut-${round}.xlsx`));
  }
  assert.ok(ends.has("unreadable"), [...ends].join());
});

test("random bytes and random text", async () => {
  const random = new Random(42);
  for (let round = 0; round < 60; round++) {
    const isText = round % 2 === 0;
    const length = random.integer(1, 3000);
    const bytes = Uint8Array.from({ length }, () =>
      isText
        ? random.pick([..."0123456789,;\t\n\"'()%-年月万合计 =+@a"].map((sign) => sign.charCodeAt(0) & 0xff))
        : random.integer(0, 255),
    );
    await opens(bytes, `noise-${round}`);
  }
});

test("odd but legal tables", async () => {
  const encoded = (text: string): Uint8Array => new TextEncoder().encode(text);
  for (const text of [
    "a",
    "a,b",
    "a,b\n",
    "\n\n\n",
    ",,,\n,,,\n",
    "a,a,a\n1,2,3\n4,5,6\n",
    `${"x,".repeat(3000)}x\n${"1,".repeat(3000)}1\n`,
    "合计,1\n合计,2\n",
    "a,b\n合计,1\n",
    `a,b\n${"长".repeat(100_000)},1\n短,2\n`,
  ])
    await opens(encoded(text), "odd.csv");
});

test("a PDF, an archive without a workbook and an empty file are refused by name", async () => {
  await assert.rejects(
    OpenWorkbook.open({ name: "a.pdf", bytes: new TextEncoder().encode("%PDF-1.7\n1 0 obj") }),
    /a\.pdf is a PDF/,
  );
  await assert.rejects(OpenWorkbook.open({ name: "leer.xlsx", bytes: new Uint8Array() }), /leer\.xlsx is empty/);
  await assert.rejects(
    OpenWorkbook.open({ name: "x.zip", bytes: new Uint8Array([0x50, 0x4b, 5, 6, ...new Array(18).fill(0)]) }),
    { code: "unreadable" },
  );
});

test("a file read on its own thread gives the same tables, and its errors are typed too", async () => {
  const bytes = await makeSalesWorkbook(makeSalesRows(3, 16_000));
  assert.ok(bytes.byteLength > 512 * 1024, String(bytes.byteLength));
  using workbook = await OpenWorkbook.open({ name: "big.xlsx", bytes });
  assert.equal(workbook.table().recordCount, 16_000);
  const broken = bytes.slice(0, bytes.length - 1000);
  await assert.rejects(
    OpenWorkbook.open({ name: "broken.xlsx", bytes: broken }),
    (error) => error instanceof AppError && error.code === "unreadable",
  );
  await assert.rejects(
    OpenWorkbook.open({ name: "left.xlsx", bytes, signal: AbortSignal.abort(new Error("left")) }),
    /left/,
  );
});
