// The machine's live state: `GET /workspace/live` while the page is seen, nothing while it is hidden. What the stream does not repeat
// each second (version, the model's card) comes from `GET /status`, asked when something about the engine changes. A server that
// went away is asked again, less and less often, up to every ten seconds.
import type { LiveBody, LiveEvent, LiveHistory } from "../src/server/api-types.ts";
import { ApiError, type EngineStatus, fetchStatus, readStream } from "./api.ts";
import { Signal } from "./signal.ts";

const everyMs = 1000;
const keptSeconds = 60;
const keptMinutes = 60;
/** A stream that brought no reading for so long is dead, whatever the connection says. */
const silenceMs = 8000;

export interface EngineView {
  status?: EngineStatus;
  version?: string;
  live?: LiveBody;
  isReachable: boolean;
  /** The server wants a key, or another one. */
  needsKey: boolean;
}

/** What is drawn: a value a minute of the last hour, or a second of the last minute while there is no hour yet. */
export interface Chart {
  span: "hour" | "minute";
  tokensPerSecond: readonly number[];
  firstTokenMs: readonly number[];
  load: readonly number[];
}

export class EngineWatch {
  readonly view = new Signal<EngineView>({ isReachable: true, needsKey: false });
  readonly chart = new Signal<Chart>({ span: "minute", tokensPerSecond: [], firstTokenMs: [], load: [] });
  /** Conversations with an answer on its way, of any tab. */
  readonly busy = new Signal<ReadonlySet<string>>(new Set());
  /** Grows each time the server was found (again). */
  readonly reached = new Signal(0);
  /** Grows when anybody changed the workspace. */
  readonly revision = new Signal(-1);
  #hour: Hour | undefined;
  #seconds: LiveBody[] = [];
  #stop = new AbortController();
  #timer: ReturnType<typeof setTimeout> | undefined;
  #silence: ReturnType<typeof setTimeout> | undefined;
  #failures = 0;
  #isWatching = false;

  start(): void {
    document.addEventListener("visibilitychange", () => this.#onVisibility());
    // The stream would hang until its silence is noticed.
    for (const change of ["offline", "online"]) addEventListener(change, () => this.#stop.abort());
    this.#onVisibility();
  }

  /** Asks at once: after a failure, or with another key. */
  refresh(): void {
    clearTimeout(this.#timer);
    if (!document.hidden) void this.#watch();
  }

  #onVisibility(): void {
    clearTimeout(this.#timer);
    if (document.hidden) this.#stop.abort();
    else void this.#watch();
  }

  async #watch(): Promise<void> {
    if (this.#isWatching) return;
    this.#isWatching = true;
    this.#stop = new AbortController();
    const { signal } = this.#stop;
    try {
      await this.#askStatus();
      this.reached.value++;
      this.#listen();
      for await (const event of readStream<LiveEvent>("/workspace/live", signal)) {
        this.#listen();
        if (event.type === "history") this.#hour = new Hour(event.history);
        else await this.#take(event);
      }
      throw new ApiError("cut", "The live stream ended.");
    } catch (error) {
      if (!document.hidden) this.#lost(error);
    } finally {
      clearTimeout(this.#silence);
      this.#isWatching = false;
      clearTimeout(this.#timer);
      const wait = Math.min(10_000, everyMs * 2 ** Math.max(0, this.#failures - 2));
      if (!document.hidden) this.#timer = setTimeout(() => void this.#watch(), this.#failures > 0 ? wait : 0);
    }
  }

  #listen(): void {
    clearTimeout(this.#silence);
    const { signal } = this.#stop;
    const stop = this.#stop;
    this.#silence = setTimeout(() => !signal.aborted && stop.abort(), silenceMs);
  }

  #lost(error: unknown): void {
    this.#failures++;
    if (error instanceof ApiError && error.code === "invalid_api_key") {
      this.view.value = { ...this.view.value, needsKey: true };
    } else if (this.#failures > 1) this.view.value = { ...this.view.value, isReachable: false };
  }

  async #askStatus(): Promise<void> {
    const { engine, version } = await fetchStatus(AbortSignal.timeout(5000));
    this.view.value = { ...this.view.value, status: engine, version, isReachable: true, needsKey: false };
  }

  async #take(live: LiveBody): Promise<void> {
    this.#failures = 0;
    const before = this.view.value.status;
    const { engine } = live;
    const isAnother =
      before === undefined ||
      before.model.id !== engine.modelId ||
      before.contextTokens !== engine.contextTokens ||
      before.parallel !== engine.parallel ||
      before.state !== engine.state ||
      before.restarts !== engine.restarts;
    if (isAnother) await this.#askStatus();
    this.view.value = { ...this.view.value, live, isReachable: true };
    const busy = new Set(live.answers.map(({ conversationId }) => conversationId));
    // The same set stays the same object: the list of chats is not drawn anew each second.
    const isSame = busy.size === this.busy.value.size && [...busy].every((id) => this.busy.value.has(id));
    if (!isSame) this.busy.value = busy;
    this.#seconds = [...this.#seconds, live].slice(-keptSeconds);
    this.#hour?.add(live);
    this.chart.value = this.#draw();
    if (live.revision !== undefined) this.revision.value = live.revision;
  }

  #draw(): Chart {
    if (this.#hour?.isTelling) return this.#hour.chart(this.#seconds.at(-1)?.gpu !== undefined);
    return {
      span: "minute",
      tokensPerSecond: this.#seconds.map(({ tokensPerSecond }) => tokensPerSecond),
      firstTokenMs: this.#seconds.flatMap(({ firstTokenMs }) => firstTokenMs ?? []),
      load: this.#seconds.map(({ gpu, cpu }) => gpu?.utilisationPercent ?? cpu.percent),
    };
  }
}

/** The server's hour, and the minutes since it was told. */
class Hour {
  readonly #minutes: Pick<LiveHistory, "tokensPerSecond" | "firstTokenMs" | "gpuPercent" | "cpuPercent">;
  #minuteAt: number;
  #readings: LiveBody[] = [];

  constructor(history: LiveHistory) {
    this.#minutes = structuredClone(history);
    this.#minuteAt = history.endsAt;
  }

  get isTelling(): boolean {
    return this.#minutes.tokensPerSecond.length >= 3;
  }

  add(live: LiveBody): void {
    if (live.at - this.#minuteAt >= 60_000 && this.#readings.length > 0) {
      const now = this.#means();
      for (const name of ["tokensPerSecond", "firstTokenMs", "gpuPercent", "cpuPercent"] as const) {
        this.#minutes[name] = [...this.#minutes[name], now[name]].slice(-keptMinutes);
      }
      this.#minuteAt = live.at;
      this.#readings = [];
    }
    this.#readings.push(live);
  }

  chart(hasGpu: boolean): Chart {
    const now = this.#means();
    const line = (name: keyof typeof now): number[] =>
      [...this.#minutes[name], now[name]].flatMap((value) => value ?? []).slice(-keptMinutes);
    return {
      span: "hour",
      tokensPerSecond: line("tokensPerSecond"),
      firstTokenMs: line("firstTokenMs"),
      load: line(hasGpu ? "gpuPercent" : "cpuPercent"),
    };
  }

  #means() {
    const of = (values: readonly (number | undefined)[]): number | null => {
      const known = values.flatMap((value) => value ?? []);
      return known.length === 0 ? null : known.reduce((sum, value) => sum + value, 0) / known.length;
    };
    return {
      tokensPerSecond: of(this.#readings.map(({ tokensPerSecond }) => tokensPerSecond)),
      firstTokenMs: of(this.#readings.map(({ firstTokenMs }) => firstTokenMs)),
      gpuPercent: of(this.#readings.map(({ gpu }) => gpu?.utilisationPercent)),
      cpuPercent: of(this.#readings.map(({ cpu }) => cpu.percent)),
    };
  }
}
