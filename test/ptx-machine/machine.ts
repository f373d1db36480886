// Runs a compiled kernel's grid: blocks with shared memory and barriers, warps whose lanes go together as long as they can. One warp runs until
// it has to wait, then another; copies that are asynchronous on a GPU are made as late as they may be (or as early), so that a missing wait shows.
//
// Lanes that part at a branch become groups; the group that is furthest behind goes first, and groups that meet become one again.
import type { Program, Segment } from "./compile.ts";
import { type Clock, learn, Races, type Use } from "./races.ts";
import { Memory, MemoryFault, runtime } from "./runtime.ts";
import { doTogether } from "./warp-operations.ts";

interface Group {
  at: number;
  mask: number;
  /** The barrier round that it waits for. */
  waiting: { barrier: Barrier; round: number } | undefined;
  /** It stands before an instruction that the other lanes must reach too. */
  isEarly: boolean;
}

export class Barrier {
  round = 0;
  /** What the warps of the last round knew together. */
  told: Clock;
  #collected: Clock;
  #arrived = 0;

  constructor(actors: number) {
    this.told = new Int32Array(actors);
    this.#collected = new Int32Array(actors);
  }

  /** Returns whether that was the last one. */
  arrive(warp: Warp, threads: number, of: number): boolean {
    this.#arrived += threads;
    warp.tell(this.#collected);
    if (this.#arrived < of) return false;
    if (this.#arrived > of) throw new Error(`${this.#arrived} threads came to a barrier of ${of}`);
    this.#arrived = 0;
    this.told = this.#collected;
    this.#collected = new Int32Array(this.told.length);
    this.round++;
    return true;
  }
}

interface Copy {
  to: number;
  low: number;
  high: number;
  bytes: number;
  /** What the warp knew that asked for it, and where it did. */
  knows: Clock;
  place: number;
}
/** An mbarrier: its phase ends when nothing is awaited, neither arrivals nor bytes. */
interface CopyBarrier {
  count: number;
  awaited: number;
  bytes: number;
  phase: number;
  copies: Copy[];
  /** For races.ts: its copies act as one, in this order. */
  actor: number;
  made: number;
  collected: Clock;
  told: Clock;
}

/** An mbarrier's copies are actors too, so many a block at most. */
const mostCopyBarriers = 128;
/** Lines about races in one process. */
const mostTold = 200;

export interface Launch {
  program: Program;
  grid: readonly [number, number, number];
  threads: number;
  dynamicShared: number;
  parameters: Memory;
  /** Blocks along z that share their memory. */
  clusterSize: number;
}

export class Warp {
  readonly block: Block;
  readonly firstThread: number;
  readonly ints: Int32Array;
  readonly floats: Float32Array;
  readonly doubles: Float64Array;
  groups: Group[];
  /** Lanes that have not ended. */
  alive: number;
  /** It has read what others change: if it now goes back, it is asking again, and they should have a turn. */
  hasAsked = false;
  /** For races.ts. */
  readonly knows: Clock;
  /** The segment that it is in. */
  place = 0;
  readonly #actor: number;
  readonly #copies: Copy[][] = [[]];
  #turn = 0;

  constructor(block: Block, index: number) {
    const { program, threads } = block.launch;
    this.block = block;
    this.firstThread = index * 32;
    this.ints = new Int32Array(program.intRows * 32);
    this.floats = new Float32Array(program.floatRows * 32);
    this.doubles = new Float64Array(program.doubleRows * 32);
    const lanes = Math.min(32, threads - this.firstThread);
    this.alive = lanes === 32 ? -1 : 2 ** lanes - 1;
    this.groups = [{ at: 0, mask: this.alive, waiting: undefined, isEarly: false }];
    this.#actor = block.rank * Math.ceil(threads / 32) + index;
    this.knows = new Int32Array(block.cluster.actors);
    if (block.cluster.actors > 0) this.knows[this.#actor] = 1;
  }

  /** Gives what this warp knows to a barrier; what it does from now on is not in it. */
  tell(to: Clock): void {
    if (this.knows.length === 0) return;
    learn(to, this.knows);
    this.knows[this.#actor] = (this.knows[this.#actor] as number) + 1;
  }

  /** A use of shared memory, of this block or by an address of the cluster. */
  use(kind: Use, address: number, bytes: number): void {
    const { races } = address >>> 24 === 0 ? this.block : this.block.blockOf(address);
    const { knows, place } = this;
    const now = knows[this.#actor] as number;
    races?.use(kind, { actor: this.#actor, knows, now, at: address & 0xffffff, bytes, place });
  }

  /** Until it must wait (false) or has ended (true). */
  run(): boolean {
    const { program } = this.block.launch;
    while (this.groups.length > 0) {
      const group = this.#next();
      if (!group) return false;
      this.place = group.at;
      const segment = program.segments[group.at] as Segment;
      if (segment.kind === "together") {
        if (this.#together(group, segment)) continue;
        if (this.groups.every((one) => one.isEarly || one.waiting)) {
          if (this.groups.every((one) => one.isEarly))
            throw new Error("lanes wait for each other at different instructions");
          return false;
        }
        continue;
      }
      const taken = (segment.run ?? program.compile(segment))(this, group.mask);
      const from = group.at;
      if (segment.end === "on") group.at++;
      else if (segment.end === "jump") group.at = segment.target;
      else if (segment.end === "exit") {
        this.alive &= ~group.mask;
        this.groups.splice(this.groups.indexOf(group), 1);
        this.block.machine.progress++;
        for (const one of this.groups) one.isEarly = false;
        continue;
      } else if (taken === group.mask) group.at = segment.target;
      else if (taken === 0) group.at++;
      else {
        this.groups.push({ at: segment.target, mask: taken, waiting: undefined, isEarly: false });
        group.mask &= ~taken;
        group.at++;
      }
      if (this.groups.length > 1) this.#join();
      if (this.hasAsked && segment.end !== "on" && segment.target <= from) {
        this.hasAsked = false;
        this.#turn++;
        return false;
      }
    }
    return true;
  }

  /** Starts a 16-byte copy of this lane. */
  copyAsync(to: number, low: number, high: number, size: number): void {
    const copy = { to, low, high, bytes: size, knows: this.knows.slice(), place: this.place };
    runtime.within(this.block.shared, to, size, size);
    runtime.within(runtime.memory(high, low), low, size, size);
    if (this.block.machine.options.copies === "early") this.block.copy(copy);
    this.#copies.at(-1)?.push(copy);
  }
  commitCopies(): void {
    this.#copies.push([]);
  }
  waitForCopies(pending: number): void {
    const ended = Math.max(0, this.#copies.length - 1 - pending);
    for (const copy of this.#copies.splice(0, ended).flat()) {
      if (this.block.machine.options.copies === "late") this.block.copy(copy);
      const { to: at, bytes, knows, place } = copy;
      const now = this.knows[this.#actor] as number;
      this.block.races?.use("write", { actor: this.#actor, knows, now, at, bytes, place });
    }
  }

  #next(): Group | undefined {
    let found: Group | undefined;
    let open = 0;
    for (const group of this.groups) {
      if (group.waiting && group.waiting.barrier.round !== group.waiting.round) {
        learn(this.knows, group.waiting.barrier.told);
        group.waiting = undefined;
      }
      if (group.waiting || group.isEarly) continue;
      open++;
      if (!found || group.at < found.at) found = group;
    }
    // One that asks in vain must not keep the lanes from running that it asks for.
    if (open > 1 && this.#turn % 2 === 1) {
      const others = this.groups.filter((group) => !group.waiting && !group.isEarly && group !== found);
      found = others[(this.#turn >> 1) % others.length];
      this.#turn++;
    }
    return found;
  }

  #together(group: Group, segment: Extract<Segment, { kind: "together" }>): boolean {
    const { instruction, slots } = segment;
    const [name, second] = instruction.parts;
    const isOfBlock =
      (name === "bar" && second !== "warp") || name === "barrier" || name === "cp" || name === "activemask";
    if (!isOfBlock && group.mask !== this.alive) {
      const wanted = this.#membersOf(group, segment) & this.alive;
      if ((group.mask & wanted) !== wanted) {
        group.isEarly = true;
        this.#join();
        // Different instructions may stand for one bar.warp.sync.
        if (name === "bar" && this.groups.every((one) => one.isEarly && this.#isWarpSync(one))) {
          for (const one of this.groups) {
            one.isEarly = false;
            one.at++;
          }
          return true;
        }
        return !group.isEarly;
      }
    }
    if (name === "bar" && second === "warp") {
      group.at++;
    } else if (name === "bar") {
      const value = (index: number): number => {
        const slot = slots[index]?.[0];
        if (!slot) return this.block.launch.threads - this.block.endedThreads;
        return slot.kind === "constant" ? slot.at : (this.ints[slot.at * 32 + 31 - Math.clz32(group.mask)] ?? 0);
      };
      const barrier = this.block.barrier(value(0));
      const round = barrier.round;
      const threads = runtime.popcount(group.mask);
      group.at++;
      if (barrier.arrive(this, threads, value(1))) {
        this.block.machine.progress++;
        if (second === "sync") learn(this.knows, barrier.told);
      } else if (second === "sync") group.waiting = { barrier, round };
    } else if (name === "barrier") {
      const { cluster } = this.block;
      group.at++;
      if (second === "cluster" && instruction.parts[2] === "arrive") {
        const round = cluster.barrier.round;
        const threads = cluster.size * this.block.launch.threads;
        if (cluster.barrier.arrive(this, runtime.popcount(group.mask), threads)) this.block.machine.progress++;
        cluster.rounds.set(this, round);
      } else {
        const round = cluster.rounds.get(this) ?? 0;
        if (cluster.barrier.round === round) group.waiting = { barrier: cluster.barrier, round };
        else learn(this.knows, cluster.barrier.told);
      }
    } else {
      doTogether(this, group.mask, segment);
      group.at++;
    }
    if (this.groups.length > 1) this.#join();
    return true;
  }

  #isWarpSync(group: Group): boolean {
    const segment = this.block.launch.program.segments[group.at];
    return (
      segment?.kind === "together" && segment.instruction.parts[0] === "bar" && segment.instruction.parts[1] === "warp"
    );
  }

  /** Lanes that an instruction names, by its last operand; all where it names none. */
  #membersOf({ mask }: Group, { instruction, slots }: Extract<Segment, { kind: "together" }>): number {
    if (!["shfl", "vote", "redux", "bar", "match"].includes(instruction.parts[0] ?? "")) return -1;
    const slot = slots.at(-1)?.[0];
    if (slot?.kind === "constant") return slot.at;
    return slot ? (this.ints[slot.at * 32 + 31 - Math.clz32(mask)] ?? -1) : -1;
  }

  /** Groups at the same place become one. */
  #join(): void {
    for (let i = 0; i < this.groups.length; i++) {
      for (let j = i + 1; j < this.groups.length; j++) {
        const [a, b] = [this.groups[i], this.groups[j]];
        if (!a || !b || a.at !== b.at || a.waiting || b.waiting) continue;
        a.mask |= b.mask;
        a.isEarly = false;
        this.groups.splice(j--, 1);
      }
    }
  }

  where(): string {
    const { program } = this.block.launch;
    const places = this.groups.map(
      ({ at, mask, waiting }) =>
        `lanes ${(mask >>> 0).toString(16)} at ${program.lineOf(at)}${waiting ? ", in a barrier" : ""}`,
    );
    return `block ${this.block.x}, ${this.block.y}, ${this.block.z}, warp ${this.firstThread / 32}: ${places.join("; ")}`;
  }
}

class Cluster {
  readonly size: number;
  readonly blocks: Block[] = [];
  readonly barrier: Barrier;
  readonly rounds = new Map<Warp, number>();
  /** Who can be in a race: all warps, then the mbarriers of each block; none where races are not looked for. */
  readonly actors: number;
  readonly warps: number;

  constructor(size: number, { threads, checksRaces }: { threads: number; checksRaces: boolean }) {
    this.size = size;
    this.warps = size * Math.ceil(threads / 32);
    this.actors = checksRaces ? this.warps + size * mostCopyBarriers : 0;
    this.barrier = new Barrier(this.actors);
  }
}

export class Block {
  readonly machine: Machine;
  readonly launch: Launch;
  readonly cluster: Cluster;
  readonly rank: number;
  readonly x: number;
  readonly y: number;
  readonly z: number;
  readonly grid: readonly number[];
  readonly threads: number;
  readonly shared: Memory;
  readonly parameters: Memory;
  readonly races: Races | undefined;
  readonly #warps: Warp[];
  readonly #barriers = new Map<number, Barrier>();
  readonly #copyBarriers = new Map<number, CopyBarrier>();
  endedThreads = 0;

  constructor(machine: Machine, launch: Launch, cluster: Cluster, [x, y, z]: readonly [number, number, number]) {
    this.machine = machine;
    this.launch = launch;
    this.cluster = cluster;
    this.rank = cluster.blocks.push(this) - 1;
    this.x = x;
    this.y = y;
    this.z = z;
    this.grid = launch.grid;
    this.threads = launch.threads;
    this.parameters = launch.parameters;
    this.shared = new Memory(launch.program.staticShared + launch.dynamicShared, "shared memory");
    // What nobody has written is nobody's to read.
    this.shared.i32.fill(0x7fc0dead);
    if (machine.options.races !== "unchecked") {
      const said = (use: Use, place: number): string =>
        `${use === "read" ? "read" : "written"} at ${launch.program.lineOf(place)}`;
      this.races = new Races(this.shared.bytes, cluster.warps, ({ use, act, byte }, before) => {
        const part = `byte ${byte - act.at} of ${act.bytes}`;
        const both = `${said(use, act.place)} (${part}), and in no order with it ${said(before.use, before.place)}`;
        machine.tellRace(`${launch.program.name}: shared memory ${both}`, byte);
      });
    }
    this.#warps = Array.from({ length: Math.ceil(launch.threads / 32) }, (_, index) => new Warp(this, index));
  }

  /** One turn of each warp; true when all have ended. */
  run(): boolean {
    for (const warp of this.#warps) {
      if (warp.groups.length === 0) continue;
      try {
        if (warp.run()) this.endedThreads += Math.min(32, this.threads - warp.firstThread);
      } catch (error) {
        if (error instanceof Error && !error.message.includes("kernel ")) {
          error.message = `kernel ${this.launch.program.name}: ${error.message} (${warp.where()})`;
        }
        throw error;
      }
    }
    return this.#warps.every(({ groups }) => groups.length === 0);
  }

  barrier(index: number): Barrier {
    const found = this.#barriers.get(index) ?? new Barrier(this.cluster.actors);
    this.#barriers.set(index, found);
    return found;
  }

  /** The block whose shared memory an address of the cluster is in. */
  blockOf(address: number): Block {
    const rank = (address >>> 24) - 1;
    const found = rank < 0 ? this : this.cluster.blocks[rank];
    if (!found) throw new MemoryFault(`no block ${rank} in a cluster of ${this.cluster.size}`);
    return found;
  }

  initBarrier(at: number, count: number): void {
    runtime.within(this.shared, at, 8, 8);
    const { actors, warps } = this.cluster;
    const known = this.#copyBarriers.get(at);
    const number = this.#copyBarriers.size;
    if (!known && number === mostCopyBarriers) throw new Error("more mbarriers than races are looked for among");
    const actor = known?.actor ?? warps + this.rank * mostCopyBarriers + number;
    this.#copyBarriers.set(at, {
      ...{ count, awaited: count, bytes: 0, phase: 0, copies: [], actor, made: 0 },
      ...{ collected: new Int32Array(actors), told: new Int32Array(actors) },
    });
  }
  arrive(warp: Warp, at: number, bytes: number): void {
    const barrier = this.#copyBarrier(at);
    warp.tell(barrier.collected);
    barrier.bytes += bytes;
    if (barrier.awaited === 0) throw new Error(`more arrivals than an mbarrier of ${barrier.count} awaits`);
    barrier.awaited--;
    this.#endPhase(barrier);
  }
  bulkCopy(warp: Warp, to: number, [low, high, bytes]: readonly [number, number, number], at: number): void {
    const barrier = this.#copyBarrier(at);
    if (bytes % 16 !== 0) throw new MemoryFault(`a bulk copy of ${bytes} bytes`);
    runtime.within(this.shared, to, bytes, 16);
    runtime.within(runtime.memory(high, low), low, bytes, 16);
    const copy = { to, low, high, bytes, knows: warp.knows.slice(), place: warp.place };
    if (this.machine.options.copies === "early") this.#complete(barrier, copy);
    else barrier.copies.push(copy);
    this.#endPhase(barrier);
  }
  hasPassed(warp: Warp, at: number, parity: number): 0 | 1 {
    const barrier = this.#copyBarrier(at);
    if (barrier.phase % 2 === (parity & 1)) {
      for (const copy of barrier.copies.splice(0)) this.#complete(barrier, copy);
      this.#endPhase(barrier);
    }
    if (barrier.phase % 2 === (parity & 1)) {
      warp.hasAsked = true;
      return 0;
    }
    learn(warp.knows, barrier.told);
    return 1;
  }
  copy({ to, low, high, bytes }: Copy): void {
    this.shared.u8.set(runtime.memory(high, low).u8.subarray(low, low + bytes), to);
  }

  where(): string[] {
    return this.#warps.filter(({ groups }) => groups.length > 0).map((warp) => warp.where());
  }

  #complete(barrier: CopyBarrier, copy: Copy): void {
    this.copy(copy);
    barrier.bytes -= copy.bytes;
    if (!this.races) return;
    const [actor, now] = [barrier.actor, ++barrier.made];
    const { knows, to: at, bytes, place } = copy;
    this.races.use("write", { actor, knows, now, at, bytes, place });
    barrier.collected[actor] = now;
  }
  #endPhase(barrier: CopyBarrier): void {
    if (barrier.awaited > 0 || barrier.bytes !== 0 || barrier.copies.length > 0) return;
    barrier.awaited = barrier.count;
    barrier.told = barrier.collected.slice();
    barrier.phase++;
    this.machine.progress++;
  }
  #copyBarrier(at: number): CopyBarrier {
    const found = this.#copyBarriers.get(at);
    if (!found) throw new MemoryFault(`no mbarrier was made at ${at}`);
    return found;
  }
}

export interface MachineOptions {
  /** Blocks that are there together at most. */
  mostBlocks: number;
  /** When asynchronous copies are made: as soon as they are asked for, or only when they are waited for. */
  copies: "early" | "late";
  /** What becomes of uses of shared memory that no barrier orders: an error, or a line for each pair of places. */
  races: "unchecked" | "refused" | "told";
}

export class Machine {
  readonly options: MachineOptions;
  readonly #told = new Set<string>();
  progress = 0;
  stores = 0;

  constructor(options: MachineOptions) {
    this.options = options;
  }

  tellRace(what: string, byte: number): void {
    if (this.options.races === "refused") throw new Error(`a race at byte ${byte}: ${what}`);
    if (!this.#told.has(what) && this.#told.size < mostTold) process.stderr.write(`a race: ${what}\n`);
    this.#told.add(what);
  }

  launch(launch: Launch): void {
    const [gx, gy, gz] = launch.grid;
    const { mostBlocks, races } = this.options;
    const shape = { threads: launch.threads, checksRaces: races !== "unchecked" };
    const waiting: (() => Block[])[] = [];
    for (let z = 0; z < gz; z += launch.clusterSize) {
      for (let y = 0; y < gy; y++) {
        for (let x = 0; x < gx; x++) {
          waiting.push(() => {
            const cluster = new Cluster(launch.clusterSize, shape);
            return Array.from(
              { length: cluster.size },
              (_, rank) => new Block(this, launch, cluster, [x, y, z + rank]),
            );
          });
        }
      }
    }
    waiting.reverse();
    const live: Block[] = [];
    for (let inVain = 0; live.length > 0 || waiting.length > 0; ) {
      const before = this.progress + this.stores;
      if (live.length + launch.clusterSize <= Math.max(mostBlocks, launch.clusterSize))
        live.push(...(waiting.pop()?.() ?? []));
      for (let index = 0; index < live.length; index++) {
        if (live[index]?.run()) live.splice(index--, 1);
      }
      inVain = this.progress + this.stores === before ? inVain + 1 : 0;
      if (inVain > 1000 && (waiting.length === 0 || live.length >= mostBlocks)) {
        const places = live.flatMap((block) => block.where()).slice(0, 12);
        throw new Error(`kernel ${launch.program.name}: all warps wait in vain:\n${places.join("\n")}`);
      }
    }
  }
}
