// Reads NVIDIA's management library (NVML) through koffi: load, memory, temperature, power, clocks and why they are held down. No process is
// started per reading; one takes some microseconds. Signatures and constants: NVIDIA's nvml.h (NVML API reference).
import koffi from "koffi";
import type { GpuReading } from "./gpu-reading.ts";

export interface GpuMeter extends Disposable {
  driverVersion: string;
  deviceCount: number;
  /** Throws nothing: a value the GPU does not tell is absent. */
  read(index: number): GpuReading | undefined;
}

const throttleBits: readonly [bigint, string][] = [
  [0x4n, "power limit"],
  [0x8n, "hardware slowdown"],
  [0x20n, "thermal limit (software)"],
  [0x40n, "thermal limit (hardware)"],
  [0x80n, "power brake"],
];

/** Opens NVML; undefined where there is no NVIDIA driver. `library` is for tests. */
export function openGpuMeter(library?: string): GpuMeter | undefined {
  let nvml: ReturnType<typeof koffi.load>;
  try {
    nvml = koffi.load(library ?? (process.platform === "win32" ? "nvml.dll" : "libnvidia-ml.so.1"));
  } catch {
    return undefined; // no driver: the caller shows CPU and memory instead
  }
  const init = nvml.func("int nvmlInit_v2()");
  if (init() !== 0) return undefined;
  const shutdown = nvml.func("int nvmlShutdown()");
  const driver = nvml.func("int nvmlSystemGetDriverVersion(_Out_ char*, uint)");
  const count = nvml.func("int nvmlDeviceGetCount_v2(_Out_ uint*)");
  const handleOf = nvml.func("int nvmlDeviceGetHandleByIndex_v2(uint, _Out_ void**)");
  const nameOf = nvml.func("int nvmlDeviceGetName(void*, _Out_ char*, uint)");
  const utilisation = nvml.func("int nvmlDeviceGetUtilizationRates(void*, _Out_ uint*)");
  const memory = nvml.func("int nvmlDeviceGetMemoryInfo(void*, _Out_ uint64_t*)");
  const temperature = nvml.func("int nvmlDeviceGetTemperature(void*, int, _Out_ uint*)");
  const power = nvml.func("int nvmlDeviceGetPowerUsage(void*, _Out_ uint*)");
  const powerLimit = nvml.func("int nvmlDeviceGetEnforcedPowerLimit(void*, _Out_ uint*)");
  const clock = nvml.func("int nvmlDeviceGetClockInfo(void*, int, _Out_ uint*)");
  const throttle = nvml.func("int nvmlDeviceGetCurrentClocksThrottleReasons(void*, _Out_ uint64_t*)");
  const energy = nvml.func("int nvmlDeviceGetTotalEnergyConsumption(void*, _Out_ uint64_t*)");

  const text = (call: (buffer: Buffer) => number): string => {
    const buffer = Buffer.alloc(96);
    return call(buffer) === 0 ? buffer.toString("utf8", 0, Math.max(0, buffer.indexOf(0))) : "";
  };
  const uint = (call: (out: [number]) => number): number | undefined => {
    const out: [number] = [0];
    return call(out) === 0 ? out[0] : undefined;
  };
  const wide = (words: number, call: (out: BigUint64Array) => number): BigUint64Array | undefined => {
    const out = new BigUint64Array(words);
    return call(out) === 0 ? out : undefined;
  };

  return {
    driverVersion: text((buffer) => driver(buffer, buffer.length)),
    deviceCount: uint((out) => count(out)) ?? 0,
    read(index) {
      const handle: [unknown] = [null];
      if (handleOf(index, handle) !== 0) return undefined;
      const [device] = handle;
      const bytes = wide(3, (out) => memory(device, out)); // nvmlMemory_t: total, free, used
      if (!bytes) return undefined;
      const rates = new Uint32Array(2); // nvmlUtilization_t: gpu, memory
      const hasRates = utilisation(device, rates) === 0;
      const bits = wide(1, (out) => throttle(device, out))?.[0] ?? 0n;
      const joules = wide(1, (out) => energy(device, out))?.[0];
      const milliwatts = uint((out) => power(device, out));
      const limitMilliwatts = uint((out) => powerLimit(device, out));
      return {
        name: text((buffer) => nameOf(device, buffer, buffer.length)),
        memoryTotalBytes: Number(bytes[0]),
        memoryUsedBytes: Number(bytes[2]),
        throttleReasons: throttleBits.filter(([bit]) => (bits & bit) !== 0n).map(([, reason]) => reason),
        ...present("utilisationPercent", hasRates ? rates[0] : undefined),
        ...present(
          "temperatureCelsius",
          uint((out) => temperature(device, 0, out)),
        ),
        ...present("powerWatts", milliwatts === undefined ? undefined : milliwatts / 1000),
        ...present("powerLimitWatts", limitMilliwatts === undefined ? undefined : limitMilliwatts / 1000),
        ...present(
          "coreClockMhz",
          uint((out) => clock(device, 0, out)),
        ),
        ...present(
          "memoryClockMhz",
          uint((out) => clock(device, 2, out)),
        ),
        ...present("energyJoules", joules === undefined ? undefined : Number(joules) / 1000),
      };
    },
    [Symbol.dispose]: () => void shutdown(),
  };
}

function present<Name extends string>(name: Name, value: number | undefined): { [key in Name]?: number } {
  return (value === undefined ? {} : { [name]: value }) as { [key in Name]?: number };
}
