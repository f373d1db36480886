// The workspace behind HTTP, as one thing to open and close: the store, the answers being written, the live panel's numbers, drafts and
// downloads. app.ts only puts its routes on addresses. Closing stops the running answers and keeps what there is of them.
import { availableParallelism } from "node:os";
import type { Log } from "../../base/log.ts";
import type { Engine } from "../../engine/contract.ts";
import { type GpuMeter, openGpuMeter } from "../../engine/gpu-meter.ts";
import { RunningAnswers } from "../../workspace/running-answers.ts";
import { openWorkspace, type Workspace } from "../../workspace/workspace.ts";
import type { Api, ApiContext } from "../api.ts";
import type { EngineSwitch } from "../engine-switch.ts";
import { BackgroundWork } from "./background-work.ts";
import { EnergyLedger } from "./energy-ledger.ts";
import { LiveNumbers } from "./live-numbers.ts";
import { ModelPulls, type ModelPullsOptions } from "./model-pulls.ts";
import { PromptCounter } from "./prompt-counter.ts";
import { prefillTemplates } from "./template-prefill.ts";

export interface WorkspaceDoor extends AsyncDisposable {
  readonly workspace: Workspace;
  /** Absent where the engine stays as it was opened. */
  readonly engineSwitch?: EngineSwitch;
  readonly dataFolder: string;
  readonly answers: RunningAnswers;
  readonly energy: EnergyLedger;
  readonly live: LiveNumbers;
  readonly pulls: ModelPulls;
  readonly background: BackgroundWork;
  readonly counter: PromptCounter;
  /** Aborts when streams without an end (the live panel) must let go, so that the server can close. */
  readonly leaving: AbortSignal;
  /** Called once by the app that serves this door. */
  attach(api: () => Api): void;
  /** Prefills the templates' fixed beginnings in the background; call each time the engine begins to serve. Resolves with how many are in. */
  prefillTemplates(): Promise<number>;
  /** Ends those streams. Call before the server closes. */
  letGo(): void;
}

export interface WorkspaceDoorOptions {
  engine: Engine;
  engineSwitch?: EngineSwitch;
  log: Log;
  dataFolder: string;
  /** Opened already, and closed by whoever did; absent: the one in `dataFolder`. */
  workspace?: Workspace;
  /** Where models are fetched; see the setting of that name. */
  hub: string;
  /** Absent: NVIDIA's, where there is one. Tests bring their own, or none. */
  gpu?: GpuMeter | "none";
  /** Between two of the live panel's readings. */
  readEveryMs?: number;
  /** Fetches a model; for tests. */
  pull?: ModelPullsOptions["pull"];
}

/** Opens the workspace in `dataFolder`. Throws AppError `conflict`, `unreadable` or `storage`, as the store does. */
export function openWorkspaceDoor(options: WorkspaceDoorOptions): WorkspaceDoor {
  const { engine, engineSwitch, log, dataFolder, hub, readEveryMs } = options;
  const workspace = options.workspace ?? openWorkspace(dataFolder);
  const { answers: closed, jobs: queued } = workspace.recovered;
  if (closed + queued > 0) log.warn("workspace recovered", { answersClosed: closed, jobsQueued: queued });
  const gpu = options.gpu === "none" ? undefined : (options.gpu ?? openGpuMeter());
  const leaving = new AbortController();
  const answers = new RunningAnswers({ engine, conversations: workspace.conversations, log });
  const pulls = new ModelPulls({
    jobs: workspace.jobs,
    dataFolder,
    hub,
    log,
    ...(options.pull ? { pull: options.pull } : {}),
  });
  const energy = new EnergyLedger({ gpu, runningRequests: () => engine.status().runningRequests });
  const live = new LiveNumbers({ engine, gpu, answers, pulls, energy, cores: availableParallelism() });
  const timer = setInterval(() => live.read(), readEveryMs ?? 1000);
  timer.unref();
  let api: (() => Api) | undefined;
  let prefilling: Promise<number> | undefined;
  const door: WorkspaceDoor = {
    workspace,
    ...(engineSwitch ? { engineSwitch } : {}),
    dataFolder,
    answers,
    energy,
    live,
    pulls,
    background: new BackgroundWork(),
    counter: new PromptCounter(),
    leaving: leaving.signal,
    attach(served) {
      api = served;
    },
    prefillTemplates() {
      // One after the other: an engine that was opened anew has none of them.
      prefilling = (prefilling ?? Promise.resolve(0)).then(() => (api ? prefillTemplates(api(), door, log) : 0));
      return prefilling;
    },
    letGo: () => leaving.abort(),
    async [Symbol.asyncDispose]() {
      leaving.abort();
      clearInterval(timer);
      await Promise.all([answers[Symbol.asyncDispose](), pulls[Symbol.asyncDispose](), prefilling]);
      gpu?.[Symbol.dispose]();
      if (!options.workspace) workspace[Symbol.dispose]();
    },
  };
  return door;
}

export type WorkspaceHandler = (context: ApiContext, api: Api, door: WorkspaceDoor) => Response | Promise<Response>;

/** Whom the audit log names: the key's name, or the one person at this machine. */
export function actorOf(context: ApiContext): string {
  return context.var.keyName ?? "local";
}

/** Runs synchronous work on the store as the request's actor. */
export function asActor<T>(context: ApiContext, door: WorkspaceDoor, work: () => T): T {
  return door.workspace.store.as(actorOf(context), work);
}
