// One GPU as the engine uses it: a context, one stream, memory, kernels from PTX files, events that are awaited without blocking the event
// loop, and captured graphs. Everything that is acquired is freed with the device.
import { existsSync, readFileSync } from "node:fs";
import path from "node:path";
import { gunzipSync } from "node:zlib";
import { AppError } from "../../base/errors.ts";
import { type Driver, type Handle, loadDriver } from "./bindings.ts";
import { EventWaiter } from "./event-waiter.ts";
import { compiledName } from "./kernels.ts";
import { Kernel, LaunchConfig } from "./launch.ts";

export interface DeviceFacts {
  name: string;
  /** 90 for compute capability 9.0. */
  capability: number;
  multiprocessors: number;
  /** Shared memory one block may have. */
  sharedBytes: number;
  driverVersion: number;
  totalBytes: number;
  freeBytes: number;
}

const notFound = 500; // CUDA_ERROR_NOT_FOUND
const withoutTiming = 2; // CU_EVENT_DISABLE_TIMING: cheaper to record
const attribute = { multiprocessors: 16, major: 75, minor: 76, sharedOptin: 97 } as const;

export interface HostMemory {
  address: Handle;
  bytes: Uint8Array<ArrayBuffer>;
}

export class Device implements Disposable {
  readonly driver: Driver;
  readonly facts: DeviceFacts;
  readonly stream: Handle;
  readonly #ordinal: number;
  readonly #memory = new Set<Handle>();
  readonly #hostMemory = new Set<Handle>();
  readonly #graphs = new Set<Handle>();
  readonly #events: Handle[] = [];
  readonly #idleEvents: Handle[] = [];
  /** Events the stream has not been seen to pass, oldest first. */
  readonly #marks: Handle[] = [];
  readonly #kernels = new Map<string, Kernel>();
  /** Filled anew for each launch that is not a repeated one. */
  readonly launchConfig: LaunchConfig;
  readonly #modules: Handle[] = [];
  readonly #waiter: EventWaiter;
  #allocatedBytes = 0;

  private constructor(driver: Driver, context: Handle, { ordinal, facts }: { ordinal: number; facts: DeviceFacts }) {
    this.driver = driver;
    this.facts = facts;
    this.#ordinal = ordinal;
    this.stream = driver.get("cuStreamCreate", [1]);
    this.#waiter = new EventWaiter(context);
    this.launchConfig = new LaunchConfig(driver, this.stream);
  }

  /**
   * The first GPU; `capability` at most, so that the kernels of older ones can be tried. Throws AppError `unsupported` when there is none, or
   * none that is new enough.
   */
  static open({ capability = Number.POSITIVE_INFINITY }: { capability?: number | undefined } = {}): Device {
    const driver = loadDriver();
    const ordinal = 0;
    const facts = Device.inspect();
    const context = driver.get("cuDevicePrimaryCtxRetain", [ordinal]);
    driver.call("cuCtxSetCurrent", [context]);
    const free: [number | bigint | null] = [null];
    const total: [number | bigint | null] = [null];
    driver.call("cuMemGetInfo", [free, total]);
    const found = {
      ...{ ...facts, capability: Math.min(facts.capability, capability) },
      ...{ freeBytes: Number(free[0]), totalBytes: Number(total[0]) },
    };
    return new Device(driver, context, { ordinal, facts: found });
  }

  /** What is known without making a context; free and total bytes are 0. Throws AppError `unsupported`. */
  static inspect(): DeviceFacts {
    const driver = loadDriver();
    if (driver.get("cuDeviceGetCount", []) === 0) {
      throw new AppError("unsupported", "the NVIDIA driver shows no GPU.");
    }
    const device = driver.get("cuDeviceGet", [0]);
    const read = (which: number): number => driver.get("cuDeviceGetAttribute", [which, device]);
    const nameBytes = new Uint8Array(256);
    driver.call("cuDeviceGetName", [nameBytes, 256, device]);
    return {
      name: new TextDecoder().decode(nameBytes.subarray(0, nameBytes.indexOf(0))),
      capability: read(attribute.major) * 10 + read(attribute.minor),
      multiprocessors: read(attribute.multiprocessors),
      sharedBytes: read(attribute.sharedOptin),
      driverVersion: driver.get("cuDriverGetVersion", []),
      totalBytes: 0,
      freeBytes: 0,
    };
  }

  get allocatedBytes(): number {
    return this.#allocatedBytes;
  }

  freeBytes(): number {
    const free: [number | bigint | null] = [null];
    this.driver.call("cuMemGetInfo", [free, [null]]);
    return Number(free[0]);
  }

  /**
   * Loads a PTX file's kernels: the machine code beside it where this GPU and driver take that, else compiled by the driver (seconds; it keeps the
   * result for next time). Throws AppError `unsupported` when the driver is too old for both.
   */
  loadKernels(file: string): void {
    const out: [number | bigint | null] = [null];
    const compiled = compiledName(file);
    if (existsSync(compiled)) {
      const code = gunzipSync(readFileSync(compiled));
      if (this.driver.status("cuModuleLoadDataEx", out, code, 0, null, null) === 0) {
        this.#modules.push(Number(out[0]));
        return;
      }
    }
    const text = Buffer.concat([readFileSync(file), Buffer.from([0])]);
    const log = Buffer.alloc(8192);
    // CU_JIT_ERROR_LOG_BUFFER and its size.
    const options = Int32Array.of(5, 6);
    const values = BigUint64Array.of(this.driver.addressOf(log), BigInt(log.length));
    const status = this.driver.status("cuModuleLoadDataEx", out, text, options.length, options, values);
    if (status !== 0) {
      const said = log.toString("utf8").replace(/\0.*$/s, "").trim();
      const cause = this.driver.failure(status, `loading ${path.basename(file)}`);
      throw new AppError("unsupported", `The NVIDIA driver cannot take the kernels: ${cause.message} ${said}`.trim(), {
        hint: "Update the NVIDIA driver, or start with --engine llama.",
        cause,
      });
    }
    this.#modules.push(Number(out[0]));
  }

  kernel(name: string): Kernel {
    let kernel = this.#kernels.get(name);
    if (!kernel) {
      const out: [number | bigint | null] = [null];
      let status = notFound;
      for (const module of this.#modules) {
        if (status === notFound) status = this.driver.status("cuModuleGetFunction", out, module, name);
      }
      if (status !== 0) throw this.driver.failure(status, `looking for the kernel ${name}`);
      kernel = new Kernel(this, name, Number(out[0]));
      this.#kernels.set(name, kernel);
    }
    return kernel;
  }

  alloc(bytes: number, about: string): Handle {
    const address = this.driver.get("cuMemAlloc", [Math.max(bytes, 16)], `${about}: ${bytes} bytes`);
    this.#memory.add(address);
    this.#allocatedBytes += bytes;
    return address;
  }

  /** Memory of zeros. */
  zeros(bytes: number, about: string): Handle {
    const address = this.alloc(bytes, about);
    this.fill(address, 0, Math.max(bytes, 16));
    return address;
  }

  fill(address: Handle, byte: number, bytes: number): void {
    this.driver.call("cuMemsetD8Async", [address, byte, bytes, this.stream]);
  }

  free(address: Handle): void {
    this.#memory.delete(address);
    this.driver.call("cuMemFree", [address]);
  }

  /** Host memory that the GPU reads and writes directly. */
  host(bytes: number, about: string): HostMemory {
    const address = this.driver.get("cuMemHostAlloc", [bytes, 3], `${about}: ${bytes} bytes pinned`);
    this.#hostMemory.add(address);
    return { address, bytes: new Uint8Array(this.driver.view(address, bytes)) };
  }

  freeHost(memory: HostMemory): void {
    this.#hostMemory.delete(memory.address);
    this.driver.call("cuMemFreeHost", [memory.address]);
  }

  toDevice(target: Handle, source: Handle, bytes: number): void {
    this.driver.call("cuMemcpyHtoDAsync", [target, source, bytes, this.stream]);
  }

  /** Allocates and fills; for tables that never change. Synchronous. */
  upload(data: ArrayBufferView<ArrayBuffer>, about: string): Handle {
    const bytes = new Uint8Array(data.buffer, data.byteOffset, data.byteLength);
    const address = this.alloc(bytes.length, about);
    this.write(address, bytes);
    return address;
  }

  /** Copies through a pinned buffer and waits. */
  write(target: Handle, bytes: Uint8Array): void {
    const staging = this.host(Math.max(bytes.length, 16), "staging");
    staging.bytes.set(bytes);
    this.toDevice(target, staging.address, bytes.length);
    this.synchronize();
    this.freeHost(staging);
  }

  /** Copies back and waits: tests and diagnosis only. */
  read(source: Handle, bytes: number): Uint8Array<ArrayBuffer> {
    const staging = this.host(Math.max(bytes, 16), "staging");
    this.driver.call("cuMemcpyDtoHAsync", [staging.address, source, bytes, this.stream]);
    this.synchronize();
    const copy = staging.bytes.slice(0, bytes);
    this.freeHost(staging);
    return copy;
  }

  synchronize(): void {
    this.driver.call("cuStreamSynchronize", [this.stream]);
  }

  /** Captures what `record` launches into a graph; returns what launches it. */
  graph(record: () => void): () => void {
    this.driver.call("cuStreamBeginCapture", [this.stream, 2]);
    const out: [number | bigint | null] = [null];
    try {
      record();
    } finally {
      this.driver.call("cuStreamEndCapture", [this.stream, out]);
    }
    const graph = Number(out[0]);
    const executable = this.driver.get("cuGraphInstantiate", [graph, 0]);
    this.driver.call("cuGraphDestroy", [graph]);
    this.#graphs.add(executable);
    return () => this.driver.call("cuGraphLaunch", [executable, this.stream], "decode step");
  }

  /** Marks this place in the stream. */
  mark(): Handle {
    const event = this.#idleEvents.pop() ?? this.#newEvent(withoutTiming);
    this.driver.call("cuEventRecord", [event, this.stream]);
    this.#marks.push(event);
    return event;
  }

  /**
   * Resolves when the stream has passed the mark, in a later turn of the event loop; it and all marks before it are used up, so marks are
   * asked for in their order. Rejects with AppError `device`.
   */
  async passed(event: Handle): Promise<void> {
    const status = await this.#waiter.wait(event);
    if (status !== 0) throw this.driver.failure(status, "waiting for a step");
    this.#idleEvents.push(...this.#marks.splice(0, this.#marks.indexOf(event) + 1));
  }

  /** Milliseconds the stream takes for what `launch` puts there: for the bench. */
  time(launch: () => void): number {
    const [before, after] = [this.#newEvent(), this.#newEvent()];
    this.driver.call("cuEventRecord", [before, this.stream]);
    launch();
    this.driver.call("cuEventRecord", [after, this.stream]);
    this.driver.call("cuEventSynchronize", [after]);
    return this.driver.get("cuEventElapsedTime", [before, after]);
  }

  [Symbol.dispose](): void {
    const { driver } = this;
    // After a device error all of these fail too; the process gives everything back when it ends.
    driver.status("cuStreamSynchronize", this.stream);
    this.#waiter[Symbol.dispose]();
    for (const graph of this.#graphs) driver.status("cuGraphExecDestroy", graph);
    for (const event of this.#events) driver.status("cuEventDestroy", event);
    for (const address of this.#memory) driver.status("cuMemFree", address);
    for (const address of this.#hostMemory) driver.status("cuMemFreeHost", address);
    for (const module of this.#modules) driver.status("cuModuleUnload", module);
    driver.status("cuStreamDestroy", this.stream);
    driver.status("cuDevicePrimaryCtxRelease", this.#ordinal);
  }

  #newEvent(flags = 0): Handle {
    const event = this.driver.get("cuEventCreate", [flags]);
    this.#events.push(event);
    return event;
  }
}
