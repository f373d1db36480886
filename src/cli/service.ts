// A whole Quern: model, engine process, workspace and HTTP server, opened in that order and closed in the reverse one. `quern serve`
// runs one until it is stopped; chat and run open one for themselves when no server listens.
import path from "node:path";
import { fileURLToPath } from "node:url";
import { toAppError } from "../base/errors.ts";
import type { Log } from "../base/log.ts";
import type { SettingSources, Settings } from "../base/settings.ts";
import { type EngineClient, startEngineClient } from "../engine/client.ts";
import type { Embedder } from "../engine/contract.ts";
import { type ResolvedModel, resolveModel } from "../models/catalogue.ts";
import { createApp } from "../server/app.ts";
import { EngineSwitch, type ServedModel } from "../server/engine-switch.ts";
import { assertBindingAllowed, isLoopback, openKeys } from "../server/keys.ts";
import { listen } from "../server/listen.ts";
import { OfficeDoor } from "../server/office/office-door.ts";
import { rehearse } from "../server/rehearsal.ts";
import { keptChoice } from "../server/workspace/engine-routes.ts";
import { openWorkspaceDoor } from "../server/workspace/workspace-door.ts";
import { openWorkspace } from "../workspace/workspace.ts";
import { lockWorkspace } from "../workspace/workspace-lock.ts";
import type { CommandContext } from "./command.ts";
import { openPassingOffice } from "./passing-office.ts";
import { version } from "./version.ts";

export interface Service extends AsyncDisposable {
  url: string;
  engine: EngineClient;
  model: ResolvedModel;
}

export interface ServiceContext extends Pick<CommandContext, "settings" | "sources" | "log" | "signal"> {
  onProgress?: (loaded: number) => void;
  /** Open the workspace in the data folder, for the page; commands that only ask leave it alone. */
  hasWorkspace?: boolean;
  /** Without a workspace: read the files in messages all the same, and keep nothing of them. */
  hasFiles?: boolean;
}

/** Resolves when the engine serves; rejects when `signal` aborts before. The server listens at once, and tells how far the model is. */
export async function openService(context: ServiceContext): Promise<Service> {
  const { log, signal, onProgress, hasWorkspace } = context;
  const keys = context.settings.apiKeyFile === "" ? undefined : openKeys(context.settings.apiKeyFile);
  assertBindingAllowed(context.settings.host, keys);
  await using opened = new AsyncDisposableStack();
  if (hasWorkspace) opened.use(lockWorkspace(context.settings.data));
  const kept = hasWorkspace ? opened.use(openWorkspace(context.settings.data)) : undefined;
  const { settings, model, isChosen } = chosen(context, kept ? keptChoice(kept) : {});
  const { data: dataFolder, hub } = settings;
  const engine = opened.use(startEngine({ settings, model, log, ...(onProgress ? { onProgress } : {}) }));
  const engineSwitch = new EngineSwitch({ engine, model, dataFolder, log });
  const workspace = kept
    ? opened.use(openWorkspaceDoor({ engine, engineSwitch, workspace: kept, log, dataFolder, hub }))
    : undefined;
  const office = workspace
    ? opened.use(new OfficeDoor({ files: workspace.workspace.files, dataFolder }))
    : context.hasFiles
      ? opened.use(openPassingOffice()).office
      : undefined;
  const app = createApp({
    ...engineSwitch.current,
    engineSwitch,
    log,
    version: version(),
    limits: { bodyBytes: settings.bodyLimit, uploadBytes: settings.uploadLimit, perKey: settings.perKey },
    ...(keys ? { keys } : {}),
    allowOrigins: settings.allowOrigin.split(",").filter((origin) => origin !== ""),
    checkHost: isLoopback(settings.host),
    ...(workspace ? { workspace } : {}),
    ...(office ? { office } : {}),
    ...(settings.embeddingModel === "" ? {} : { embedder: engine }),
    pageFolder: path.join(path.dirname(fileURLToPath(import.meta.url)), "../../web/dist"),
  });
  const listening = await listen(app, { host: settings.host, port: settings.port });
  opened.defer(() => listening.close());
  opened.defer(() => workspace?.letGo());
  const stopped = Promise.withResolvers<never>();
  signal.addEventListener("abort", () => stopped.reject(signal.reason), { once: true });
  signal.throwIfAborted();
  const serving = engine.ready.catch(async (error: unknown) => {
    if (!isChosen || signal.aborted) throw error;
    // What a person chose on the page must not keep Quern from starting: memory may be taken by something else today.
    log.warn("chosen engine not opened", { error: toAppError(error).message });
    const { model: name, context: contextTokens, parallel, kvType } = context.settings;
    await engineSwitch.change({ model: name, contextTokens, parallel, kvType });
  });
  await Promise.race([serving, stopped.promise]);
  // Elsewhere they would cost more than they save.
  if (engine.status().engine === "cuda") {
    void workspace?.prefillTemplates();
    // A command that asks once would wait for its own rehearsal.
    if (hasWorkspace) opened.use(startRehearsal(engineSwitch.current, log));
  }
  const held = opened.move();
  return { url: listening.url, engine, model, [Symbol.asyncDispose]: () => held.disposeAsync() };
}

function startRehearsal(served: ServedModel, log: Log): AsyncDisposable {
  const ending = new AbortController();
  const ended = rehearse(served, { signal: ending.signal }).catch((error: unknown) =>
    log.debug("rehearsal broken off", { error: toAppError(error).message }),
  );
  return {
    async [Symbol.asyncDispose]() {
      ending.abort();
      await ended;
    },
  };
}

/** What a person chose on the page holds from one start to the next, but not against this start's own command line and environment. */
function chosen(
  { settings, sources, log }: ServiceContext,
  kept: ReturnType<typeof keptChoice>,
): { settings: Settings; model: ResolvedModel; isChosen: boolean } {
  const free = <Name extends keyof SettingSources, T>(name: Name, value: T | undefined): { [name in Name]?: T } =>
    (value === undefined || sources[name] !== "default" ? {} : { [name]: value }) as { [name in Name]?: T };
  const choice = {
    ...free("model", kept.model),
    ...free("context", kept.contextTokens),
    ...free("parallel", kept.parallel),
    ...free("kvType", kept.kvType),
  };
  const isChosen = Object.keys(choice).length > 0;
  const find = ({ model, data }: Settings): ResolvedModel => resolveModel({ model, dataFolder: data });
  try {
    const wanted: Settings = { ...settings, ...choice };
    return { settings: wanted, model: find(wanted), isChosen };
  } catch (error) {
    if (!isChosen) throw error;
    log.warn("chosen model not there", { model: kept.model, error: toAppError(error).message });
    return { settings, model: find(settings), isChosen: false };
  }
}

export function startEngine(options: {
  settings: Settings;
  model: ResolvedModel;
  log: Log;
  onProgress?: (loaded: number) => void;
}): EngineClient & Embedder {
  const { settings, model, log, onProgress } = options;
  return startEngineClient(
    {
      engine: settings.engine,
      modelFile: model.file,
      modelId: model.id,
      isDemonstration: model.isDemonstration,
      contextTokens: settings.context,
      parallel: settings.parallel,
      queueLimit: settings.queue,
      kvType: settings.kvType,
      threads: settings.threads,
      ...(settings.embeddingModel === "" ? {} : { embeddingFile: settings.embeddingModel }),
    },
    { log, ...(onProgress ? { onProgress } : {}) },
  );
}
