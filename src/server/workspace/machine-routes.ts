// The machine and its models: the live panel's stream, models with their downloads, the disk; and the workspace's own affairs: settings,
// files, the audit log.

import { existsSync, realpathSync } from "node:fs";
import { statfs } from "node:fs/promises";
import { AppError } from "../../base/errors.ts";
import { entryNamed, fileOf, listModels, modelsFolder, removeModel } from "../../models/catalogue.ts";
import { listAudit, verifyAudit } from "../../workspace/audit.ts";
import { bodyOf } from "../api.ts";
import type { LiveEvent } from "../api-types.ts";
import { parseJsonFields } from "../body.ts";
import { refuse } from "../errors.ts";
import { given } from "../fields.ts";
import { revisionOf } from "./conversation-routes.ts";
import { type StreamEvent, streamEvents } from "./event-stream.ts";
import { asActor, type WorkspaceHandler } from "./workspace-door.ts";
import { idParam, queryInteger } from "./workspace-fields.ts";

export const live: WorkspaceHandler = (context, api, door) =>
  streamEvents(context, api, async function* (signal): AsyncGenerator<StreamEvent> {
    const history: LiveEvent = { type: "history", history: door.live.history() };
    yield { data: history };
    for await (const reading of door.live.follow(AbortSignal.any([signal, door.leaving]))) {
      const event: LiveEvent = { type: "reading", ...reading, revision: revisionOf(door) };
      yield { data: event };
    }
  });

export const readModels: WorkspaceHandler = async (context, api, { dataFolder, pulls }) => {
  const loaded = api.engine.status().model;
  const models = listModels(dataFolder).map(({ file, ...model }) => ({
    ...model,
    isLoaded: isSameFile(file, loaded.file),
  }));
  const folder = existsSync(modelsFolder(dataFolder)) ? modelsFolder(dataFolder) : dataFolder;
  const { bavail, blocks, bsize } = await statfs(folder);
  return context.json({
    models,
    pulls: pulls.list(),
    disk: {
      usedBytes: models.reduce((sum, { presentBytes, state }) => sum + (state === "bundled" ? 0 : presentBytes), 0),
      freeBytes: bavail * bsize,
      totalBytes: blocks * bsize,
    },
  });
};

export const pullModel: WorkspaceHandler = (context, _api, door) => {
  const pull = asActor(context, door, () => door.pulls.start(idParam(context)));
  return context.json(pull, 202);
};

export const deleteModel: WorkspaceHandler = (context, api, { dataFolder }) => {
  const entry = entryNamed(idParam(context));
  if (isSameFile(fileOf(entry, dataFolder), api.engine.status().model.file)) {
    throw new AppError("conflict", `${entry.id} is running.`, { hint: "Use another model first." });
  }
  return context.json({ id: entry.id, freedBytes: removeModel(entry.id, dataFolder) });
};

export const readJob: WorkspaceHandler = (context, _api, { pulls }) => context.json(pulls.body(idParam(context)));

export const cancelJob: WorkspaceHandler = async (context, _api, { pulls }) =>
  context.json(await pulls.cancel(idParam(context)));

export const readSettings: WorkspaceHandler = (context, _api, { workspace }) =>
  context.json({ settings: workspace.preferences.all() });

export const changeSettings: WorkspaceHandler = async (context, api, door) => {
  const changes = parseJsonFields(await bodyOf(context, api)).values;
  asActor(context, door, () => door.workspace.preferences.change(changes));
  return context.json({ settings: door.workspace.preferences.all() });
};

/** Stores the body as a file; its name is in the query. */
export const addFile: WorkspaceHandler = async (context, api, door) => {
  const name = context.req.query("name");
  if (name === undefined) throw refuse("name", "name, the file's name, is missing from the address.");
  const content = await bodyOf(context, api);
  const mediaType = context.req.header("content-type") ?? "application/octet-stream";
  return context.json(
    { file: asActor(context, door, () => door.workspace.files.add(content, { name, mediaType })) },
    201,
  );
};

export const readFile: WorkspaceHandler = (context, _api, { workspace }) =>
  context.json({ file: workspace.files.get(idParam(context)) });

/** Always a download of plain bytes: what people upload is never run as a page of ours. */
export const fileContent: WorkspaceHandler = (context, _api, { workspace }) => {
  const file = workspace.files.get(idParam(context));
  const isText = file.mediaType.startsWith("text/plain");
  return context.body(new Uint8Array(workspace.files.read(file.id)), 200, {
    "content-type": isText ? "text/plain; charset=utf-8" : "application/octet-stream",
    "content-disposition": `attachment; filename*=UTF-8''${encodeURIComponent(file.name)}`,
    "content-security-policy": "sandbox",
    "cache-control": "private, no-cache",
  });
};

const mostAuditRows = 1000;

export const readAudit: WorkspaceHandler = (context, _api, { workspace }) => {
  const limit = queryInteger(context, "limit", { least: 1, most: mostAuditRows }) ?? 100;
  const entries = listAudit(workspace.store, {
    limit,
    ...given("entity", context.req.query("entity")),
    ...given("entityId", context.req.query("entityId")),
  });
  return context.json({ entries });
};

export const checkAudit: WorkspaceHandler = (context, _api, { workspace }) =>
  context.json(verifyAudit(workspace.store));

function isSameFile(one: string, other: string): boolean {
  return existsSync(one) && existsSync(other) && realpathSync(one) === realpathSync(other);
}
