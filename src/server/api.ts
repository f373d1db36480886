// What every door stands on: the engine, the template, the defaults and the books; and the shape of a request's context in Hono.
import type { IncomingMessage, ServerResponse } from "node:http";
import type { Context } from "hono";
import { AppError } from "../base/errors.ts";
import type { Log } from "../base/log.ts";
import type { Embedder, Engine } from "../engine/contract.ts";
import type { ChatTemplate } from "../models/chat-template.ts";
import { readBody } from "./body.ts";
import type { OfficeDoor } from "./office/office-door.ts";
import type { RequestEntry, RequestLedger } from "./request-ledger.ts";
import type { ModelDefaults, ParseContext } from "./sampling-fields.ts";
import type { TokenTexts } from "./token-texts.ts";

export interface ApiEnv {
  Bindings: {
    /** Present on a real connection, absent in app.request(). */
    incoming?: IncomingMessage;
    outgoing?: ServerResponse;
    /** Aborts, with an AppError, when running answers must end. */
    stopping?: AbortSignal;
  };
  Variables: {
    requestId: string;
    /** Set when keys are in force. */
    keyName: string | undefined;
    /** Headers of every answer (request id, CORS), for those that are written past Hono. */
    commonHeaders: Record<string, string>;
  };
}

export type ApiContext = Context<ApiEnv>;

export interface Limits {
  bodyBytes: number;
  /** Of a form with files; `bodyBytes` when absent. */
  uploadBytes?: number;
  perKey: number;
}

export interface Api {
  engine: Engine;
  template: ChatTemplate;
  defaults: ModelDefaults;
  /** Why it is not the model that would rather be taken. */
  note?: string | undefined;
  log: Log;
  ledger: RequestLedger;
  texts: TokenTexts;
  limits: Limits;
  /** Silence after which a stream gets a comment, so that proxies keep it open. */
  pingMs: number;
  /** A client that accepts nothing for this long is cut. */
  idleMs: number;
  version: string;
  startedAt: Date;
  /** Ends work that nobody waits for yet, because somebody waits for an answer; absent: there is none. */
  makeWay?: () => void;
  /** The embedding model, if one was asked for. */
  embedder?: Embedder;
  /** Reads the files in messages; absent: they are refused. */
  office?: OfficeDoor;
}

export function bodyOf(context: ApiContext, api: Api): Promise<Buffer> {
  return readBody(
    {
      incoming: context.env?.incoming,
      request: () => context.req.raw,
      contentLength: context.req.header("content-length"),
      contentEncoding: context.req.header("content-encoding"),
    },
    isForm(context)
      ? { bytes: uploadBytesOf(api) + formBytes, setting: "--upload-limit" }
      : { bytes: api.limits.bodyBytes, setting: "--body-limit" },
  );
}

/** What stands around a file in a form. */
const formBytes = 64 * 1024;

export const uploadBytesOf = ({ limits }: Api): number => limits.uploadBytes ?? limits.bodyBytes;

export function isForm(context: ApiContext): boolean {
  return /^multipart\/form-data\b/i.test(context.req.header("content-type") ?? "");
}

export function beginRequest(context: ApiContext, api: Api, door: string): RequestEntry {
  return api.ledger.begin({ door, requestId: context.var.requestId, keyName: context.var.keyName });
}

export function parseContextOf(api: Api): ParseContext {
  return { defaults: api.defaults, vocabularyTokens: api.engine.status().model.vocabularyTokens };
}

// Names that clients send when nobody chose a model.
export const anyModel: ReadonlySet<string> = new Set(["", "default", "auto", "quern"]);

/** Refuses another model than the one that is loaded: its answer would pass for something it is not. */
export function assertModel(api: Api, wanted: string | undefined): string {
  const { id, file } = api.engine.status().model;
  const own = [id, `${id}.gguf`, file.slice(Math.max(file.lastIndexOf("/"), file.lastIndexOf("\\")) + 1)];
  if (wanted === undefined || anyModel.has(wanted) || own.includes(wanted) || wanted === `${id}:latest`) return id;
  throw new AppError("not_found", `The model "${wanted.slice(0, 100)}" is not loaded; this server runs ${id}.`, {
    param: "model",
    hint: `Send "model": "${id}", or leave the field out.`,
  });
}

/** Aborts when the client leaves or the server stops, for work before the answer begins. Dispose it before answering. */
export function watchClient(context: ApiContext): Disposable & { signal: AbortSignal } {
  const { outgoing, stopping } = context.env ?? {};
  const gone = new AbortController();
  const leave = (): void => gone.abort(new AppError("bad_request", "The client has left."));
  const stop = (): void => gone.abort(stopping?.reason);
  const request = outgoing ? undefined : context.req.raw.signal;
  outgoing?.once("close", leave);
  request?.addEventListener("abort", leave, { once: true });
  stopping?.addEventListener("abort", stop, { once: true });
  return {
    signal: gone.signal,
    [Symbol.dispose]() {
      outgoing?.off("close", leave);
      request?.removeEventListener("abort", leave);
      stopping?.removeEventListener("abort", stop);
    },
  };
}
