// Which sequences compute what in the next step. Pure: no device, no clock, no promises; plan() and commit() may be interleaved in
// any way that commits steps in the order in which they were planned, so a step is planned before the results of earlier ones are in.
//
// A step holds one decode token of every sequence that is ready, and prompt chunks in what room is left: a long prompt delays others'
// tokens by one chunk, never more, and by a small one when they are more important. Admission goes by priority, then arrival; nobody overtakes within a priority. A sequence is admitted
// with pages for the tokens it has, not for the longest answer it might give: answers rarely use their limit, and reserving it would
// leave most of the memory idle. When pages run out after all, the least important and latest sequence is pre-empted: its full pages
// stay in the prefix tree as long as memory allows, and it comes back in its old place and computes what is missing.
//
// The first of the most important sequences is never pre-empted and every sequence alone fits the pool, so everything ends, as long as
// more important ones do not come without end: a priority is strict, there is no ageing.
import assert from "node:assert/strict";
import { AppError } from "../../base/errors.ts";
import type { FinishReason, Priority } from "../contract.ts";
import type { RunnerLimits, SampledToken } from "./runner-contract.ts";
import type { Sequence } from "./sequence.ts";
import { SequenceMemory } from "./sequence-memory.ts";
import { type Step, StepDraft } from "./step.ts";

export interface SchedulerOptions {
  limits: RunnerLimits;
  /** Sequences that may run together; the runner's slots at most. */
  parallel: number;
  /** Sequences that may wait. */
  queueLimit: number;
  /** For the refusal of a full queue. */
  retryAfterSeconds?: () => number;
}

const rank: Record<Priority, number> = { interactive: 0, batch: 1, background: 2 };

/** Negative when `a` goes before `b`. */
function order(a: Sequence, b: Sequence): number {
  return rank[a.priority] - rank[b.priority] || a.arrival - b.arrival;
}

export class Scheduler {
  readonly #limits: RunnerLimits;
  readonly #parallel: number;
  readonly #queueLimit: number;
  readonly #retryAfterSeconds: () => number;
  readonly #memory: SequenceMemory;
  readonly #freeSlots: number[];
  /** Both in order of importance. */
  readonly #waiting: Sequence[] = [];
  readonly #running: Sequence[] = [];
  #arrivals = 0;
  /** Who was refused for want of pages, and how many there were. */
  #refused: { sequence: Sequence; available: number } | undefined;

  constructor({ limits, parallel, queueLimit, retryAfterSeconds = () => 1 }: SchedulerOptions) {
    assert.ok(limits.pages * limits.pageTokens >= limits.contextTokens, "one sequence's context must fit the pages");
    assert.ok(limits.stepTokens > limits.slots, "a step must have room for every decode token and a prompt token");
    this.#limits = limits;
    this.#parallel = Math.min(parallel, limits.slots);
    this.#queueLimit = queueLimit;
    this.#retryAfterSeconds = retryAfterSeconds;
    this.#memory = new SequenceMemory(limits);
    this.#freeSlots = Array.from({ length: this.#parallel }, (_, index) => this.#parallel - 1 - index);
  }

  get runningCount(): number {
    return this.#running.length;
  }

  get waitingCount(): number {
    return this.#waiting.length;
  }

  /** Pages held by sequences, kept by the prefix tree alone, and free: together all there are. */
  get pageCounts(): { held: number; cached: number; free: number } {
    return this.#memory.counts;
  }

  /** Takes a sequence in: it starts at once or waits. Throws `busy` when it would have to wait and the queue is full. */
  enter(sequence: Sequence): void {
    assert.equal(sequence.state, "new");
    assert.ok(sequence.worstCaseTokens <= this.#limits.contextTokens, "prompt and answer must fit the context");
    this.#releaseLeaving(); // who has left gives up slot, pages and place in the queue before anyone is refused
    sequence.arrival = ++this.#arrivals;
    this.#queue(sequence);
    this.#admitAll();
    if (this.#waiting.length > this.#queueLimit && this.#waiting.includes(sequence)) {
      remove(this.#waiting, sequence);
      sequence.state = "ended";
      const queuedRequests = this.#waiting.length;
      throw new AppError("busy", `All sequences are at work and ${queuedRequests} requests wait already.`, {
        hint: "Send it again later, or start with a larger --queue.",
        details: { retryAfterSeconds: this.#retryAfterSeconds(), queuedRequests },
      });
    }
    this.#announce();
  }

  /** The next step, or undefined when nothing can be computed before a result or a newcomer arrives. */
  plan(): Step | undefined {
    this.#releaseLeaving();
    this.#growAll();
    this.#admitAll();
    this.#announce();
    const draft = new StepDraft(this.#limits.stepTokens);
    for (const sequence of this.#running) this.#addDecode(sequence, draft);
    this.#addPrompts(draft);
    return draft.step();
  }

  /** Hands out a step's results: `sampled` has one token for each entry with `sample`, in order. */
  commit(step: Step, sampled: readonly SampledToken[]): void {
    let next = 0;
    for (let index = 0; index < step.entries.length; index++) {
      const [entry, owner] = [step.entries[index], step.owners[index]];
      const token = entry?.sample ? sampled[next++] : undefined;
      assert.ok(entry && owner && (token === undefined) === !entry.sample, "a step's results must match its entries");
      const { sequence, epoch, cachedTokens } = owner;
      // Ended or pre-empted while the step was in flight: its token is past the end, or will be drawn again.
      if (sequence.state === "ended" || sequence.epoch !== epoch || sequence.isLeaving) continue;
      if (entry.tokens && sequence.generatedTokens === 0) {
        const processedTokens = entry.startPosition + entry.tokens.length;
        sequence.reader.prefilled({ processedTokens, cachedTokens });
      }
      if (token) this.#take(sequence, token);
      else if (
        sequence.maxTokens === 0 &&
        entry.startPosition + (entry.tokens?.length ?? 0) === sequence.promptTokens
      ) {
        this.#finish(sequence, "length");
      }
    }
  }

  /** Ends one sequence with an error. */
  fail(sequence: Sequence, error: unknown): void {
    if (sequence.state === "ended") return;
    this.#letGo(sequence);
    sequence.reader.failed(error);
  }

  /** Ends every sequence with the error: whatever broke, nobody is left waiting. */
  failAll(error: unknown): void {
    for (const sequence of [...this.#running, ...this.#waiting]) this.fail(sequence, error);
  }

  #take(sequence: Sequence, token: SampledToken): void {
    sequence.push(token.id);
    try {
      const end = sequence.reader.take(token);
      if (end) this.#finish(sequence, end.reason, end.stopText);
    } catch (error) {
      this.fail(sequence, error); // one reader's trouble is not the others'
    }
  }

  #finish(sequence: Sequence, reason: FinishReason, stopText?: string): void {
    this.#letGo(sequence);
    if (stopText === undefined) sequence.reader.finished(reason);
    else sequence.reader.finished(reason, stopText);
  }

  #releaseLeaving(): void {
    if (!this.#running.some(isLeaving) && !this.#waiting.some(isLeaving)) return;
    for (const sequence of [...this.#running, ...this.#waiting].filter(isLeaving)) this.#finish(sequence, "aborted");
  }

  #letGo(sequence: Sequence): void {
    if (sequence.slot >= 0) this.#vacate(sequence);
    else remove(this.#waiting, sequence);
    sequence.state = "ended";
  }

  /** Takes slot and pages away; full pages whose tokens are known stay in the prefix tree. */
  #vacate(sequence: Sequence): void {
    remove(this.#running, sequence);
    this.#freeSlots.push(sequence.slot);
    this.#memory.empty(sequence);
    sequence.slot = -1;
    sequence.epoch++;
  }

  #preempt(sequence: Sequence): void {
    this.#vacate(sequence);
    this.#queue(sequence);
  }

  #queue(sequence: Sequence): void {
    sequence.state = "waiting";
    sequence.toldPosition = 0;
    insert(this.#waiting, sequence);
  }

  #announce(): void {
    this.#waiting.forEach((sequence, index) => {
      if (sequence.toldPosition === index + 1) return;
      sequence.toldPosition = index + 1;
      sequence.reader.waits(index + 1);
    });
  }

  #admitAll(): void {
    for (let first = this.#waiting[0]; first; first = this.#waiting[0]) {
      if (!this.#hasRoomFor(first) && !this.#makeRoomFor(first)) return;
      this.#admit(first);
    }
  }

  /** A slot, pages for all its tokens, and one page to grow for each that runs: else the newcomer would soon be thrown out again. */
  #hasRoomFor(sequence: Sequence): boolean {
    if (this.#freeSlots.length === 0) return false;
    const available = this.#memory.availableCount - this.#running.length;
    if (this.#memory.pagesFor(sequence.tokenCount) <= available) return true;
    // Looking a long prompt up costs too much to do it again in every step while nothing changes.
    if (this.#refused?.sequence === sequence && available <= this.#refused.available) return false;
    if (this.#memory.neededBy(sequence) <= available) return true;
    this.#refused = { sequence, available };
    return false;
  }

  /** Pre-empts less important sequences for a more important one, latest first, if that really lets it in. */
  #makeRoomFor(sequence: Sequence): boolean {
    const victims = this.#running.filter((other) => rank[other.priority] > rank[sequence.priority]).reverse();
    const slots = this.#freeSlots.length + victims.length;
    const stayingCount = this.#running.length - victims.length;
    const available = this.#memory.availableCount + this.#memory.heldAloneBy(victims);
    if (slots === 0 || this.#memory.pagesFor(sequence.tokenCount) + stayingCount > available) return false;
    for (const victim of victims) {
      this.#preempt(victim);
      if (this.#hasRoomFor(sequence)) return true;
    }
    return this.#hasRoomFor(sequence);
  }

  #admit(sequence: Sequence): void {
    this.#refused = undefined;
    remove(this.#waiting, sequence);
    insert(this.#running, sequence);
    sequence.slot = this.#freeSlots.pop() ?? -1;
    sequence.state = "prefilling";
    sequence.pagesTold = 0;
    sequence.submittedTokens = 0;
    sequence.submittedSamples = sequence.generatedTokens;
    sequence.prefillTokens = sequence.tokenCount;
    this.#memory.fill(sequence);
    if (sequence.wasStarted) return;
    sequence.wasStarted = true;
    sequence.reader.started(sequence.cachedTokens);
  }

  /** Gives every decoding sequence the page its next token goes to, the important ones first, at the cost of the last if need be. */
  #growAll(): void {
    const isFull = (sequence: Sequence): boolean =>
      sequence.state === "decoding" && this.#canDecode(sequence) && this.#memory.isFull(sequence);
    if (!this.#running.some(isFull)) return;
    for (const sequence of [...this.#running]) {
      if (!isFull(sequence)) continue;
      while (sequence.slot >= 0 && this.#memory.availableCount === 0) {
        const last = this.#running.at(-1);
        assert.ok(last, "a running sequence is not among the running");
        this.#preempt(last);
      }
      if (sequence.slot >= 0) this.#memory.grow(sequence);
    }
  }

  #canDecode(sequence: Sequence): boolean {
    return sequence.submittedSamples < sequence.maxTokens;
  }

  #addDecode(sequence: Sequence, draft: StepDraft): void {
    if (sequence.state !== "decoding" || !this.#canDecode(sequence)) return;
    const { isReady, mask } = sequence.samplingMask();
    if (!isReady) return;
    const { slot, submittedTokens: startPosition } = sequence;
    draft.add(sequence, mask ? { slot, startPosition, sample: true, mask } : { slot, startPosition, sample: true });
    sequence.submittedTokens++;
    sequence.submittedSamples++;
  }

  /**
   * Prompt tokens of the most important sequences that have some to compute. Less important ones wait: in the same step they would make it
   * longer, and somebody waits for it.
   */
  #addPrompts(draft: StepDraft): void {
    const prompts = this.#running.filter(({ state }) => state === "prefilling");
    if (prompts.length === 0) return;
    for (const sequence of prompts) this.#memory.adoptPrefix(sequence);
    const ready = prompts.filter((sequence, index) => !this.#isBeingComputed(sequence, prompts.slice(0, index)));
    for (const priority of new Set(ready.map((sequence) => sequence.priority))) {
      const peers = ready.filter((sequence) => sequence.priority === priority);
      if (this.#addPeers(peers, this.#promptRoom(priority, draft), draft) > 0) return;
    }
  }

  /** All that is left, but an eighth of a step at most while somebody more important reads an answer token by token. */
  #promptRoom(priority: Priority, draft: StepDraft): number {
    const isWatched = this.#running.some(
      (sequence) => sequence.state === "decoding" && rank[sequence.priority] < rank[priority],
    );
    const { stepTokens, pageTokens } = this.#limits;
    return isWatched ? Math.min(draft.room, Math.max(pageTokens, Math.floor(stepTokens / 8))) : draft.room;
  }

  /**
   * Shares room among prompts of the same importance: the first gets half when others are being read too, the rest goes to the shortest
   * remainders, so that a short question does not wait for a whole book, and what is left goes to the first again. Returns their tokens.
   */
  #addPeers([first, ...others]: readonly Sequence[], room: number, draft: StepDraft): number {
    if (!first) return 0;
    const remaining = (sequence: Sequence): number => sequence.prefillTokens - sequence.submittedTokens;
    others.sort((a, b) => remaining(a) - remaining(b) || a.arrival - b.arrival);
    const half = Math.min(remaining(first), Math.max(Math.ceil(room / 2), this.#limits.pageTokens));
    let added = 0;
    for (const other of others) added += this.#addChunk(other, draft, { room: room - half - added, isSpare: true });
    return added + this.#addChunk(first, draft, { room: room - added, isSpare: false });
  }

  /** Another sequence, earlier in line, is about to compute the very page this one needs next: wait for it and share. */
  #isBeingComputed(sequence: Sequence, earlier: readonly Sequence[]): boolean {
    const { pageTokens } = this.#limits;
    const start = sequence.submittedTokens;
    const end = start + pageTokens;
    if (start % pageTokens !== 0 || end >= sequence.prefillTokens) return false;
    const { tokens } = sequence;
    return earlier.some(
      (other) =>
        // The same node of the tree means the same tokens up to here.
        other.node === sequence.node &&
        other.nodePages === sequence.nodePages &&
        end <= other.prefillTokens &&
        equalTokens(other.tokens, tokens, start, end),
    );
  }

  /**
   * The next part of a prompt in at most `room` tokens, to the end of a page unless it is the prompt's; returns its tokens. Room that
   * is spare is left alone rather than filled with part of a page.
   */
  #addChunk(sequence: Sequence, draft: StepDraft, { room, isSpare }: { room: number; isSpare: boolean }): number {
    const { pageTokens } = this.#limits;
    const start = sequence.submittedTokens;
    let end = Math.min(sequence.prefillTokens, start + Math.min(room, draft.room));
    const pageEnd = end - (end % pageTokens);
    if (end < sequence.prefillTokens && (pageEnd > start || isSpare)) end = pageEnd;
    if (end <= start) return 0;
    const isLast = end === sequence.prefillTokens;
    const wantsSample = isLast && this.#canDecode(sequence);
    const { isReady, mask } = wantsSample ? sequence.samplingMask() : { isReady: true };
    // The mask is not there yet: compute all but the last token meanwhile.
    if (!isReady) {
      end--;
      if (end <= start) return 0;
    }
    const sample = wantsSample && isReady;
    const tokens = sequence.tokens.slice(start, end);
    draft.add(sequence, { slot: sequence.slot, startPosition: start, tokens, sample, ...(mask ? { mask } : {}) });
    sequence.submittedTokens = end;
    if (sample) sequence.submittedSamples++;
    if (end === sequence.prefillTokens) sequence.state = "decoding";
    this.#memory.keepPrefix(sequence);
    return end - start;
  }
}

const isLeaving = (sequence: Sequence): boolean => sequence.isLeaving;

function equalTokens(a: Int32Array, b: Int32Array, start: number, end: number): boolean {
  for (let index = end - 1; index >= start; index--) if (a[index] !== b[index]) return false;
  return true;
}

/** Into a list kept in order of importance. */
function insert(list: Sequence[], sequence: Sequence): void {
  const place = list.findIndex((other) => order(sequence, other) < 0);
  list.splice(place < 0 ? list.length : place, 0, sequence);
}

function remove(list: Sequence[], sequence: Sequence): void {
  const place = list.indexOf(sequence);
  if (place >= 0) list.splice(place, 1);
}
