// What the llama engine is opened with: KV type, context, files. Each opens an engine of its own.
import assert from "node:assert/strict";
import { test } from "node:test";
import { AppError } from "../../src/base/errors.ts";
import { silentLog } from "../../src/base/log.ts";
import { openEngine } from "../../src/engine/open.ts";
import { answer, ask, engines, hear, settingsFor } from "./engines.ts";

const { missing } = engines.find(({ name }) => name === "llama") ?? {};
const skip = missing ?? false;

test("an 8-bit KV cache takes about half the memory and gives the same answer", { skip }, async () => {
  const open = (kvType: "f16" | "int8") =>
    openEngine({ ...settingsFor("llama", { parallel: 1 }), kvType, log: silentLog });
  await using small = await open("int8");
  await using large = await open("f16");
  assert.deepEqual([small.status().kvType, large.status().kvType], ["int8", "f16"]);
  assert.ok(small.status().memory.kvBytes < 0.55 * large.status().memory.kvBytes);
  assert.equal((await hear(small.generate(ask()))).text, answer);
});

test("a context that no memory holds is refused with the bytes needed and free", { skip }, async () => {
  const settings = settingsFor("llama", { contextTokens: 2 ** 30 });
  await assert.rejects(openEngine({ ...settings, log: silentLog }), (error) => {
    assert.ok(error instanceof AppError);
    assert.deepEqual([error.code, error.param], ["device", "context"]);
    assert.ok(Number(error.details?.neededBytes) > Number(error.details?.freeBytes));
    return true;
  });
});

test("without a wish the context is what the model was made for, as far as memory allows; auto says why it picked llama", async (t) => {
  await using engine = await openEngine({ ...settingsFor("auto", { contextTokens: 0, parallel: 1 }), log: silentLog });
  const { contextTokens, model, reason, device } = engine.status();
  if (engine.status().engine !== "llama") return t.skip(`auto picked ${engine.status().engine} here`);
  assert.equal(contextTokens, model.trainedContextTokens);
  assert.match(reason ?? "", /^Picked llama/);
  assert.match(device, /CPU|Apple|M\d/);
  assert.equal(model.isDemonstration, true);
  assert.equal(model.quantisation, "Q4_K_M");
});
