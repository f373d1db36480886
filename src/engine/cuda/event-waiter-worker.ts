// The thread of event-waiter.ts: sleeps in the driver until the next event has passed, and says so.
import { workerData } from "node:worker_threads";
import { loadDriver } from "./bindings.ts";
import { askedWord, closedWord, passedWord, ringEvents, type WaiterMemory } from "./event-waiter.ts";

const { context, events, statuses, words } = workerData as WaiterMemory;
const driver = loadDriver();
driver.call("cuCtxSetCurrent", [context]);
for (let passed = 0; ; ) {
  // Returns at once when more has been asked for meanwhile.
  Atomics.wait(words, askedWord, passed);
  const asked = Atomics.load(words, askedWord);
  if (Atomics.load(words, closedWord) === 1) break;
  while (passed !== asked) {
    const place = passed & (ringEvents - 1);
    statuses[place] = driver.status("cuEventSynchronize", events[place]);
    passed = (passed + 1) | 0;
    Atomics.store(words, passedWord, passed);
    Atomics.notify(words, passedWord);
  }
}
