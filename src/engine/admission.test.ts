import assert from "node:assert/strict";
import { test } from "node:test";
import { AppError } from "../base/errors.ts";
import { Admission, type Ticket } from "./admission.ts";
import type { Priority } from "./contract.ts";

interface Named extends Ticket {
  name: string;
  waits: [number, number | undefined][];
}

function ticket(name: string, { priority = "interactive" as Priority, kvTokens = 10 } = {}): Named {
  const waits: Named["waits"] = [];
  return { name, priority, kvTokens, waits, onWait: (position, ms) => waits.push([position, ms]) };
}

function desk(options: Partial<ConstructorParameters<typeof Admission>[0]> = {}) {
  const clock = { ms: 0 };
  const admission = new Admission<Named>({
    sequences: 2,
    kvTokens: 100,
    queueLimit: 3,
    now: () => clock.ms,
    ...options,
  });
  const admitAll = () => {
    const names: string[] = [];
    for (let next = admission.admit(); next; next = admission.admit()) names.push(next.name);
    admission.announce();
    return names;
  };
  return { admission, clock, admitAll };
}

test("requests start while sequences are free, then wait in order and learn their position as it changes", () => {
  const { admission, admitAll } = desk();
  const all = ["a", "b", "c", "d"].map((name) => ticket(name));
  const started = all.flatMap((each) => {
    admission.enter(each);
    return admitAll();
  });
  assert.deepEqual(started, ["a", "b"]);
  const [a, , c, d] = all;
  assert.ok(a && c && d);
  admission.leave(a);
  assert.deepEqual(admitAll(), ["c"]);
  assert.deepEqual(
    c.waits.map(([position]) => position),
    [1],
  );
  assert.deepEqual(
    d.waits.map(([position]) => position),
    [2, 1],
  );
});

test("the worst case in KV tokens is reserved before a request starts, and a big one is not overtaken", () => {
  const { admission, admitAll } = desk({ sequences: 8 });
  const [half, big, small] = [ticket("half", { kvTokens: 60 }), ticket("big", { kvTokens: 50 }), ticket("small")];
  for (const each of [half, big, small]) admission.enter(each);
  assert.deepEqual(admitAll(), ["half"]);
  assert.equal(admission.reservedTokens, 60);
  admission.leave(half);
  assert.deepEqual(admitAll(), ["big", "small"]);
  assert.equal(admission.reservedTokens, 60);
});

test("interactive goes before batch before background, first come first served within each", () => {
  const { admission, admitAll } = desk({ sequences: 1, queueLimit: 10 });
  const running = ticket("running");
  admission.enter(running);
  admitAll();
  const order: [string, Priority][] = [
    ["g1", "background"],
    ["b1", "batch"],
    ["i1", "interactive"],
    ["b2", "batch"],
    ["i2", "interactive"],
  ];
  for (const [name, priority] of order) admission.enter(ticket(name, { priority }));
  const started: string[] = [];
  let current: Named | undefined = running;
  while (current) {
    admission.leave(current);
    current = admission.admit();
    if (current) started.push(current.name);
  }
  assert.deepEqual(started, ["i1", "i2", "b1", "b2", "g1"]);
});

test("a full queue refuses with the seconds to come back, by how long requests lately took", () => {
  const { admission, admitAll, clock } = desk({ sequences: 1, queueLimit: 1 });
  const first = ticket("first");
  admission.enter(first);
  admitAll();
  clock.ms = 5000;
  admission.leave(first);
  const waiting = ticket("waiting");
  for (const each of [ticket("second"), waiting]) {
    admission.enter(each);
    admitAll();
  }
  assert.deepEqual(waiting.waits, [[1, 5000]]);
  assert.throws(
    () => admission.enter(ticket("third")),
    (error) => error instanceof AppError && error.code === "busy" && error.details?.retryAfterSeconds === 5,
  );
});

test("with no queue at all, a request still starts when a sequence is free", () => {
  const { admission, admitAll } = desk({ sequences: 1, queueLimit: 0 });
  admission.enter(ticket("a"));
  assert.deepEqual(admitAll(), ["a"]);
  assert.throws(() => admission.enter(ticket("b")), { code: "busy" });
});

test("a full queue can be seen before a request is looked at", () => {
  const { admission, admitAll } = desk({ sequences: 1, queueLimit: 1 });
  for (const name of ["runs", "waits"]) {
    admission.refuseIfFull();
    admission.enter(ticket(name));
    admitAll();
  }
  assert.throws(() => admission.refuseIfFull(), { code: "busy" });
});

test("leaving while waiting moves the others up; leaving twice is harmless", () => {
  const { admission, admitAll } = desk({ sequences: 1 });
  const [a, b, c] = [ticket("a"), ticket("b"), ticket("c")];
  for (const each of [a, b, c]) {
    admission.enter(each);
    admitAll();
  }
  admission.leave(b);
  admission.leave(b);
  admission.announce();
  assert.deepEqual(
    c.waits.map(([position]) => position),
    [2, 1],
  );
  assert.equal(admission.runningCount, 1);
  admission.leave(a);
  admission.leave(a);
  assert.equal(admission.reservedTokens, 0);
});

test("a request larger than all KV memory is refused, not queued for ever", () => {
  const { admission } = desk();
  assert.throws(() => admission.enter(ticket("huge", { kvTokens: 101 })), { code: "context_overflow" });
  assert.equal(admission.waitingCount, 0);
});
