// Races in shared memory, by vector clocks: two uses of a byte, one of them a write, that no barrier puts in an order. Who acts is a warp or the
// copies of one mbarrier; what a warp knows of the others is how far each had come when a barrier told it.
//
// Within a warp lanes are one: what they do to each other without bar.warp.sync is not looked at, and neither is memory of the whole GPU.
// The method is that of Flanagan and Freund, FastTrack (PLDI 2009), without its epochs for reads.

export type Use = "read" | "write" | "atomic";

/** How far each actor had come, as far as is known. */
export type Clock = Int32Array;

export function learn(mine: Clock, told: Clock): void {
  for (let actor = 0; actor < mine.length; actor++) {
    if ((told[actor] as number) > (mine[actor] as number)) mine[actor] = told[actor] as number;
  }
}

export interface Act {
  /** A warp's number in the cluster, or behind those an mbarrier's. */
  actor: number;
  /** What the actor knew when it asked for this. */
  knows: Clock;
  /** Its own clock when it is done. */
  now: number;
  at: number;
  bytes: number;
  /** Where it is in the program: told with the race. */
  place: number;
}

/** A use, and an earlier one of the same byte that it is in no order with. */
export type Tell = (now: { use: Use; act: Act; byte: number }, before: { use: Use; place: number }) => void;

/** The uses of one block's shared memory. */
export class Races {
  readonly #readers: number;
  readonly #tell: Tell;
  readonly #writer: Int16Array;
  readonly #written: Int32Array;
  readonly #writtenAt: Int32Array;
  readonly #isAtomic: Uint8Array;
  /** Of each byte, by actor, when and where it was last read. */
  readonly #read: Int32Array;
  readonly #readAt: Int32Array;

  /** `readers`: so many actors, the first ones, also read: the warps. `tell` is called for each byte of a race. */
  constructor(bytes: number, readers: number, tell: Tell) {
    this.#readers = readers;
    this.#tell = tell;
    this.#writer = new Int16Array(bytes).fill(-1);
    this.#written = new Int32Array(bytes);
    this.#writtenAt = new Int32Array(bytes);
    this.#isAtomic = new Uint8Array(bytes);
    this.#read = new Int32Array(bytes * readers);
    this.#readAt = new Int32Array(bytes * readers);
  }

  use(kind: Use, act: Act): void {
    const { actor, knows, now, at, bytes, place } = act;
    for (let byte = at; byte < at + bytes; byte++) {
      const writer = this.#writer[byte] as number;
      if (writer >= 0 && writer !== actor && (this.#written[byte] as number) > (knows[writer] as number)) {
        const use = this.#isAtomic[byte] === 0 ? "write" : "atomic";
        if (kind !== "atomic" || use !== "atomic")
          this.#tell({ use: kind, act, byte }, { use, place: this.#writtenAt[byte] as number });
      }
      const from = byte * this.#readers;
      if (kind === "read") {
        this.#read[from + actor] = now;
        this.#readAt[from + actor] = place;
        continue;
      }
      for (let other = 0; other < this.#readers; other++) {
        if (other === actor || (this.#read[from + other] as number) <= (knows[other] as number)) continue;
        this.#tell({ use: kind, act, byte }, { use: "read", place: this.#readAt[from + other] as number });
      }
      this.#writer[byte] = actor;
      this.#written[byte] = now;
      this.#writtenAt[byte] = place;
      this.#isAtomic[byte] = kind === "atomic" ? 1 : 0;
    }
  }
}
