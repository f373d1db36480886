// The one native surface of the engine: the CUDA driver API through koffi. Every handle is a number (driver pointers fit in 53 bits), every
// status is checked here and becomes an AppError that names the call and carries CUDA's own words. Nothing is loaded before it is asked for: a
// machine without a driver gets a sentence, not a crash.
import { createRequire } from "node:module";
import { AppError } from "../../base/errors.ts";

/** A handle or address of the driver. */
export type Handle = number;

type KoffiFunction = (...args: unknown[]) => number;
interface Koffi {
  load(file: string): { func(signature: string): KoffiFunction };
  address(value: object): bigint;
  view(address: number | bigint, bytes: number): ArrayBuffer;
}

// Name of the driver's function (some have a version suffix) and its C parameters. Handles are uint64_t throughout.
const signatures = {
  cuInit: ["cuInit", "unsigned int"],
  cuDriverGetVersion: ["cuDriverGetVersion", "_Out_ int*"],
  cuDeviceGetCount: ["cuDeviceGetCount", "_Out_ int*"],
  cuDeviceGet: ["cuDeviceGet", "_Out_ int*, int"],
  cuDeviceGetName: ["cuDeviceGetName", "void*, int, int"],
  cuDeviceGetAttribute: ["cuDeviceGetAttribute", "_Out_ int*, int, int"],
  cuDevicePrimaryCtxRetain: ["cuDevicePrimaryCtxRetain", "_Out_ uint64_t*, int"],
  cuDevicePrimaryCtxRelease: ["cuDevicePrimaryCtxRelease_v2", "int"],
  cuCtxSetCurrent: ["cuCtxSetCurrent", "uint64_t"],
  cuModuleLoadDataEx: ["cuModuleLoadDataEx", "_Out_ uint64_t*, void*, unsigned int, void*, void*"],
  cuModuleUnload: ["cuModuleUnload", "uint64_t"],
  cuModuleGetFunction: ["cuModuleGetFunction", "_Out_ uint64_t*, uint64_t, str"],
  cuFuncSetAttribute: ["cuFuncSetAttribute", "uint64_t, int, int"],
  cuMemGetInfo: ["cuMemGetInfo_v2", "_Out_ uint64_t*, _Out_ uint64_t*"],
  cuMemAlloc: ["cuMemAlloc_v2", "_Out_ uint64_t*, size_t"],
  cuMemFree: ["cuMemFree_v2", "uint64_t"],
  cuMemHostAlloc: ["cuMemHostAlloc", "_Out_ uint64_t*, size_t, unsigned int"],
  cuMemFreeHost: ["cuMemFreeHost", "uint64_t"],
  cuMemcpyHtoDAsync: ["cuMemcpyHtoDAsync_v2", "uint64_t, uint64_t, size_t, uint64_t"],
  cuMemcpyDtoHAsync: ["cuMemcpyDtoHAsync_v2", "uint64_t, uint64_t, size_t, uint64_t"],
  cuMemsetD8Async: ["cuMemsetD8Async", "uint64_t, uint8_t, size_t, uint64_t"],
  cuStreamCreate: ["cuStreamCreate", "_Out_ uint64_t*, unsigned int"],
  cuStreamDestroy: ["cuStreamDestroy_v2", "uint64_t"],
  cuStreamSynchronize: ["cuStreamSynchronize", "uint64_t"],
  cuStreamBeginCapture: ["cuStreamBeginCapture_v2", "uint64_t, int"],
  cuStreamEndCapture: ["cuStreamEndCapture", "uint64_t, _Out_ uint64_t*"],
  cuGraphInstantiate: ["cuGraphInstantiateWithFlags", "_Out_ uint64_t*, uint64_t, uint64_t"],
  cuGraphLaunch: ["cuGraphLaunch", "uint64_t, uint64_t"],
  cuGraphDestroy: ["cuGraphDestroy", "uint64_t"],
  cuGraphExecDestroy: ["cuGraphExecDestroy", "uint64_t"],
  cuEventCreate: ["cuEventCreate", "_Out_ uint64_t*, unsigned int"],
  cuEventDestroy: ["cuEventDestroy_v2", "uint64_t"],
  cuEventRecord: ["cuEventRecord", "uint64_t, uint64_t"],
  cuEventSynchronize: ["cuEventSynchronize", "uint64_t"],
  cuEventElapsedTime: ["cuEventElapsedTime", "_Out_ float*, uint64_t, uint64_t"],
  cuLaunchKernelEx: ["cuLaunchKernelEx", "void*, uint64_t, void*, void*"],
} as const;
export type CallName = keyof typeof signatures;

export class Driver {
  readonly #koffi: Koffi;
  readonly #library: ReturnType<Koffi["load"]>;
  readonly #functions = new Map<string, KoffiFunction>();
  readonly #errorString: KoffiFunction;

  constructor(koffi: Koffi, library: ReturnType<Koffi["load"]>) {
    this.#koffi = koffi;
    this.#library = library;
    this.#errorString = library.func("int cuGetErrorString(int, _Out_ const char**)");
  }

  /** The status as CUDA gives it. */
  status(name: CallName, ...args: unknown[]): number {
    return this.#function(name)(...args);
  }

  /** Throws AppError `device` unless the call succeeds; `about` says what it was for. */
  call(name: CallName, args: readonly unknown[], about = ""): void {
    const status = this.#function(name)(...args);
    if (status !== 0) throw this.failure(status, `${name}${about && ` (${about})`}`);
  }

  /** A call whose first parameter returns a handle or a number. */
  get(name: CallName, args: readonly unknown[], about = ""): number {
    const out: [number | bigint | null] = [null];
    this.call(name, [out, ...args], about);
    return Number(out[0]);
  }

  failure(status: number, what: string): AppError {
    const out: [string | null] = [null];
    this.#errorString(status, out);
    return new AppError("device", `CUDA: ${what} failed: ${out[0] ?? "unknown error"} (${status}).`, {
      details: { cudaStatus: status },
      hint: "See the log for what came before; `quern doctor` checks driver and memory.",
    });
  }

  addressOf(bytes: Uint8Array): bigint {
    return this.#koffi.address(bytes);
  }

  /** Host memory of the driver as bytes, without a copy; valid until it is freed. */
  view(address: Handle, bytes: number): ArrayBuffer {
    return this.#koffi.view(address, bytes);
  }

  #function(name: CallName): KoffiFunction {
    let found = this.#functions.get(name);
    if (!found) {
      const [symbol, parameters] = signatures[name];
      found = this.#library.func(`int ${symbol}(${parameters})`);
      this.#functions.set(name, found);
    }
    return found;
  }
}

/** A broken installation is not a missing driver: it says so itself. */
function loadKoffi(): Koffi {
  try {
    return createRequire(import.meta.url)("koffi") as Koffi;
  } catch (error) {
    throw new AppError("unsupported", "the package koffi, through which the driver is called, cannot be loaded.", {
      hint: "Install Quern's packages again (`npm ci`), or start with --engine llama.",
      cause: error,
    });
  }
}

let loaded: Driver | undefined;

/** Takes the place of this machine's driver, for this thread: tests run kernels without a GPU. */
export function useDriver(driver: Driver): void {
  loaded = driver;
}

/** The driver of this machine. Throws AppError `unsupported` when there is none. */
export function loadDriver(): Driver {
  if (loaded) return loaded;
  const file = process.platform === "win32" ? "nvcuda.dll" : "libcuda.so.1";
  const koffi = loadKoffi();
  try {
    const driver = new Driver(koffi, koffi.load(file));
    const status = driver.status("cuInit", 0);
    if (status !== 0) throw driver.failure(status, "cuInit");
    loaded = driver;
    return driver;
  } catch (error) {
    if (error instanceof AppError) throw error;
    throw new AppError("unsupported", "there is no NVIDIA driver on this machine.", {
      hint: "Install the NVIDIA driver, or start with --engine llama.",
      cause: error,
    });
  }
}
