// The real server with the scripted engine behind it and the built page in front: what the page's tests talk to. The engine's
// answers and its state are the test's to decide.
import { existsSync } from "node:fs";
import path from "node:path";
import { silentLog } from "../../src/base/log.ts";
import type { Engine, EngineStatus } from "../../src/engine/contract.ts";
import { openScriptedEngine, type ScriptedOptions } from "../../src/engine/scripted/scripted-engine.ts";
import { openChatTemplate } from "../../src/models/chat-template.ts";
import { createApp } from "../../src/server/app.ts";
import type { Keys } from "../../src/server/keys.ts";
import { listen } from "../../src/server/listen.ts";
import { toModelDefaults } from "../../src/server/sampling-fields.ts";

export const pageFolder = path.join(import.meta.dirname, "../../web/dist");

export interface PageServer extends AsyncDisposable {
  url: string;
  engine: Engine;
  /** What `/status` says differently from the engine; change it in mid-test. */
  claim: Partial<EngineStatus>;
}

export async function openPageServer(
  options: ScriptedOptions = {},
  { keys }: { keys?: Keys } = {},
): Promise<PageServer> {
  if (!existsSync(path.join(pageFolder, "index.html"))) throw new Error("The page is not built; run: npm run build");
  const scripted = openScriptedEngine({ contextTokens: 200_000, ...options });
  const server = { claim: {} as Partial<EngineStatus> };
  const engine: Engine = {
    generate: (request, rest) => scripted.generate(request, rest),
    tokenize: (text, rest) => scripted.tokenize(text, rest),
    detokenize: (ids, rest) => scripted.detokenize(ids, rest),
    status: () => ({ ...scripted.status(), ...server.claim }),
    [Symbol.asyncDispose]: () => scripted[Symbol.asyncDispose](),
  };
  const app = createApp({
    engine,
    template: openChatTemplate(undefined, {
      specialTokens: ["<|endoftext|>", "<|im_start|>", "<|im_end|>"].map((text) => ({ text, isControl: true })),
    }),
    defaults: toModelDefaults({ temperature: 0, topK: 0, topP: 1, minP: 0 }),
    log: silentLog,
    version: "0.0.0-test",
    limits: { bodyBytes: 64 * 1024 * 1024, perKey: 64 },
    pageFolder,
    ...(keys === undefined ? {} : { keys }),
  });
  const listening = await listen(app, { host: "127.0.0.1", port: 0 });
  return Object.assign(server, {
    url: listening.url,
    engine,
    async [Symbol.asyncDispose]() {
      await listening.close({ graceMs: 0 });
      await engine[Symbol.asyncDispose]();
    },
  });
}
