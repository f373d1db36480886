// How fast answers were really written in the last hour, by how many were written together. Only stretches in which the same answers were
// written from one reading to the next count, and nothing else ran: anything else would be a mixture.
import type { AnswerProgress } from "../../workspace/answer-progress.ts";
import type { HourSpeedBody } from "../api-types.ts";

const minuteMs = 60_000;
const keptMinutes = 60;
/** Shorter, and a figure says little. */
const leastSeconds = 3;

interface Stretch {
  minute: number;
  sequences: number;
  tokens: number;
  seconds: number;
}

export class SpeedByCount {
  #stretches: Stretch[] = [];
  #before: { at: number; tokens: ReadonlyMap<string, number> } | undefined;

  /** `runningRequests`: of the engine, all doors together. */
  read(at: number, answers: readonly AnswerProgress[], runningRequests: number): void {
    const isPure = answers.length === runningRequests && answers.every(({ phase }) => phase === "writing");
    const now = { at, tokens: new Map(answers.map(({ messageId, tokens }) => [messageId, tokens])) };
    const before = this.#before;
    this.#before = isPure && answers.length > 0 ? now : undefined;
    if (!before || !this.#before || at <= before.at || before.tokens.size !== now.tokens.size) return;
    let tokens = 0;
    for (const [id, count] of now.tokens) {
      const earlier = before.tokens.get(id);
      if (earlier === undefined) return;
      tokens += count - earlier;
    }
    this.#add({
      minute: Math.floor(at / minuteMs),
      sequences: answers.length,
      tokens,
      seconds: (at - before.at) / 1000,
    });
  }

  /** Tokens a second of all answers together, fewest answers first. */
  lastHour(at: number): HourSpeedBody[] {
    this.#forget(at);
    const sums = new Map<number, { tokens: number; seconds: number }>();
    for (const { sequences, tokens, seconds } of this.#stretches) {
      const sum = sums.get(sequences) ?? { tokens: 0, seconds: 0 };
      sums.set(sequences, { tokens: sum.tokens + tokens, seconds: sum.seconds + seconds });
    }
    return [...sums]
      .filter(([, { seconds }]) => seconds >= leastSeconds)
      .toSorted(([a], [b]) => a - b)
      .map(([sequences, { tokens, seconds }]) => ({ sequences, tokensPerSecond: tokens / seconds, seconds }));
  }

  #add(stretch: Stretch): void {
    const same = this.#stretches.find((each) => each.minute === stretch.minute && each.sequences === stretch.sequences);
    if (same) {
      same.tokens += stretch.tokens;
      same.seconds += stretch.seconds;
      return;
    }
    this.#forget(stretch.minute * minuteMs);
    this.#stretches.push(stretch);
  }

  #forget(at: number): void {
    const oldest = Math.floor(at / minuteMs) - keptMinutes;
    this.#stretches = this.#stretches.filter(({ minute }) => minute > oldest);
  }
}
