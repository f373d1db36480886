// NVML itself is not on every machine, so a stand-in library of the same signatures answers with known values; it needs a C compiler.
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { mkdtempSync, writeFileSync } from "node:fs";
import os from "node:os";
import path from "node:path";
import test from "node:test";
import { openGpuMeter } from "../../src/engine/gpu-meter.ts";

const standIn = `
#include <string.h>
typedef unsigned long long u64;
int nvmlInit_v2(void){return 0;} int nvmlShutdown(void){return 0;}
int nvmlSystemGetDriverVersion(char*b,unsigned n){strncpy(b,"580.1",n);return 0;}
int nvmlDeviceGetCount_v2(unsigned*c){*c=1;return 0;}
int nvmlDeviceGetHandleByIndex_v2(unsigned i,void**h){if(i)return 2;*h=(void*)8;return 0;}
int nvmlDeviceGetName(void*d,char*b,unsigned n){strncpy(b,"NVIDIA Test",n);return d==(void*)8?0:1;}
int nvmlDeviceGetUtilizationRates(void*d,unsigned*u){u[0]=37;u[1]=5;return 0;}
int nvmlDeviceGetMemoryInfo(void*d,u64*m){m[0]=24ull<<30;m[1]=20ull<<30;m[2]=4ull<<30;return 0;}
int nvmlDeviceGetTemperature(void*d,int s,unsigned*t){*t=61;return 0;}
int nvmlDeviceGetPowerUsage(void*d,unsigned*p){*p=250500;return 0;}
int nvmlDeviceGetEnforcedPowerLimit(void*d,unsigned*p){*p=450000;return 0;}
int nvmlDeviceGetClockInfo(void*d,int t,unsigned*c){*c=t==0?2520:10501;return 0;}
int nvmlDeviceGetCurrentClocksThrottleReasons(void*d,u64*r){*r=0x4|0x40;return 0;}
int nvmlDeviceGetTotalEnergyConsumption(void*d,u64*e){return 3;}
`;

test("a reading holds what the GPU tells and leaves out what it does not", (context) => {
  const folder = mkdtempSync(path.join(os.tmpdir(), "quern-nvml-"));
  writeFileSync(path.join(folder, "nvml.c"), standIn);
  const library = path.join(folder, "libnvml.so");
  const built = spawnSync("cc", ["-shared", "-fPIC", "-o", library, path.join(folder, "nvml.c")]);
  if (built.status !== 0) return context.skip("no C compiler to build the stand-in for NVML");
  using meter = openGpuMeter(library);
  assert.ok(meter);
  assert.deepEqual([meter.driverVersion, meter.deviceCount], ["580.1", 1]);
  assert.deepEqual(meter.read(0), {
    name: "NVIDIA Test",
    memoryTotalBytes: 24 * 2 ** 30,
    memoryUsedBytes: 4 * 2 ** 30,
    throttleReasons: ["power limit", "thermal limit (hardware)"],
    utilisationPercent: 37,
    temperatureCelsius: 61,
    powerWatts: 250.5,
    powerLimitWatts: 450,
    coreClockMhz: 2520,
    memoryClockMhz: 10501,
  });
  assert.equal(meter.read(1), undefined);
});

test("without a driver there is no meter and no failure", () => {
  assert.equal(openGpuMeter("libquern-no-such-library.so"), undefined);
});
