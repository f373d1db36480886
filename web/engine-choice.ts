// The engine's settings as the page sees them: what was chosen, what other choices would take of memory, what was measured. Changing them
// takes as long as a model takes to load, so one change runs at a time and both places that show them share it.
import { useEffect } from "react";
import type { EngineBody, EngineChoiceBody, MeasuredBody } from "../src/server/api-types.ts";
import { ApiError, call } from "./api.ts";
import { Signal, useSignal } from "./signal.ts";
import type { Workbench } from "./workbench.ts";

const path = "/workspace/engine";
/** A large model on a slow disk. */
const longestMs = 3_600_000;

export type EngineWorkKind = "model" | "settings" | "measuring";

export interface EngineState {
  body?: EngineBody;
  work?: EngineWorkKind;
  failure?: { of: EngineWorkKind; code: string; message: string };
}

const states = new WeakMap<Workbench, Signal<EngineState>>();

function stateOf(workbench: Workbench): Signal<EngineState> {
  const known = states.get(workbench) ?? new Signal<EngineState>({});
  states.set(workbench, known);
  return known;
}

/** Read when it is first shown, and whenever the engine has become another one. */
export function useEngine(workbench: Workbench): EngineState {
  const { status, live } = useSignal(workbench.engine.view);
  const kind = status && [status.model.id, status.contextTokens, status.parallel, status.state].join(" ");
  const isReachable = live !== undefined;
  // biome-ignore lint/correctness/useExhaustiveDependencies: another engine has other figures
  useEffect(() => {
    if (isReachable) void workbench.guard(() => readEngine(workbench));
  }, [kind, isReachable]);
  return useSignal(stateOf(workbench));
}

export async function readEngine(workbench: Workbench): Promise<void> {
  const body = await call<EngineBody>("GET", path);
  const state = stateOf(workbench);
  state.value = { ...state.value, body };
}

/** Opens the engine anew. True when it serves so; else `failure` says why, and the one before goes on. */
export function changeEngine(workbench: Workbench, change: Partial<EngineChoiceBody>): Promise<boolean> {
  return work(workbench, change.model === undefined ? "settings" : "model", () =>
    call<EngineBody>("PATCH", path, { body: change, signal: AbortSignal.timeout(longestMs) }),
  );
}

export function measureEngine(workbench: Workbench): Promise<boolean> {
  return work(workbench, "measuring", () =>
    call<EngineBody>("POST", `${path}/measure`, { signal: AbortSignal.timeout(longestMs) }),
  );
}

async function work(workbench: Workbench, kind: EngineWorkKind, ask: () => Promise<EngineBody>): Promise<boolean> {
  const state = stateOf(workbench);
  if (state.value.work !== undefined) return false;
  const { failure: _, ...before } = state.value;
  state.value = { ...before, work: kind };
  try {
    state.value = { body: await ask() };
    return true;
  } catch (error) {
    if (!(error instanceof ApiError)) throw error;
    const { code, message } = error;
    const { work: __, ...rest } = state.value;
    state.value = { ...rest, failure: { of: kind, code, message } };
    return false;
  }
}

/** The last measurement, if it is of what runs now. */
export function measuredNow({ body }: EngineState): MeasuredBody | undefined {
  const { measured, running } = body ?? {};
  return measured?.model === running?.model && measured?.kvType === running?.kvType ? measured : undefined;
}

/** Bytes that conversations take with a choice; undefined where the engine does not tell. */
export function conversationBytes(
  { needs, running }: EngineBody,
  { contextTokens, parallel, kvType }: Omit<EngineChoiceBody, "model">,
): number | undefined {
  const type = kvType === "auto" ? needs.autoKvType : kvType;
  const tokenBytes = type && needs.kvTokenBytes[type];
  if (tokenBytes === undefined) return undefined;
  return tokenBytes * (contextTokens || running.contextTokens) * (needs.isForEach ? parallel : 1);
}

/** Whether the engine could have that much for conversations, as far as anybody knows. */
export function hasRoom({ needs, memory }: EngineBody, kvBytes: number | undefined): boolean {
  return (
    kvBytes === undefined || memory.availableBytes === undefined || needs.weightBytes + kvBytes <= memory.availableBytes
  );
}

/** 4K, 8K, … to what the model was made for. */
export function contextSteps({ needs, running }: EngineBody): number[] {
  const most = needs.trainedContextTokens || running.contextTokens;
  const steps = new Set([running.contextTokens, most]);
  for (let tokens = 4096; tokens < most; tokens *= 2) steps.add(tokens);
  return [...steps].sort((a, b) => a - b);
}
