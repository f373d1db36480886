// What a prompt leaves behind, KV pages and logits, is the same bit for bit whatever ran beside it: alone, in a step with fifteen others, in chunks of
// odd sizes, behind a prefix that was there already. Else the same question would get other answers on a busy machine than on an idle one.
import assert from "node:assert/strict";
import test from "node:test";
import { gpuMissing, miniFile, randomOf, slotSettings } from "./gpu-test-tools.ts";
import { pageBytes, pageTokens } from "./kernels.ts";
import { type OpenedRunner, openCudaRunner } from "./open-cuda.ts";
import type { StepEntry } from "./runner-contract.ts";

const missing = gpuMissing();
// Around the borders of query blocks (48), pages and tiles (64), and splits of attention (4,096).
const lengths = [1, 47, 48, 49, 63, 64, 65, 130, 300, 4095, 4096, 4097, 4150, 8300];
const oddChunks = [1, 47, 63, 300];
const otherSlots = Array.from({ length: 15 }, (_, index) => index + 1);
const contextPages = 140;

for (const [about, capability] of [
  ["this GPU's kernels", undefined],
  ["the portable kernels", 80],
] as const) {
  test(`a prompt's company with ${about}`, { skip: missing }, async (t) => {
    const size = { contextTokens: contextPages * pageTokens, parallel: 16 };
    const opened = await openCudaRunner({ modelFile: miniFile, ...size, ...(capability ? { capability } : {}) });
    await using _closed = opened.runner;
    const { stepTokens, vocabularyTokens } = opened.runner.limits;
    for (const length of lengths) {
      await t.test(`${length} tokens`, async () => {
        const random = randomOf(length);
        const ids = Int32Array.from({ length }, () => Math.floor(random() * vocabularyTokens));
        const alone = await compute(opened, { ids, chunks: [stepTokens] });
        const together = await compute(opened, { ids, chunks: [stepTokens - 15 * 40], hasOthers: true });
        assertSame(together, alone, "with fifteen others");
        assertSame(await compute(opened, { ids, chunks: oddChunks }), alone, "in odd chunks");
        assertSame(
          await compute(opened, { ids, chunks: oddChunks, hasOthers: true }),
          alone,
          "in odd chunks with others",
        );
        const prefixPages = Math.floor((length - 1) / pageTokens);
        for (const cachedPages of new Set([1, prefixPages >> 1, prefixPages])) {
          if (cachedPages < 1 || cachedPages > prefixPages) continue;
          const behind = await compute(opened, { ids, chunks: [stepTokens], cachedPages });
          assertSame(behind, alone, `behind ${cachedPages} cached pages`);
        }
      });
    }
  });
}

interface Result {
  /** Of each layer, all pages of the sequence. */
  pages: Uint8Array[];
  logits: Uint8Array;
}

/**
 * Slot 0 computes the prompt in chunks of these sizes, over and over; its pages are the pool's first. With `cachedPages`, the first ones are taken as
 * the run before left them. What no token has written is filled alike, so that all bytes can be compared.
 */
async function compute(
  { device, runner }: OpenedRunner,
  options: { ids: Int32Array; chunks: readonly number[]; hasOthers?: boolean; cachedPages?: number },
): Promise<Result> {
  const { ids, chunks, hasOthers = false, cachedPages = 0 } = options;
  const { pool, poolLayerBytes, logits } = runner.workspace;
  const layers = runner.weights.layers.length;
  const pages = Math.ceil(ids.length / pageTokens);
  const open = (slot: number, firstPage: number, count: number): void => {
    runner.fillSlot(slot, slotSettings());
    const own = Int32Array.from({ length: count }, (_, page) => firstPage + page);
    runner.setPages(slot, 0, own);
  };
  open(0, 0, pages);
  // 0x7f7f as a scale is NaN: what does not exist must not matter.
  for (let layer = 0; layer < layers; layer++) {
    device.fill(
      pool + layer * poolLayerBytes + cachedPages * pageBytes.int8,
      0x7f,
      (pages - cachedPages) * pageBytes.int8,
    );
  }
  let at = cachedPages * pageTokens;
  let place = 0;
  for (let step = 0; at < ids.length; step++) {
    const tokens = ids.slice(at, at + (chunks[step % chunks.length] ?? 1));
    const mine: StepEntry = { slot: 0, startPosition: at, tokens, sample: at + tokens.length === ids.length };
    const others = hasOthers ? otherSlots : [];
    for (const slot of others) open(slot, contextPages + slot, 1);
    const entries = others.map((slot): StepEntry => {
      const tokens = new Int32Array(1 + ((slot * 7 + step) % 40)).fill(slot + step);
      return { slot, startPosition: 0, tokens, sample: true };
    });
    place = Math.min(7, entries.length);
    await runner.submit(entries.toSpliced(place, 0, mine));
    at += tokens.length;
  }
  const vocabularyBytes = runner.limits.vocabularyTokens * 4;
  return {
    pages: Array.from({ length: layers }, (_, layer) =>
      device.read(pool + layer * poolLayerBytes, pages * pageBytes.int8),
    ),
    logits: device.read(logits + place * vocabularyBytes, vocabularyBytes),
  };
}

function assertSame(actual: Result, wanted: Result, how: string): void {
  for (const [layer, bytes] of actual.pages.entries()) {
    const at = bytes.findIndex((byte, index) => byte !== wanted.pages[layer]?.[index]);
    const where = `layer ${layer}, page ${Math.floor(at / pageBytes.int8)}, byte ${at % pageBytes.int8}`;
    assert.equal(at, -1, `${how}: KV differs first in ${where}`);
  }
  const at = actual.logits.findIndex((byte, index) => byte !== wanted.logits[index]);
  assert.equal(at, -1, `${how}: KV is the same, logits differ from id ${at >> 2} on`);
}
