// The app with a workspace in a folder of its own over the scripted engine: through app.request(), or on a socket.
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { silentLog } from "../../src/base/log.ts";
import { openScriptedEngine, type ScriptedOptions } from "../../src/engine/scripted/scripted-engine.ts";
import type { AnswerUpdateBody, ConversationHead, WorkspaceMessage } from "../../src/server/api-types.ts";
import { type Listening, listen } from "../../src/server/listen.ts";
import {
  openWorkspaceDoor,
  type WorkspaceDoor,
  type WorkspaceDoorOptions,
} from "../../src/server/workspace/workspace-door.ts";
import { openTestApp, type TestApp, type TestOptions } from "../api/test-app.ts";

export interface Workbench extends TestApp {
  door: WorkspaceDoor;
  dataFolder: string;
  /** Sends JSON and reads JSON; throws the answer's error text when the status is not the expected one. */
  call<T = Record<string, unknown>>(method: string, path: string, body?: unknown, status?: number): Promise<T>;
  conversation(fields?: object): Promise<ConversationHead>;
  /** Sends a question and waits for its answer's end. */
  ask(
    conversationId: string,
    text: string,
    more?: object,
  ): Promise<{ message: WorkspaceMessage; answer: WorkspaceMessage }>;
  updates(messageId: string, from?: number): Promise<AnswerUpdateBody[]>;
}

export interface WorkbenchOptions extends TestOptions {
  script?: ScriptedOptions;
  door?: Partial<WorkspaceDoorOptions>;
  /** An existing folder is kept. */
  dataFolder?: string;
}

export async function openWorkbench({
  script,
  door: doorOptions,
  dataFolder,
  ...options
}: WorkbenchOptions = {}): Promise<Workbench> {
  const folder = dataFolder ?? mkdtempSync(path.join(tmpdir(), "quern-workbench-"));
  const engine = options.engine ?? openScriptedEngine({ contextTokens: 100_000, ...script });
  const door = openWorkspaceDoor({
    engine,
    log: silentLog,
    dataFolder: folder,
    hub: "huggingface",
    gpu: "none",
    ...doorOptions,
  });
  const test = openTestApp({ ...options, engine, workspace: door });
  const call: Workbench["call"] = async (method, at, body, status) => {
    const response = await test.app.request(at, {
      method,
      ...(body === undefined ? {} : { body: JSON.stringify(body), headers: { "content-type": "application/json" } }),
    });
    const text = await response.text();
    const isExpected = status === undefined ? response.ok : response.status === status;
    if (!isExpected) throw new Error(`${method} ${at}: ${response.status} ${text}`);
    return JSON.parse(text);
  };
  const updates: Workbench["updates"] = async (messageId, from = 0) => {
    const response = await test.app.request(`/workspace/messages/${messageId}/events?from=${from}`);
    return eventsOf<AnswerUpdateBody>(await response.text());
  };
  return {
    ...test,
    door,
    dataFolder: folder,
    call,
    updates,
    async conversation(fields = {}) {
      const { conversation } = await call<{ conversation: ConversationHead }>(
        "POST",
        "/workspace/conversations",
        fields,
      );
      return conversation;
    },
    async ask(conversationId, text, more = {}) {
      const begun = await call<{ message: WorkspaceMessage; answer: WorkspaceMessage }>(
        "POST",
        `/workspace/conversations/${conversationId}/messages`,
        { text, answer: {}, ...more },
      );
      const end = (await updates(begun.answer.id)).at(-1);
      if (end?.type !== "end") throw new Error(`The answer did not end: ${JSON.stringify(end)}`);
      return { message: begun.message, answer: end.message };
    },
    async [Symbol.asyncDispose]() {
      await door[Symbol.asyncDispose]();
      await engine[Symbol.asyncDispose]();
      if (dataFolder === undefined) rmSync(folder, { recursive: true, force: true });
    },
  };
}

export async function onSocket(bench: Workbench): Promise<Listening & AsyncDisposable> {
  const listening = await listen(bench.app, { host: "127.0.0.1", port: 0 });
  return {
    ...listening,
    [Symbol.asyncDispose]: () => {
      bench.door.letGo();
      return listening.close({ graceMs: 0 });
    },
  };
}

/** The payloads of a server-sent stream, its comments and ids left out. */
export function eventsOf<T>(text: string): T[] {
  return text.split("\n").flatMap((line) => (line.startsWith("data: ") ? [JSON.parse(line.slice(6)) as T] : []));
}
