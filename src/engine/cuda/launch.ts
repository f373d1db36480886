// Kernels and how they are started: parameters as C lays them out, the driver's launch configuration, launches that are made once and repeated.
import type { Driver, Handle } from "./bindings.ts";
import type { Device } from "./device.ts";

export interface LaunchShape {
  grid: readonly [number, number?, number?];
  block: number;
  sharedBytes?: number;
  /** Programmatic dependent launch: may come up while the kernel before still runs (the kernel itself waits). */
  overlaps?: boolean;
  /** So many blocks along z share their memory (Hopper). */
  cluster?: number;
}

/** A launch that is made once and repeated with other grids and other 32-bit parameters: a prompt's step makes hundreds. */
export interface RepeatedLaunch {
  /** The parameter struct. */
  readonly args: DataView;
  /** `cluster`: so many blocks along z share their memory (Hopper). */
  run(grid: LaunchShape["grid"], options?: { cluster?: number }): void;
}

/** A kernel's parameters: each a value by its C type, structs as bytes. */
export type Argument = Uint8Array;

export function i32(value: number): Argument {
  const bytes = new Uint8Array(4);
  new DataView(bytes.buffer).setInt32(0, value, true);
  return bytes;
}
export function f32(value: number): Argument {
  const bytes = new Uint8Array(4);
  new DataView(bytes.buffer).setFloat32(0, value, true);
  return bytes;
}
export function u64(value: number): Argument {
  const bytes = new Uint8Array(8);
  new DataView(bytes.buffer).setBigUint64(0, BigInt(value), true);
  return bytes;
}
/** A C struct: addresses first in order, then 32-bit fields; the order all argument structs of kernels/ keep. */
export function struct(addresses: readonly Handle[], words: readonly Argument[] = []): Argument {
  const bytes = new Uint8Array(Math.ceil((addresses.length * 8 + words.length * 4) / 8) * 8);
  const view = new DataView(bytes.buffer);
  for (const [index, address] of addresses.entries()) view.setBigUint64(index * 8, BigInt(address), true);
  for (const [index, word] of words.entries()) bytes.set(word, addresses.length * 8 + index * 4);
  return bytes;
}

export class Kernel {
  readonly name: string;
  readonly #device: Device;
  readonly #function: Handle;
  #sharedBytes = 48 * 1024;
  #isConfigured = false;

  constructor(device: Device, name: string, handle: Handle) {
    this.#device = device;
    this.name = name;
    this.#function = handle;
  }

  /** Puts the kernel on the stream (or into the graph that is being captured). Parameters are copied during the call. */
  launch(shape: LaunchShape, args: readonly Argument[]): void {
    const pointers = new BigUint64Array(args.length);
    for (const [index, bytes] of args.entries()) pointers[index] = this.#device.driver.addressOf(bytes);
    const { launchConfig, facts } = this.#device;
    const { block, sharedBytes = 0, overlaps = false, cluster = 1 } = shape;
    launchConfig.set(shape.grid, { block, sharedBytes, overlaps: overlaps && facts.capability >= 90, cluster });
    this.#configure(sharedBytes);
    this.#start(launchConfig, pointers, shape);
  }

  /** For kernels whose parameters are one struct. */
  repeated(shape: Omit<LaunchShape, "grid" | "cluster">, struct: Argument): RepeatedLaunch {
    const { driver, stream, facts } = this.#device;
    const { block, sharedBytes = 0, overlaps = false } = shape;
    const args = new Uint8Array(new ArrayBuffer(struct.length));
    args.set(struct);
    const pointers = new BigUint64Array(new ArrayBuffer(8));
    pointers[0] = driver.addressOf(args);
    const config = new LaunchConfig(driver, stream);
    this.#configure(sharedBytes);
    return {
      args: new DataView(args.buffer),
      run: (grid, { cluster = 1 } = {}) => {
        config.set(grid, { block, sharedBytes, overlaps: overlaps && facts.capability >= 90, cluster });
        this.#start(config, pointers, { ...shape, grid });
      },
    };
  }

  #configure(sharedBytes: number): void {
    const { driver } = this.#device;
    if (!this.#isConfigured) {
      // All kernels ask for the largest shared memory partition: a multiprocessor that must repartition between two kernels drains first,
      // and then the next kernel cannot come up beside this one.
      driver.call("cuFuncSetAttribute", [this.#function, 9, 100], `${this.name}: carveout`);
      this.#isConfigured = true;
    }
    if (sharedBytes > this.#sharedBytes) {
      driver.call("cuFuncSetAttribute", [this.#function, 8, sharedBytes], `${this.name}: ${sharedBytes} bytes shared`);
      this.#sharedBytes = sharedBytes;
    }
  }

  #start(config: LaunchConfig, pointers: BigUint64Array, { grid, block, sharedBytes = 0 }: LaunchShape): void {
    const { driver } = this.#device;
    const status = driver.status("cuLaunchKernelEx", config.bytes, this.#function, pointers, null);
    if (status === 0) return;
    throw driver.failure(status, `kernel ${this.name}, grid ${grid.join("x")}, block ${block}, ${sharedBytes} bytes`);
  }
}

const attributeBytes = 72;

/** A CUlaunchConfig with room for two attributes, outside V8's own heap so that its address stays. */
export class LaunchConfig {
  readonly bytes = new Uint8Array(new ArrayBuffer(56 + 2 * attributeBytes));
  readonly #view = new DataView(this.bytes.buffer);

  constructor(driver: Driver, stream: Handle) {
    this.#view.setBigUint64(32, BigInt(stream), true);
    this.#view.setBigUint64(40, driver.addressOf(this.bytes) + 56n, true);
  }

  set(
    grid: LaunchShape["grid"],
    shape: { block: number; sharedBytes: number; overlaps: boolean; cluster: number },
  ): void {
    const view = this.#view;
    view.setUint32(0, grid[0], true);
    view.setUint32(4, grid[1] ?? 1, true);
    view.setUint32(8, grid[2] ?? 1, true);
    view.setUint32(12, shape.block, true);
    view.setUint32(16, 1, true);
    view.setUint32(20, 1, true);
    view.setUint32(24, shape.sharedBytes, true);
    let count = 0;
    if (shape.overlaps) {
      view.setInt32(56, 6, true); // CU_LAUNCH_ATTRIBUTE_PROGRAMMATIC_STREAM_SERIALIZATION
      view.setInt32(64, 1, true);
      count++;
    }
    if (shape.cluster > 1) {
      const at = 56 + count * attributeBytes;
      view.setInt32(at, 4, true); // CU_LAUNCH_ATTRIBUTE_CLUSTER_DIMENSION
      view.setInt32(at + 8, 1, true);
      view.setInt32(at + 12, 1, true);
      view.setInt32(at + 16, shape.cluster, true);
      count++;
    }
    view.setUint32(48, count, true);
  }
}
