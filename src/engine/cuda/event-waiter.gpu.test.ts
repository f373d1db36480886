// The thread that waits for the stream, over a real driver (or over bench/cuda/idle-driver.c).
import assert from "node:assert/strict";
import test from "node:test";
import { Device } from "./device.ts";
import { gpuMissing } from "./gpu-test-tools.ts";

const missing = gpuMissing();

test("marks are passed in their order, each in a later turn, however many wait", { skip: missing }, async () => {
  using device = Device.open();
  const memory = device.zeros(1 << 20, "something to do");
  const passed: number[] = [];
  // More than the ring holds, in groups; the first group may find the thread not up yet.
  for (let group = 0; group < 5; group++) {
    const waits = Array.from({ length: 40 }, (_, index) => {
      device.fill(memory, index, 1 << 20);
      return device.passed(device.mark()).then(() => passed.push(group * 40 + index));
    });
    await Promise.resolve();
    assert.equal(passed.length, group * 40);
    await Promise.all(waits);
  }
  assert.deepEqual(
    passed,
    Array.from({ length: 200 }, (_, index) => index),
  );
});

test("a wait that comes when nothing else waits is woken too", { skip: missing }, async () => {
  using device = Device.open();
  for (let round = 0; round < 50; round++) {
    device.synchronize();
    await device.passed(device.mark());
    if (round % 10 === 0) await new Promise((resolve) => setImmediate(resolve));
  }
});
