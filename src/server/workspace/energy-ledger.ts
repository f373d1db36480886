// What an answer cost in energy. The GPU tells one number, all it has used since its driver was loaded; what it grows by is shared evenly
// among the requests that ran meanwhile. Idle power is part of it: a GPU that serves one request serves nobody else.
import type { GpuMeter } from "../../engine/gpu-meter.ts";

export interface EnergyLedgerOptions {
  gpu: Pick<GpuMeter, "read"> | undefined;
  /** Of the engine: requests from elsewhere take their share too. */
  runningRequests: () => number;
}

export class EnergyLedger {
  readonly #options: EnergyLedgerOptions;
  readonly #open = new Map<string, number>();
  #lastJoules: number | undefined;

  constructor(options: EnergyLedgerOptions) {
    this.#options = options;
  }

  begin(id: string): void {
    this.share();
    this.#open.set(id, 0);
  }

  /** Joules of this answer; undefined where the GPU does not tell. */
  end(id: string): number | undefined {
    const isKnown = this.share();
    const joules = this.#open.get(id);
    this.#open.delete(id);
    return isKnown ? joules : undefined;
  }

  /** Takes in what was used since the last call. False where the GPU does not tell. */
  share(): boolean {
    if (this.#open.size === 0 && this.#lastJoules === undefined && !this.#options.gpu) return false;
    const joules = this.#options.gpu?.read(0)?.energyJoules;
    if (joules === undefined) return false;
    const used = joules - (this.#lastJoules ?? joules);
    this.#lastJoules = joules;
    const sharers = Math.max(this.#open.size, this.#options.runningRequests());
    for (const [id, before] of this.#open) this.#open.set(id, before + used / sharers);
    return true;
  }
}
