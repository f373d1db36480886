// What a decode step costs the engine's process on its own thread, while one sequence decodes:
//   node bench/cuda/host-work.ts FILE.gguf [TOKENS] [TOGETHER]
// The share of time in which the event loop works, at first and once the code is compiled, and then the microseconds of a step by what they go
// to. TOGETHER 0: every step is launched by itself. The clocks around the calls are work themselves: their run is the slower one. Runs over idle-driver.c too, where there is no GPU.
import { performance } from "node:perf_hooks";
import { plainSampling } from "../../src/engine/contract.ts";
import { openEngineOverRunner } from "../../src/engine/cuda/cuda-engine.ts";
import { openCudaRunner } from "../../src/engine/cuda/open-cuda.ts";
import { Scheduler } from "../../src/engine/cuda/scheduler.ts";
import { readGguf } from "../../src/models/gguf.ts";
import { modelFactsOf } from "../../src/models/inspect-model.ts";
import { openTokenizer } from "../../src/models/tokenizer.ts";

const [modelFile, tokens = "600", together] = process.argv.slice(2);
if (!modelFile) throw new Error("Usage: node bench/cuda/host-work.ts FILE.gguf [TOKENS] [TOGETHER]");

/** Microseconds of each call, by row; only while it counts. */
const rows = new Map<string, number[]>();
let isCounting = false;

/** Puts a clock around a method, of one object or of all of a class. `row` names the call, or leaves it out. */
function clock<T extends object, Name extends keyof T>(target: T, name: Name, row: (firstArgument: unknown) => string) {
  const method = target[name] as (...args: unknown[]) => unknown;
  const clocked = function (this: T, ...args: unknown[]): unknown {
    if (!isCounting) return method.apply(this, args);
    const begin = performance.now();
    try {
      return method.apply(this, args);
    } finally {
      const microseconds = (performance.now() - begin) * 1000;
      const key = row(args[0]);
      const times = rows.get(key);
      if (times) times.push(microseconds);
      else rows.set(key, [microseconds]);
    }
  };
  target[name] = clocked as T[Name];
}

const gguf = readGguf(modelFile);
const { runner, device } = await openCudaRunner({ modelFile, contextTokens: 8192, parallel: 32 });
clock(Scheduler.prototype, "plan", () => "plan");
clock(Scheduler.prototype, "commit", () => "commit and hand out");
clock(runner, "launch", () => "launch");
clock(device.driver, "call", (name) => `  of it ${name}`);
const engine = openEngineOverRunner({
  ...{ runner, tokenizer: openTokenizer(gguf.metadata), parallel: 32, queueLimit: 64 },
  model: { ...modelFactsOf(gguf), id: "bench", isDemonstration: false },
  together: together === undefined ? undefined : Number(together),
});

interface Run {
  steps: number;
  ms: number;
  activeMs: number;
  share: number;
}

/** One answer, counted from its first token on: the prompt is not in question. */
async function generate(maxTokens: number): Promise<Run> {
  const ids = Array.from({ length: 128 }, (_, index) => 300 + ((index * 7919 + maxTokens) % 13_000));
  const request = {
    ...{ id: `work-${maxTokens}`, prompt: { kind: "tokens", ids } as const, maxTokens, ignoreEos: true },
    sampling: { ...plainSampling, temperature: 0 },
  };
  let [steps, begin] = [0, 0];
  let before = performance.eventLoopUtilization();
  for await (const event of engine.generate(request)) {
    if (event.type !== "tokens") continue;
    if (begin > 0) steps += event.ids.length;
    else {
      begin = performance.now();
      before = performance.eventLoopUtilization();
    }
  }
  const { active, utilization } = performance.eventLoopUtilization(before);
  return { steps, ms: performance.now() - begin, activeMs: active, share: utilization };
}

const asked = Number(tokens);
await generate(4);
const first = await generate(asked);
await generate(3000);
const warm = await generate(asked);
isCounting = true;
const clocked = await generate(asked);
isCounting = false;
await engine[Symbol.asyncDispose]();

const perStep = (total: number): number => Number((total / clocked.steps).toFixed(2));
const table = [...rows].map(([row, times]) => ({
  row,
  meanUsPerStep: perStep(times.reduce((total, time) => total + time, 0)),
  medianUsOfCall: Number((times.toSorted((a, b) => a - b)[times.length >> 1] ?? Number.NaN).toFixed(2)),
  callsPerStep: perStep(times.length),
}));
/** The parts of submit stand below it. */
const order = ({ row }: { row: string }): number =>
  ["plan", "submit, until it waits", "  of it", "commit and hand out"].findIndex((name) => row.startsWith(name));
table.sort((a, b) => order(a) - order(b));
const known = table.reduce((total, { row, meanUsPerStep }) => total + (row.startsWith(" ") ? 0 : meanUsPerStep), 0);
const runs = { "first answer": first, "after 3,000 tokens": warm, "with clocks": clocked };
const said = Object.entries(runs).map(([when, { steps, ms, activeMs, share }]) => {
  const [us, stepMs, percent] = [(activeMs * 1000) / steps, ms / steps, share * 100];
  console.log(
    `# ${when}: the event loop works ${percent.toFixed(2)} %, ${us.toFixed(1)} us of each step of ${stepMs.toFixed(3)} ms`,
  );
  return { when, us: Number(us.toFixed(1)), stepMs: Number(stepMs.toFixed(3)), percent: Number(percent.toFixed(2)) };
});
for (const { row, meanUsPerStep, medianUsOfCall, callsPerStep } of table) {
  const [mean, median] = [meanUsPerStep.toFixed(2).padStart(7), medianUsOfCall.toFixed(2).padStart(7)];
  console.log(`${row.padEnd(50)} mean ${mean} us a step; median call ${median} us, ${callsPerStep} a step`);
}
const rest = perStep(clocked.activeMs * 1000) - known;
console.log(`${"everything else".padEnd(50)} mean ${rest.toFixed(2).padStart(7)} us a step`);
console.log(JSON.stringify({ gpu: device.facts.name, tokens: asked, runs: said, table, everythingElseUs: rest }));
