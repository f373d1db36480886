// The JavaScript of a run of instructions: one loop over the lanes of a warp whose body is the run. What an instruction becomes stands by its
// name in emit-arithmetic.ts, emit-bits.ts, emit-compare.ts, emit-convert.ts and emit-memory.ts.
import { arithmetic } from "./emit-arithmetic.ts";
import { bits } from "./emit-bits.ts";
import { comparisons } from "./emit-compare.ts";
import { conversions } from "./emit-convert.ts";
import { accesses } from "./emit-memory.ts";
import { Emitter, type Form, type Handler, refuse, type Scope } from "./emitter.ts";
import type { Instruction } from "./parse.ts";

const handlers: Record<string, Handler> = { ...arithmetic, ...bits, ...comparisons, ...conversions, ...accesses };

const nothing = new Set(["membar", "fence", "griddepcontrol", "setmaxnreg", "prefetch"]);
/** Launches run one after another and every write is seen at once, so these have nothing to do. */
const isNothing = ({ parts }: Instruction): boolean =>
  nothing.has(parts[0] ?? "") ||
  (parts[0] === "wgmma" && parts[1] !== "mma_async") ||
  (parts[0] === "cp" && parts.includes("prefetch"));

/** The body of `(w: Warp, m: number) => number`: does the instructions for each lane in `m` and returns the lanes that branch. */
export function sourceOf(instructions: readonly Instruction[], scope: Scope): string {
  const js = new Emitter(scope);
  let branch = "";
  for (const instruction of instructions) {
    const { parts, operands, guard } = instruction;
    const [name = "", ...how] = parts;
    const test = guard && js.testOf(guard);
    if (name === "bra" && test) branch = `if (${test}) t |= 1 << l;`;
    if (name === "bra" || name === "ret" || name === "exit" || isNothing(instruction)) continue;
    const [to, ...from] = operands;
    const [a, b, c, d] = from;
    const form: Form = { name, how, type: how.at(-1) ?? "", ...{ to, from, a, b, c, d } };
    js.guarded(test, () => {
      const value = (handlers[name] ?? refuse)(js, form);
      if (value !== undefined) js.put(to, value);
    });
  }
  return js.source(branch);
}
