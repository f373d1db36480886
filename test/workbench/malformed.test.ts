import assert from "node:assert/strict";
import test from "node:test";
import { workspacePaths } from "../../src/server/workspace/routes.ts";
import { openWorkbench } from "./workbench.ts";

const wrong = [5, "x", [], {}, true, -1, 1e300, "\u0000", [[]], [5], { a: 1 }, "../..", "x".repeat(5000)];
const names = [
  "id",
  "parentId",
  "continueId",
  "retryId",
  "text",
  "title",
  "settings",
  "leafId",
  "leftOutIds",
  "isPinned",
  "isSlimmed",
  "attachments",
  "answer",
  "conversationId",
  "conversation",
  "conversations",
  "messages",
  "templates",
  "language",
  "values",
  "version",
  "fields",
  "prompt",
];
const whole = [
  "",
  "{",
  "[]",
  "null",
  "5",
  '"x"',
  '{"__proto__":{"x":1}}',
  `${"[".repeat(500)}${"]".repeat(500)}`,
  "\ufffd{}",
];
const bodies = [...whole, ...names.flatMap((name) => wrong.map((value) => JSON.stringify({ [name]: value })))];

/** Every nth, another n-th for each address: all are met somewhere. */
const sample = (from: number): string[] => bodies.filter((_, index) => index < whole.length || index % 7 === from % 7);

test("no malformed body is an error of the server, and the next good request succeeds", async () => {
  await using bench = await openWorkbench({ door: { readEveryMs: 1000 } });
  const { id } = await bench.conversation();
  const { answer } = await bench.ask(id, "hello");
  const paths = workspacePaths.filter(
    (path) => !path.endsWith("/events") && path !== "/workspace/live" && !path.endsWith("/pull"),
  );
  let refusals = 0;
  for (const [index, path] of paths.entries()) {
    const address = path.replace(
      ":id",
      path.includes("/messages/:id") ? answer.id : path.includes("templates") ? "email" : id,
    );
    for (const method of ["POST", "PATCH", "PUT"]) {
      for (const body of sample(index)) {
        const response = await bench.app.request(address, { method, body });
        assert.ok(
          response.status < 500,
          `${method} ${address} ${body.slice(0, 200)}: ${response.status} ${await response.text()}`,
        );
        if (response.status >= 400) refusals++;
        if (response.status === 405) break;
      }
    }
  }
  assert.ok(refusals > 300, `only ${refusals} were refused`);
  const other = await bench.conversation();
  assert.equal((await bench.ask(other.id, "still there")).answer.text, "still there");
});
