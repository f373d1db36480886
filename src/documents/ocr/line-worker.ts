// A thread that runs the recognition model, one line at a time, on one core.
import { parentPort } from "node:worker_threads";
import { toAppError } from "../../base/errors.ts";
import { loadLineModel, runModel } from "./models.ts";

export interface LineQuestion {
  id: number;
  /** [1, 3, 48, width] */
  input: Float32Array;
  width: number;
}

/** Per strip of the line the likeliest class and how likely it is. */
export interface LineAnswer {
  id: number;
  classes: Uint16Array;
  scores: Float32Array;
  failure?: string;
}

export const lineHeight = 48;

const port = parentPort;
if (port) {
  const model = loadLineModel();
  port.on("message", async ({ id, input, width }: LineQuestion) => {
    try {
      const { data, dims } = await runModel(await model, input, [1, 3, lineHeight, width]);
      const answer = likeliest(data, { id, steps: dims[1] ?? 0, classes: dims[2] ?? 0 });
      port.postMessage(answer, [answer.classes.buffer as ArrayBuffer, answer.scores.buffer as ArrayBuffer]);
    } catch (error) {
      port.postMessage({
        id,
        classes: new Uint16Array(),
        scores: new Float32Array(),
        failure: toAppError(error).message,
      });
    }
  });
}

function likeliest(
  data: Float32Array,
  { id, steps, classes }: { id: number; steps: number; classes: number },
): LineAnswer {
  const best = new Uint16Array(steps);
  const scores = new Float32Array(steps);
  for (let step = 0; step < steps; step++) {
    let highest = -1;
    for (let index = step * classes, place = 0; place < classes; index++, place++) {
      const score = data[index] ?? 0;
      if (score > highest) {
        highest = score;
        best[step] = place;
      }
    }
    scores[step] = highest;
  }
  return { id, classes: best, scores };
}
