// The API over an engine process that is killed in mid-answer: what the client has not seen may be made again, what it has seen may not.
import assert from "node:assert/strict";
import test from "node:test";
import { silentLog } from "../../src/base/log.ts";
import { type EngineClient, openEngineClient } from "../../src/engine/client.ts";
import type { Engine } from "../../src/engine/contract.ts";
import { settingsFor } from "../engine/engines.ts";
import { errorOf, openTestServer, sseEvents, type TestServer, user } from "./test-app.ts";

const text = "an answer of some length, cut in the middle";

/** An engine process that is killed when an answer's third token comes, as often as `kills` says. */
async function openMortalServer(kills: number): Promise<TestServer & { client: EngineClient }> {
  const settings = { ...settingsFor("scripted"), scriptedTokensPerSecond: 200 };
  const client = await openEngineClient(settings, { log: silentLog, backoffMs: 1 });
  let left = kills;
  const engine: Engine = {
    async *generate(request, options) {
      let steps = 0;
      for await (const event of client.generate(request, options)) {
        if (event.type === "tokens" && ++steps === 3 && left-- > 0) process.kill(client.processId ?? 0, "SIGKILL");
        yield event;
      }
    },
    tokenize: (asked, options) => client.tokenize(asked, options),
    detokenize: (ids, options) => client.detokenize(ids, options),
    status: () => client.status(),
    [Symbol.asyncDispose]: () => client[Symbol.asyncDispose](),
  };
  return { ...(await openTestServer({ engine })), client };
}

const ask = (server: TestServer, body: object): Promise<Response> =>
  fetch(`${server.url}/v1/chat/completions`, {
    method: "POST",
    body: JSON.stringify({ messages: [user(text)], ...body }),
  });

test("a whole answer whose engine dies in its middle is made again", async () => {
  await using server = await openMortalServer(1);
  const response = await ask(server, {});
  const { choices, usage } = (await response.json()) as {
    choices: { message: { content: string } }[];
    usage: { completion_tokens: number };
  };
  assert.equal(choices[0]?.message.content, text);
  assert.equal(usage.completion_tokens, text.length + 1);
  assert.equal(server.client.status().restarts, 1);
});

test("all choices of a whole answer are made again, each once", async () => {
  await using server = await openMortalServer(1);
  const { choices } = (await (await ask(server, { n: 2 })).json()) as { choices: { message: { content: string } }[] };
  assert.deepEqual(
    choices.map(({ message }) => message.content),
    [text, text],
  );
});

test("a whole answer that takes a second engine down is a 503 that may be retried", async () => {
  await using server = await openMortalServer(2);
  const response = await ask(server, {});
  assert.equal(response.status, 503);
  assert.ok(response.headers.get("retry-after"));
  assert.equal((await errorOf(response)).code, "engine_lost");
  assert.equal(server.client.status().restarts, 2);
});

test("a streamed answer that has shown text ends in the error, and the next request is served", async () => {
  await using server = await openMortalServer(1);
  const events = sseEvents<{ error?: { code: string } }>(await (await ask(server, { stream: true })).text());
  assert.equal(events.at(-1)?.error?.code, "engine_lost");
  assert.equal((await ask(server, {})).status, 200);
});
