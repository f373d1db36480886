// How far a download is, how fast, and how long it will take: counted over the last seconds, told a few times a second.

export interface PullProgress {
  /** `mending`: the hash of the whole did not match, and parts are fetched again to find the bad ones. */
  phase: "connecting" | "downloading" | "checking" | "mending";
  doneBytes: number;
  totalBytes: number;
  /** Over the last few seconds; 0 before anything can be said. */
  bytesPerSecond: number;
  /** Of this phase; absent while the speed is 0. */
  secondsLeft?: number;
}

export interface Progress {
  enter(phase: PullProgress["phase"], doneBytes: number): void;
  add(bytes: number): void;
}

const windowMs = 5000;
const tellMs = 200;

export function openProgress(
  totalBytes: number,
  onProgress: (progress: PullProgress) => void,
  now: () => number = () => performance.now(),
): Progress {
  let phase: PullProgress["phase"] = "connecting";
  let doneBytes = 0;
  let toldAt = Number.NEGATIVE_INFINITY;
  let samples: { atMs: number; doneBytes: number }[] = [];

  const tell = (): void => {
    const atMs = now();
    const isLast = doneBytes === totalBytes;
    if (atMs - toldAt < tellMs && !isLast) return;
    toldAt = atMs;
    samples = [...samples.filter((sample) => atMs - sample.atMs <= windowMs), { atMs, doneBytes }];
    const first = samples[0] ?? { atMs, doneBytes };
    const seconds = (atMs - first.atMs) / 1000;
    const bytesPerSecond = seconds > 0 ? (doneBytes - first.doneBytes) / seconds : 0;
    const secondsLeft = bytesPerSecond > 0 ? (totalBytes - doneBytes) / bytesPerSecond : undefined;
    onProgress({ phase, doneBytes, totalBytes, bytesPerSecond, ...(secondsLeft === undefined ? {} : { secondsLeft }) });
  };

  return {
    enter(next, fromBytes) {
      phase = next;
      doneBytes = fromBytes;
      samples = [];
      toldAt = Number.NEGATIVE_INFINITY;
      tell();
    },
    add(bytes) {
      doneBytes += bytes;
      tell();
    },
  };
}
