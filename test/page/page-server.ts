// The real server with the scripted engine behind it and the built page in front: what the page's tests talk to. The engine's
// answers and its state are the test's to decide.
import { existsSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { silentLog } from "../../src/base/log.ts";
import type { Engine, EngineStatus } from "../../src/engine/contract.ts";
import { openScriptedEngine, type ScriptedOptions } from "../../src/engine/scripted/scripted-engine.ts";
import { openChatTemplate } from "../../src/models/chat-template.ts";
import { createApp } from "../../src/server/app.ts";
import type { Keys } from "../../src/server/keys.ts";
import { listen } from "../../src/server/listen.ts";
import { OfficeDoor } from "../../src/server/office/office-door.ts";
import { toModelDefaults } from "../../src/server/sampling-fields.ts";
import {
  openWorkspaceDoor,
  type WorkspaceDoor,
  type WorkspaceDoorOptions,
} from "../../src/server/workspace/workspace-door.ts";

export const pageFolder = path.join(import.meta.dirname, "../../web/dist");

export interface PageServer extends AsyncDisposable {
  url: string;
  engine: Engine;
  /** What `/status` says differently from the engine; change it in mid-test. */
  claim: Partial<EngineStatus>;
  door: WorkspaceDoor;
}

export interface PageServerOptions {
  keys?: Keys;
  door?: Partial<WorkspaceDoorOptions>;
  /** What the engine says to titles and follow-up questions; nothing when absent, so that tests count answers only. */
  aside?: (prompt: string) => string;
  /** Reads files, documents and workbooks too. */
  hasOffice?: boolean;
}

export async function openPageServer(
  { answer, ...options }: ScriptedOptions = {},
  { keys, door: doorOptions, aside = () => "", hasOffice = false }: PageServerOptions = {},
): Promise<PageServer> {
  if (!existsSync(path.join(pageFolder, "index.html"))) throw new Error("The page is not built; run: npm run build");
  const script: ScriptedOptions["answer"] =
    answer &&
    ((request, prompt) => {
      if (request.id.startsWith("draft-")) return "";
      return request.id.startsWith("aside-") ? aside(prompt) : answer(request, prompt);
    });
  const scripted = openScriptedEngine({
    contextTokens: 200_000,
    ...options,
    ...(script === undefined ? {} : { answer: script }),
  });
  const dataFolder = mkdtempSync(path.join(tmpdir(), "quern-page-"));
  const server = { claim: {} as Partial<EngineStatus> };
  const engine: Engine = {
    generate: (request, rest) => scripted.generate(request, rest),
    tokenize: (text, rest) => scripted.tokenize(text, rest),
    detokenize: (ids, rest) => scripted.detokenize(ids, rest),
    status: () => ({ ...scripted.status(), ...server.claim }),
    [Symbol.asyncDispose]: () => scripted[Symbol.asyncDispose](),
  };
  const door = openWorkspaceDoor({
    engine,
    log: silentLog,
    dataFolder,
    hub: "huggingface",
    gpu: "none",
    readEveryMs: 250,
    ...doorOptions,
  });
  const office = hasOffice ? new OfficeDoor({ files: door.workspace.files, dataFolder }) : undefined;
  const app = createApp({
    engine,
    workspace: door,
    ...(office === undefined ? {} : { office }),
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
    door,
    async [Symbol.asyncDispose]() {
      door.letGo();
      await listening.close({ graceMs: 0 });
      await office?.[Symbol.asyncDispose]();
      await door[Symbol.asyncDispose]();
      rmSync(dataFolder, { recursive: true, force: true });
      await engine[Symbol.asyncDispose]();
    },
  });
}
