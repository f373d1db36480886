// The app over the scripted engine, as the API's tests use it: through app.request() without a socket, or listening on a free port.
import { once } from "node:events";
import { connect, type Socket } from "node:net";
import type { Hono } from "hono";
import { silentLog } from "../../src/base/log.ts";
import type { Engine } from "../../src/engine/contract.ts";
import { openScriptedEngine, type ScriptedOptions } from "../../src/engine/scripted/scripted-engine.ts";
import { openChatTemplate } from "../../src/models/chat-template.ts";
import type { ApiEnv } from "../../src/server/api.ts";
import { type AppOptions, createApp } from "../../src/server/app.ts";
import { type Listening, type ListenOptions, listen } from "../../src/server/listen.ts";
import { toModelDefaults } from "../../src/server/sampling-fields.ts";

export type TestOptions = Partial<Omit<AppOptions, "engine">> & { script?: ScriptedOptions; engine?: Engine };

export interface TestApp extends AsyncDisposable {
  app: Hono<ApiEnv>;
  engine: Engine;
  /** POSTs JSON without a socket. */
  post(path: string, body: unknown, headers?: Record<string, string>): Promise<Response>;
}

const specialTokens = ["<|im_start|>", "<|im_end|>", "<|endoftext|>", "<tool_call>", "</tool_call>"];

export function openTestApp({ script, engine = openScriptedEngine(script), ...options }: TestOptions = {}): TestApp {
  const app = createApp({
    engine,
    template: openChatTemplate(undefined, { specialTokens: specialTokens.map((text) => ({ text, isControl: true })) }),
    defaults: toModelDefaults({ temperature: 0, topP: 1, topK: 0, minP: 0 }),
    log: silentLog,
    version: "0.0.0",
    limits: { bodyBytes: 1024 * 1024, perKey: 4 },
    ...options,
  });
  return {
    app,
    engine,
    async post(path, body, headers = {}) {
      const text = typeof body === "string" ? body : JSON.stringify(body);
      return app.request(path, {
        method: "POST",
        body: text,
        headers: { "content-type": "application/json", ...headers },
      });
    },
    [Symbol.asyncDispose]: async () => engine[Symbol.asyncDispose](),
  };
}

export interface TestServer extends TestApp, Listening {}

export async function openTestServer(
  options: TestOptions & { listen?: Partial<ListenOptions> } = {},
): Promise<TestServer> {
  const { listen: listenOptions, ...rest } = options;
  const test = openTestApp(rest);
  const listening = await listen(test.app, { host: "127.0.0.1", port: 0, ...listenOptions });
  return {
    ...test,
    ...listening,
    async [Symbol.asyncDispose]() {
      await test.engine[Symbol.asyncDispose]();
      await listening.close({ graceMs: 0 });
    },
  };
}

/** The payloads of a server-sent stream, "[DONE]" and comments left out. */
export function sseEvents<T = Record<string, unknown>>(text: string): T[] {
  return sseData(text)
    .filter((data) => data !== "[DONE]")
    .map((data) => JSON.parse(data) as T);
}

export function sseData(text: string): string[] {
  return text
    .split("\n\n")
    .filter((block) => block.startsWith("data: "))
    .map((block) => block.slice("data: ".length));
}

export const user = (content: unknown): { role: string; content: unknown } => ({ role: "user", content });

export interface ErrorShape {
  error: { message: string; type: string; param: string | null; code: string; hint?: string; [more: string]: unknown };
}

export async function errorOf(response: Response): Promise<ErrorShape["error"]> {
  return ((await response.json()) as ErrorShape).error;
}

/** A raw connection: what a client's library would hide. */
export async function rawConnection(port: number): Promise<Socket> {
  const socket = connect(port, "127.0.0.1");
  await once(socket, "connect");
  return socket;
}

/** The text of a raw POST. */
export function rawPost(path: string, body: string, headers: Record<string, string> = {}): string {
  const lines = Object.entries({ host: "localhost", "content-length": String(Buffer.byteLength(body)), ...headers });
  return `POST ${path} HTTP/1.1\r\n${lines.map(([name, value]) => `${name}: ${value}\r\n`).join("")}\r\n${body}`;
}

/** Resolves when `condition` holds; it is asked after every turn of the event loop. */
export async function until(condition: () => boolean): Promise<void> {
  while (!condition()) await new Promise((resolve) => setTimeout(resolve, 2));
}
