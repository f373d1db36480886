// The HTTP application: which address leads to which door. It is a plain Hono app, so tests call app.request() and listen.ts puts
// it on a socket. Everything a door needs comes in through AppOptions; nothing here reads settings, files or the clock's zone.
import { Hono } from "hono";
import type { ContentfulStatusCode } from "hono/utils/http-status";
import { AppError, toAppError } from "../base/errors.ts";
import type { Log } from "../base/log.ts";
import type { Embedder } from "../engine/contract.ts";
import { countTokens, messages } from "./anthropic.ts";
import type { Api, ApiContext, ApiEnv, Limits } from "./api.ts";
import type { Handler, Method } from "./bound-routes.ts";
import { chatCompletions } from "./chat.ts";
import { completions } from "./completions.ts";
import { embeddings } from "./embeddings.ts";
import type { EngineSwitch, ServedModel } from "./engine-switch.ts";
import { errorBody, type Protocol, toHttpFailure } from "./errors.ts";
import { authorize, guard } from "./guard.ts";
import { instruct } from "./instruct.ts";
import { instructBatch } from "./instruct-batch.ts";
import type { Keys } from "./keys.ts";
import { openMetrics } from "./metrics.ts";
import type { OfficeDoor } from "./office/office-door.ts";
import { officeRoutes } from "./office/routes.ts";
import { ollamaChat, ollamaGenerate } from "./ollama.ts";
import { ollamaRunning, ollamaShow, ollamaTags, ollamaVersion } from "./ollama-models.ts";
import { openApiRoute } from "./openapi.ts";
import { notFound, servePage } from "./page.ts";
import { RequestLedger, stackOf } from "./request-ledger.ts";
import { health, modelByName, models, status } from "./status.ts";
import { TokenTexts } from "./token-texts.ts";
import { detokenize, tokenize } from "./tokenize.ts";
import { workspaceRoutes } from "./workspace/routes.ts";
import type { WorkspaceDoor } from "./workspace/workspace-door.ts";

export interface AppOptions extends ServedModel {
  /** Changes the model while the app serves; absent: it stays. */
  engineSwitch?: EngineSwitch;
  log: Log;
  version: string;
  limits: Limits;
  /** With keys every request but /health and the page's files needs one. */
  keys?: Keys;
  /** Web origins whose pages may call the API; "*" for all. */
  allowOrigins?: readonly string[];
  /** Serve only loopback names: for a server that listens on loopback alone. Default true. */
  checkHost?: boolean;
  /** The built page. */
  pageFolder?: string;
  /** Conversations and what belongs to them, at /workspace/…; absent: none. */
  workspace?: WorkspaceDoor;
  /** Files, documents, analyses and what is made of them; absent: none. */
  office?: OfficeDoor;
  /** Serves /v1/embeddings and helps to choose passages; absent: refused, and by words alone. */
  embedder?: Embedder;
  pingMs?: number;
  idleMs?: number;
}

export function createApp(options: AppOptions): Hono<ApiEnv> {
  const {
    engine,
    template,
    defaults,
    log,
    limits,
    keys,
    version,
    allowOrigins = [],
    checkHost = true,
    pageFolder,
  } = options;
  const metrics = openMetrics(engine);
  // Read once for each request: a request that has begun keeps the model it began with.
  let api: Api = {
    engine,
    template,
    defaults,
    note: options.note,
    log,
    limits,
    version,
    ledger: new RequestLedger({ log, perKey: limits.perKey, observer: metrics }),
    texts: new TokenTexts(engine),
    startedAt: new Date(),
    pingMs: options.pingMs ?? 15_000,
    idleMs: options.idleMs ?? 120_000,
    ...(options.office ? { office: options.office } : {}),
    ...(options.embedder ? { embedder: options.embedder } : {}),
    ...(options.workspace ? { makeWay: () => options.workspace?.background.makeWay() } : {}),
  };
  options.engineSwitch?.onChange((served) => {
    api = { ...api, ...served, texts: new TokenTexts(served.engine) };
  });
  const app = new Hono<ApiEnv>();
  app.use("*", guard({ keys, allowOrigins, checkHost }));

  /** One address for each of `paths`; any other method than these is a 405 that names them. */
  const route = (
    paths: readonly string[],
    handlers: { [method in Method]?: Handler },
    { isOpen = false } = {},
  ): void => {
    const allowed = Object.keys(handlers);
    for (const path of paths) {
      for (const [method, handler] of Object.entries(handlers)) {
        app.on(method, path, (context) => {
          if (!isOpen) authorize(context, keys);
          return handler(context, api);
        });
      }
      app.all(path, (context) => {
        context.header("allow", allowed.join(", "));
        throw new AppError(
          "method_not_allowed",
          `${context.req.method} is not for ${path}; it takes ${allowed.join(", ")}.`,
        );
      });
    }
  };
  const either = (path: string): string[] => [path, `/v1${path}`];

  route(either("/health"), { GET: health }, { isOpen: true });
  route(either("/status"), { GET: status });
  route(either("/metrics"), {
    GET: async (context) => context.body(await metrics.text(), 200, { "content-type": metrics.contentType }),
  });
  route(either("/models"), { GET: models });
  route(either("/models/:id"), { GET: modelByName });
  route(either("/tokenize"), { POST: tokenize });
  route(either("/detokenize"), { POST: detokenize });
  route(either("/chat/completions"), { POST: chatCompletions });
  route(either("/completions"), { POST: completions });
  route(either("/embeddings"), { POST: embeddings });
  route(either("/qwen3/instruct"), { POST: instruct });
  route(either("/qwen3/instruct/batch"), { POST: instructBatch });
  route(["/v1/messages"], { POST: messages });
  route(["/v1/messages/count_tokens"], { POST: countTokens });
  route(["/api/chat"], { POST: ollamaChat });
  route(["/api/generate"], { POST: ollamaGenerate });
  route(["/api/tags"], { GET: ollamaTags });
  route(["/api/show"], { POST: ollamaShow });
  route(["/api/ps"], { GET: ollamaRunning });
  route(["/api/version"], { GET: ollamaVersion });
  const hasWorkspace = options.workspace !== undefined;
  route(["/openapi.json"], { GET: openApiRoute({ hasWorkspace, hasKeys: keys !== undefined }) });
  if (options.office) for (const [path, handlers] of officeRoutes(options.office)) route([path], handlers);
  if (options.workspace) {
    for (const [path, handlers] of workspaceRoutes(options.workspace, () => api)) route([path], handlers);
  }
  if (pageFolder !== undefined) app.get("*", servePage(pageFolder));

  const failed = (context: ApiContext, thrown: unknown): Response => {
    const error = toAppError(thrown);
    const failure = toHttpFailure(error);
    metrics.refused(failure.error.code);
    const fields = {
      id: context.var.requestId,
      path: context.req.path,
      status: failure.status,
      code: failure.error.code,
    };
    if (error.code === "internal") log.error("unexpected failure", { ...fields, error: stackOf(error) });
    else log.info("request refused", { ...fields, param: error.param });
    for (const [name, value] of Object.entries(failure.headers)) context.header(name, value);
    const body = JSON.stringify(errorBody(failure, protocolOf(context.req.path), error));
    return context.body(body, failure.status as ContentfulStatusCode, { "content-type": "application/json" });
  };
  app.notFound((context) => failed(context, notFound(context)));
  app.onError((error, context) => failed(context, error));
  return app;
}

function protocolOf(path: string): Protocol {
  if (path.startsWith("/v1/messages")) return "anthropic";
  return path.startsWith("/api/") ? "ollama" : "openai";
}
