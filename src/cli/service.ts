// A whole Quern: model, engine process, workspace and HTTP server, opened in that order and closed in the reverse one. `quern serve`
// runs one until it is stopped; chat and run open one for themselves when no server listens.
import path from "node:path";
import { fileURLToPath } from "node:url";
import type { Log } from "../base/log.ts";
import type { Settings } from "../base/settings.ts";
import { type EngineClient, startEngineClient } from "../engine/client.ts";
import { type ResolvedModel, resolveModel } from "../models/catalogue.ts";
import { openChatTemplate } from "../models/chat-template.ts";
import { readGguf } from "../models/gguf.ts";
import { modelFactsOf, specialTokensOf } from "../models/inspect-model.ts";
import { createApp } from "../server/app.ts";
import { assertBindingAllowed, isLoopback, openKeys } from "../server/keys.ts";
import { listen } from "../server/listen.ts";
import { OfficeDoor } from "../server/office/office-door.ts";
import { toModelDefaults } from "../server/sampling-fields.ts";
import { openWorkspaceDoor } from "../server/workspace/workspace-door.ts";
import { lockWorkspace } from "../workspace/workspace-lock.ts";
import type { CommandContext } from "./command.ts";
import { version } from "./version.ts";

export interface Service extends AsyncDisposable {
  url: string;
  engine: EngineClient;
  model: ResolvedModel;
}

export interface ServiceContext extends Pick<CommandContext, "settings" | "log" | "signal"> {
  onProgress?: (loaded: number) => void;
  /** Open the workspace in the data folder, for the page; commands that only ask leave it alone. */
  hasWorkspace?: boolean;
}

/** Resolves when the engine serves; rejects when `signal` aborts before. The server listens at once, and tells how far the model is. */
export async function openService({
  settings,
  log,
  signal,
  onProgress,
  hasWorkspace,
}: ServiceContext): Promise<Service> {
  const keys = settings.apiKeyFile === "" ? undefined : openKeys(settings.apiKeyFile);
  assertBindingAllowed(settings.host, keys);
  const model = resolveModel({ model: settings.model, dataFolder: settings.data });
  const gguf = readGguf(model.file);
  const facts = modelFactsOf(gguf);
  const template = openChatTemplate(facts.chatTemplate, { specialTokens: specialTokensOf(gguf) });
  await using opened = new AsyncDisposableStack();
  if (hasWorkspace) opened.use(lockWorkspace(settings.data));
  const engine = opened.use(startEngine({ settings, model, log, ...(onProgress ? { onProgress } : {}) }));
  const workspace = hasWorkspace
    ? opened.use(openWorkspaceDoor({ engine, log, dataFolder: settings.data, hub: settings.hub }))
    : undefined;
  const office = workspace
    ? opened.use(new OfficeDoor({ files: workspace.workspace.files, dataFolder: settings.data }))
    : undefined;
  const app = createApp({
    engine,
    template,
    defaults: toModelDefaults(model.defaults),
    log,
    version: version(),
    limits: { bodyBytes: settings.bodyLimit, perKey: settings.perKey },
    ...(keys ? { keys } : {}),
    allowOrigins: settings.allowOrigin.split(",").filter((origin) => origin !== ""),
    checkHost: isLoopback(settings.host),
    ...(workspace ? { workspace } : {}),
    ...(office ? { office } : {}),
    pageFolder: path.join(path.dirname(fileURLToPath(import.meta.url)), "../../web/dist"),
  });
  const listening = await listen(app, { host: settings.host, port: settings.port });
  opened.defer(() => listening.close());
  opened.defer(() => workspace?.letGo());
  const stopped = Promise.withResolvers<never>();
  signal.addEventListener("abort", () => stopped.reject(signal.reason), { once: true });
  signal.throwIfAborted();
  await Promise.race([engine.ready, stopped.promise]);
  // Elsewhere they would cost more than they save.
  if (engine.status().engine === "cuda") void workspace?.prefillTemplates();
  const held = opened.move();
  return { url: listening.url, engine, model, [Symbol.asyncDispose]: () => held.disposeAsync() };
}

export function startEngine(options: {
  settings: Settings;
  model: ResolvedModel;
  log: Log;
  onProgress?: (loaded: number) => void;
}): EngineClient {
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
    },
    { log, ...(onProgress ? { onProgress } : {}) },
  );
}
