// The engine's live state: `GET /status` each second while the page is seen, nothing while it is hidden. Keeps the last minutes
// for the sparklines. A server that went away is asked again, less and less often, up to every ten seconds.
import { ApiError, type EngineStatus, fetchStatus } from "./api.ts";
import { Signal } from "./signal.ts";

const everyMs = 1000;
const keptSamples = 60;

export interface EngineView {
  status?: EngineStatus;
  version?: string;
  isReachable: boolean;
  /** The server wants a key, or another one. */
  needsKey: boolean;
  /** Decode speed of each second, oldest first. */
  speeds: readonly number[];
}

export class EngineWatch {
  readonly view = new Signal<EngineView>({ isReachable: true, needsKey: false, speeds: [] });
  /** Time to first token of the answers of this visit, in milliseconds, oldest first. */
  readonly firstTokens = new Signal<readonly number[]>([]);
  /** Tokens a second of the answer that is being written, or of the last one. */
  readonly answerSpeed = new Signal<number | undefined>(undefined);
  #timedAnswer: string | undefined;
  #timer: ReturnType<typeof setTimeout> | undefined;
  #failures = 0;
  #isAsking = false;

  start(): void {
    document.addEventListener("visibilitychange", () => this.#onVisibility());
    this.#onVisibility();
  }

  /** Asks at once: after a failure, or when an answer starts. */
  refresh(): void {
    clearTimeout(this.#timer);
    if (!document.hidden) void this.#ask();
  }

  /** Takes over the figures of an answer, as often as they change. */
  showAnswer(id: string, { firstTokenMs, tokensPerSecond }: { firstTokenMs?: number; tokensPerSecond?: number }): void {
    if (tokensPerSecond !== undefined) this.answerSpeed.value = tokensPerSecond;
    if (firstTokenMs === undefined || this.#timedAnswer === id) return;
    this.#timedAnswer = id;
    this.firstTokens.value = [...this.firstTokens.value, firstTokenMs].slice(-keptSamples);
  }

  #onVisibility(): void {
    clearTimeout(this.#timer);
    if (!document.hidden) void this.#ask();
  }

  async #ask(): Promise<void> {
    if (this.#isAsking) return;
    this.#isAsking = true;
    try {
      const { engine, version } = await fetchStatus(AbortSignal.timeout(5000));
      this.#failures = 0;
      const isBusy = engine.runningRequests > 0;
      const speeds = [...this.view.value.speeds, isBusy ? engine.speed.decodeTokensPerSecond : 0].slice(-keptSamples);
      this.view.value = { status: engine, version, isReachable: true, needsKey: false, speeds };
    } catch (error) {
      // Whatever the reason, the page shows that the server cannot be reached, and asks again.
      this.#failures++;
      if (error instanceof ApiError && error.code === "invalid_api_key")
        this.view.value = { ...this.view.value, needsKey: true };
      else if (this.#failures > 1) this.view.value = { ...this.view.value, isReachable: false };
    } finally {
      this.#isAsking = false;
      clearTimeout(this.#timer);
      const wait = Math.min(10_000, everyMs * 2 ** Math.max(0, this.#failures - 2));
      if (!document.hidden) this.#timer = setTimeout(() => void this.#ask(), wait);
    }
  }
}
