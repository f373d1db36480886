// A few requests before anybody's. Node interprets a function at first and compiles it once it has run often enough, so without this the first
// hundred answers begin milliseconds later than all that follow: in the server, in the engine's process, and on the way between them. The
// requests take the way of every other, over a listener of their own: no log line, no count in the server's books, and a key that
// nobody else knows. They are background work, which the engine puts behind whatever comes.
import { randomBytes } from "node:crypto";
import { once } from "node:events";
import http from "node:http";
import { AppError } from "../base/errors.ts";
import { silentLog } from "../base/log.ts";
import { createApp } from "./app.ts";
import type { ServedModel } from "./engine-switch.ts";
import { listen } from "./listen.ts";

export interface RehearsalOptions {
  /** Ends it before its next request. */
  signal: AbortSignal;
  rounds?: number;
}

/** Resolves when done. Throws when a request is refused or fails: the engine has left meanwhile, say. */
export async function rehearse(served: ServedModel, { signal, rounds = 48 }: RehearsalOptions): Promise<void> {
  const key = randomBytes(32).toString("hex");
  const keys = { nameOf: (presented: string) => (presented === key ? "rehearsal" : undefined), count: 1 };
  const limits = { bodyBytes: 2 ** 20, perKey: 1 };
  const app = createApp({ ...served, log: silentLog, version: "", limits, keys });
  const agent = new http.Agent({ keepAlive: true });
  const { port, close } = await listen(app, { host: "127.0.0.1", port: 0 });
  const ask = (path: string, body: object): Promise<void> =>
    answered(
      { port, path, agent, authorization: `Bearer ${key}` },
      { ...body, max_tokens: 2, temperature: 0, ignore_eos: true, stream: true, priority: "background" },
    );
  const { contextTokens, model } = served.engine.status();
  const ids = (count: number, salt: number): number[] =>
    Array.from({ length: count }, (_, index) => (index * 31 + salt) % Math.min(model.vocabularyTokens, 1000));
  const long = ids(Math.min(4096, contextTokens >> 1), 0);
  try {
    for (let round = 0; round < rounds && !signal.aborted; round++) {
      await ask("/v1/completions", { prompt: ids(24, round) });
      await ask("/v1/chat/completions", { messages: [{ role: "user", content: `Round ${round}` }] });
      // What walks through a prompt is compiled by the length of the walk. All but the end of it is shared from the second on.
      if (round % 8 === 0) await ask("/v1/completions", { prompt: [...long, ...ids(24, round)] });
    }
  } finally {
    agent.destroy();
    await close({ graceMs: 0 });
  }
}

async function answered(
  { port, path, agent, authorization }: { port: number; path: string; agent: http.Agent; authorization: string },
  body: object,
): Promise<void> {
  const text = JSON.stringify(body);
  const headers = { authorization, "content-type": "application/json", "content-length": Buffer.byteLength(text) };
  const request = http.request({ host: "127.0.0.1", port, path, method: "POST", agent, headers });
  request.end(text);
  const [response] = (await once(request, "response")) as [http.IncomingMessage];
  response.resume();
  await once(response, "end");
  if (response.statusCode !== 200) throw new AppError("internal", `${path} answered ${response.statusCode}.`);
}
