// What the native engine is opened with: the type of its KV cache. Each opens an engine of its own.
import assert from "node:assert/strict";
import { test } from "node:test";
import { silentLog } from "../../src/base/log.ts";
import { openEngine } from "../../src/engine/open.ts";
import { answer, ask, engines, hear, settingsFor } from "./engines.ts";

const { missing } = engines.find(({ name }) => name === "cuda") ?? {};
const skip = missing ?? false;

test("KV in f16 takes about twice the memory of int8 and gives the same answer, alone and among others", {
  skip,
}, async () => {
  const bytes = { int8: 0, f16: 0 };
  for (const kvType of ["int8", "f16"] as const) {
    await using engine = await openEngine({ ...settingsFor("cuda"), kvType, log: silentLog });
    const { kvType: kept, memory, kv } = engine.status();
    assert.equal(kept, kvType);
    bytes[kvType] = memory.kvBytes / kv.totalTokens;
    assert.equal((await hear(engine.generate(ask()))).text, answer);
    const together = await Promise.all(Array.from({ length: 4 }, () => hear(engine.generate(ask()))));
    for (const { text } of together) assert.equal(text, answer);
  }
  const times = bytes.f16 / bytes.int8;
  assert.ok(times > 1.95 && times < 2, `${times} times`);
});

test("auto keeps KV in int8", { skip }, async () => {
  await using engine = await openEngine({ ...settingsFor("cuda"), kvType: "auto", log: silentLog });
  assert.equal(engine.status().kvType, "int8");
});
