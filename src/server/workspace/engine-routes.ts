// What the engine runs with, what other choices would take of memory and how fast it was measured to be; and the change of model, context,
// requests together and KV type while Quern serves.
import { AppError } from "../../base/errors.ts";
import type { Workspace } from "../../workspace/workspace.ts";
import { answerWith } from "../answer-sink.ts";
import type { Api } from "../api.ts";
import type { EngineBody, EngineChoiceBody, MeasuredBody } from "../api-types.ts";
import { Fields, given } from "../fields.ts";
import { sinkOf } from "../serve-answer.ts";
import { measureSpeed } from "./speed-measure.ts";
import { asActor, type WorkspaceDoor, type WorkspaceHandler } from "./workspace-door.ts";
import { fieldsOf } from "./workspace-fields.ts";

/** The names under which the workspace keeps them. */
const choiceName = "engine.choice";
const measuredName = "engine.measured";

const mostTokens = 1_048_576;
const leastTokens = 256;
const mostTogether = 256;
const kvTypes = ["auto", "f16", "int8"] as const;

export const readEngine: WorkspaceHandler = (context, api, door) => {
  const model = context.req.query("model");
  return context.json(engineBody(api, door, model));
};

/** Answers when the engine serves with the new choice, however long that takes; the live stream tells how far it is. */
export const changeEngine: WorkspaceHandler = async (context, api, door) => {
  const fields = await fieldsOf(context, api, ["model", "contextTokens", "parallel", "kvType"]);
  const { engineSwitch } = door;
  if (!engineSwitch) throw new AppError("unsupported", "This engine cannot be opened anew while it serves.");
  const change = parseEngineChoice(fields);
  await engineSwitch.change(change);
  // What was never chosen stays with the settings that Quern is started with. A change of the model may have brought the context down.
  const { contextTokens } = engineSwitch.choice;
  const kept = { ...keptChoice(door.workspace), ...change, ...(change.model === undefined ? {} : { contextTokens }) };
  asActor(context, door, () => door.workspace.preferences.change({ [choiceName]: kept }));
  // Elsewhere they would cost more than they save.
  if (api.engine.status().engine === "cuda") void door.prefillTemplates();
  return context.json(engineBody({ ...api, ...engineSwitch.current }, door));
};

/** Some seconds of work, alone on the engine; whatever comes meanwhile ends it. */
export const measureEngine: WorkspaceHandler = async (context, api, door) => {
  await fieldsOf(context, api, []);
  const { runningRequests, queuedRequests, state } = api.engine.status();
  if (state !== "ready" || runningRequests + queuedRequests > 0) {
    throw new AppError("conflict", "The engine has something to do; a figure would be of both.", {
      hint: "Measure again when no answer is being written.",
    });
  }
  return answerWith(sinkOf(context, api), async (sink) => {
    const measured = await door.background.run("measure", sink.signal, (signal) => measureSpeed(api, signal));
    asActor(context, door, () => door.workspace.preferences.change({ [measuredName]: measured }));
    return context.json(engineBody(api, door));
  });
};

/** What people chose on the page, for the next start; nothing that is no choice. */
export function keptChoice({ preferences }: Pick<Workspace, "preferences">): Partial<EngineChoiceBody> {
  const kept = preferences.all()[choiceName];
  try {
    return kept === undefined ? {} : parseEngineChoice(Fields.of(kept, choiceName));
  } catch (error) {
    if (error instanceof AppError) return {};
    throw error;
  }
}

function parseEngineChoice(fields: Fields): Partial<EngineChoiceBody> {
  const contextTokens =
    fields.values.contextTokens === 0 ? 0 : fields.integer("contextTokens", leastTokens, mostTokens);
  return {
    ...given("model", fields.string("model")),
    ...given("contextTokens", contextTokens),
    ...given("parallel", fields.integer("parallel", 1, mostTogether)),
    ...given("kvType", fields.choice("kvType", kvTypes)),
  };
}

function engineBody(api: Api, door: WorkspaceDoor, model?: string): EngineBody {
  const { engineSwitch, live, workspace } = door;
  const { contextTokens, parallel, kvType, memory, kv, model: running } = api.engine.status();
  const measured = workspace.preferences.all()[measuredName] as MeasuredBody | undefined;
  const inForce = { model: running.id, contextTokens, parallel, kvType };
  const isOwn = model === undefined || model === running.id;
  const needs = engineSwitch?.needs(isOwn ? undefined : model) ?? {
    ...{ weightBytes: memory.weightBytes, kvTokenBytes: {}, isForEach: false },
    trainedContextTokens: running.trainedContextTokens,
  };
  return {
    canChange: engineSwitch !== undefined,
    choice: engineSwitch?.choice ?? { ...inForce, kvType: "auto" },
    running: inForce,
    // Of the model that runs, what it took is known better than what its file says.
    needs: isOwn && memory.weightBytes > 0 ? { ...needs, weightBytes: memory.weightBytes } : needs,
    memory: {
      kvBytes: memory.kvBytes,
      kvTokens: kv.totalTokens,
      ...given("availableBytes", engineSwitch?.availableBytes()),
    },
    ...given("measured", measured),
    lastHour: live.speedByCount(),
  };
}
