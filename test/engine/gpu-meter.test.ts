// The meter over a stand-in for NVML.
import assert from "node:assert/strict";
import test from "node:test";
import { openGpuMeter } from "../../src/engine/gpu-meter.ts";
import { buildNvmlStandIn } from "./fixtures/nvml-stand-in.ts";

test("a reading holds what the GPU tells and leaves out what it does not", (context) => {
  const library = buildNvmlStandIn();
  if (library === undefined) return context.skip("no C compiler to build the stand-in for NVML");
  using meter = openGpuMeter(library);
  assert.ok(meter);
  assert.deepEqual([meter.driverVersion, meter.deviceCount], ["580.1", 2]);
  const told = {
    name: "NVIDIA Test",
    memoryTotalBytes: 24e9,
    memoryUsedBytes: 9e9,
    throttleReasons: ["power limit", "thermal limit (hardware)"],
    utilisationPercent: 37,
    temperatureCelsius: 61,
    powerWatts: 250.5,
    powerLimitWatts: 450,
    coreClockMhz: 2520,
    memoryClockMhz: 10501,
  };
  assert.deepEqual(meter.read(0), { ...told, energyJoules: 20 });
  assert.equal(meter.read(0)?.energyJoules, 40);
  assert.deepEqual(meter.read(1), told);
  assert.equal(meter.read(2), undefined);
});

test("without a driver there is no meter and no failure", () => {
  assert.equal(openGpuMeter("libquern-no-such-library.so"), undefined);
});
