// The CUDA driver of the PTX machine: the calls that the engine makes, as bindings.ts makes them. A launch has run when its call returns, so events
// have always passed; graphs are the launches that were captured.
import { Driver } from "../../src/engine/cuda/bindings.ts";
import { compile, type Program } from "./compile.ts";
import { type Launch, Machine, type MachineOptions } from "./machine.ts";
import { type PtxModule, parsePtx } from "./parse.ts";
import { allocations, Memory } from "./runtime.ts";

export interface MachineFacts {
  capability: number;
  multiprocessors: number;
  sharedBytes: number;
  copies: MachineOptions["copies"];
  races: MachineOptions["races"];
}

type Out = [number | bigint | string | null];
type Action = () => void;
const [success, invalidValue, outOfMemory, noBinary, notFound, launchFailed] = [0, 1, 2, 209, 500, 719];
const span = 2 ** 32;
const totalBytes = 16 * 2 ** 30;

export function makeDriver(facts: MachineFacts): Driver {
  const { capability, multiprocessors, sharedBytes, copies, races } = facts;
  const machine = new Machine({ mostBlocks: multiprocessors * 2, copies, races });
  const modules = new Map<number, PtxModule>();
  const programs = new Map<number, Program>();
  const hostArrays = new Map<number, { buffer: WeakRef<ArrayBufferLike>; offset: number }>();
  const forget = new FinalizationRegistry<number>((address) => void hostArrays.delete(address));
  const graphs = new Map<number, Action[]>();
  let handles = 0;
  let captured: Action[] | undefined;
  let allocated = 0;
  let broken: string | undefined;
  let nextHost = 2 ** 52;

  const highOf = (address: number): number => Math.floor(address / span);
  const bytesAt = (address: number, count: number): Uint8Array => {
    const memory = allocations[highOf(address)];
    const offset = address % span;
    if (!memory || offset + count > memory.bytes) throw new Error(`a copy of ${count} bytes outside its allocation`);
    return memory.u8.subarray(offset, offset + count);
  };
  const allocate = (out: Out, bytes: number, about: string): number => {
    if (allocated + bytes > totalBytes) return outOfMemory;
    allocated += bytes;
    const memory = new Memory(bytes, `an allocation of ${bytes} bytes${about}`);
    if (about === "") memory.i32.fill(0x7fc0beef);
    out[0] = (allocations.push(memory) - 1) * span;
    return success;
  };
  const free = (address: number): number => {
    const memory = allocations[highOf(address)];
    if (!memory) return invalidValue;
    allocated -= memory.bytes;
    allocations[highOf(address)] = undefined;
    return success;
  };
  /** Now, or with the graph that is being captured. */
  const enqueue = (action: Action): number => {
    if (broken) return launchFailed;
    if (captured) {
      captured.push(action);
      return success;
    }
    try {
      action();
      return success;
    } catch (error) {
      broken = error instanceof Error ? error.message : String(error);
      process.stderr.write(`${broken}\n`);
      return launchFailed;
    }
  };
  /** Memory of host and device is alike. */
  const copy = (to: number, from: number, bytes: number): number =>
    enqueue(() => void bytesAt(to, bytes).set(bytesAt(from, bytes)));
  const give = (out: Out, value: number): number => {
    out[0] = value;
    return success;
  };
  const findHost = (address: number): Uint8Array => {
    const found = hostArrays.get(address);
    const buffer = found?.buffer.deref();
    if (!found || !buffer) throw new Error("no host memory there");
    return new Uint8Array(buffer, found.offset);
  };

  const calls: Readonly<Record<string, (...args: never[]) => number>> = {
    cuInit: () => success,
    cuGetErrorString(status: number, out: Out) {
      out[0] = status === launchFailed ? (broken ?? "launch failed") : `status ${status}`;
      return success;
    },
    cuDriverGetVersion: (out: Out) => give(out, 13_000),
    cuDeviceGetCount: (out: Out) => give(out, 1),
    cuDeviceGet: (out: Out) => give(out, 0),
    cuDeviceGetName(bytes: Uint8Array) {
      bytes.set(new TextEncoder().encode("PTX machine\0"));
      return success;
    },
    cuDeviceGetAttribute(out: Out, which: number) {
      out[0] =
        { 16: multiprocessors, 75: Math.floor(capability / 10), 76: capability % 10, 97: sharedBytes }[which] ?? 0;
      return success;
    },
    cuDevicePrimaryCtxRetain: (out: Out) => give(out, 1),
    cuDevicePrimaryCtxRelease_v2: () => success,
    cuCtxSetCurrent: () => success,
    cuModuleLoadDataEx(out: Out, image: Uint8Array) {
      if (image[0] === 0x7f) return noBinary; // machine code
      modules.set(++handles, parsePtx(new TextDecoder().decode(image)));
      return give(out, handles);
    },
    cuModuleUnload: () => success,
    cuModuleGetFunction(out: Out, module: number, name: string) {
      const found = modules.get(module);
      const ptx = found?.function(name);
      if (!found || !ptx) return notFound;
      programs.set(++handles, compile(ptx, { dynamicShared: found.dynamicShared, checksRaces: races !== "unchecked" }));
      return give(out, handles);
    },
    cuFuncSetAttribute: (_function: number, attribute: number, value: number) =>
      attribute === 8 && value > sharedBytes ? invalidValue : success,
    cuMemGetInfo_v2(free: Out, total: Out) {
      free[0] = totalBytes - allocated;
      total[0] = totalBytes;
      return success;
    },
    cuMemAlloc_v2: (out: Out, bytes: number) => allocate(out, bytes, ""),
    cuMemFree_v2: free,
    cuMemHostAlloc: (out: Out, bytes: number) => allocate(out, bytes, " of the host"),
    cuMemFreeHost: free,
    cuMemcpyHtoDAsync_v2: copy,
    cuMemcpyDtoHAsync_v2: copy,
    cuMemsetD8Async: (to: number, value: number, bytes: number) => enqueue(() => void bytesAt(to, bytes).fill(value)),
    cuStreamCreate: (out: Out) => give(out, 1),
    cuStreamDestroy_v2: () => success,
    cuStreamSynchronize: () => (broken ? launchFailed : success),
    cuStreamBeginCapture_v2() {
      captured = [];
      return success;
    },
    cuStreamEndCapture(_stream: number, out: Out) {
      graphs.set(++handles, captured ?? []);
      captured = undefined;
      return give(out, handles);
    },
    cuGraphInstantiateWithFlags: (out: Out, graph: number) => give(out, graph),
    cuGraphLaunch(graph: number) {
      for (const action of graphs.get(graph) ?? []) {
        const status = enqueue(action);
        if (status !== success) return status;
      }
      return success;
    },
    cuGraphDestroy: () => success,
    cuGraphExecDestroy: () => success,
    cuEventCreate: (out: Out) => give(out, ++handles),
    cuEventDestroy_v2: () => success,
    cuEventRecord: () => (broken ? launchFailed : success),
    cuEventSynchronize: () => (broken ? launchFailed : success),
    cuEventElapsedTime: (out: Out) => give(out, 0),
    cuLaunchKernelEx(config: Uint8Array, kernel: number, pointers: BigUint64Array) {
      const program = programs.get(kernel);
      if (!program) return invalidValue;
      const launch = launchOf(program, config, (index) => findHost(Number(pointers[index])));
      if (launch.program.staticShared + launch.dynamicShared > sharedBytes) return invalidValue;
      return enqueue(() => machine.launch(launch));
    },
  };
  const koffi = {
    load: () => library,
    address(value: Uint8Array): bigint {
      const address = nextHost;
      nextHost += 64;
      hostArrays.set(address, { buffer: new WeakRef(value.buffer), offset: value.byteOffset });
      forget.register(value.buffer, address);
      return BigInt(address);
    },
    view: (address: number | bigint) => {
      const memory = allocations[highOf(Number(address))];
      if (!memory) throw new Error("no such host memory");
      return memory.u8.buffer;
    },
  };
  const library = {
    func(signature: string) {
      const name = /^int (\w+)\(/.exec(signature)?.[1] ?? "";
      const call = calls[name];
      if (!call) throw new Error(`the PTX machine's driver has no ${name}`);
      return call as (...args: unknown[]) => number;
    },
  };
  return new Driver(koffi, library);
}

function launchOf(program: Program, config: Uint8Array, hostAt: (index: number) => Uint8Array): Launch {
  const view = new DataView(config.buffer, config.byteOffset);
  const word = (at: number): number => view.getUint32(at, true);
  let clusterSize = 1;
  for (let index = 0; index < word(48); index++) {
    const at = 56 + index * 72;
    if (word(at) === 4) clusterSize = word(at + 16);
  }
  const parameters = new Memory(Math.max(16, program.parameterBytes), "parameters");
  for (const [index, { offset, bytes }] of program.parameters.entries()) {
    parameters.u8.set(hostAt(index).subarray(0, bytes), offset);
  }
  return {
    ...{ program, clusterSize, parameters, threads: word(12), dynamicShared: word(24) },
    grid: [word(0), word(4), word(8)],
  };
}
