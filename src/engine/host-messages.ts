// What engine client and engine host say to each other over Node's IPC channel (advanced serialisation: Maps and typed arrays
// survive). A call has a key that is unique for the life of the client.
import type { ErrorData } from "../base/errors.ts";
import type { LogFields, LogLevel } from "../base/log.ts";
import type { Embeddings, EngineStatus, GenerateEvent, GenerateRequest } from "./contract.ts";
import type { EngineSettings } from "./open.ts";

export type ToHost =
  | { type: "open"; settings: EngineSettings }
  | { type: "generate"; key: number; request: GenerateRequest }
  /** The caller's signal fired; the stream goes on to its `done`. */
  | { type: "abort"; key: number }
  /** The reader is gone; nothing more about this call is wanted. */
  | { type: "leave"; key: number }
  | { type: "tokenize"; key: number; text: string; special: boolean }
  | { type: "detokenize"; key: number; ids: readonly number[]; special: boolean }
  | { type: "embed"; key: number; texts: readonly string[] }
  | { type: "stop" };

export type FromHost =
  | { type: "progress"; loaded: number }
  | { type: "ready"; status: EngineStatus }
  | { type: "not_opened"; error: ErrorData }
  /** All that happened since the last message, of all requests: one message a step, however many sequences run. */
  | { type: "events"; batch: readonly HostEvent[]; status?: EngineStatus }
  | { type: "status"; status: EngineStatus }
  | { type: "answer"; key: number; value: HostAnswer }
  | { type: "log"; level: LogLevel; event: string; fields: LogFields };

export type HostAnswer = readonly number[] | string | Embeddings;

export type HostEvent = { key: number; event: GenerateEvent } | { key: number; error: ErrorData };
