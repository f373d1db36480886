// Messages and answers. An answer belongs to the server: it is begun here, kept in the store as it comes, and followed from any position by
// anybody; only stop ends it. What cannot be answered (a bad setting, a full queue of the key) is refused before anything is stored.
import { AppError } from "../../base/errors.ts";
import type { FileProgress } from "../../documents/file-progress.ts";
import type { Conversation, Message } from "../../workspace/conversations.ts";
import type { AnswerOutcome, AnswerWatch, AnswerWork, PrepareWork } from "../../workspace/running-answers.ts";
import { type Api, type ApiContext, beginRequest, watchClient } from "../api.ts";
import type { ConversationSettings, WorkspaceMessage } from "../api-types.ts";
import { refuse } from "../errors.ts";
import { type Fields, given } from "../fields.ts";
import { overflowChoices } from "../office/file-prompt.ts";
import { fileOverflowOf, type SettingsWithLeftOut, toBranchRequest, turnsOf } from "./branch-request.ts";
import { type StreamEvent, streamEvents } from "./event-stream.ts";
import { toMessageBody, toUpdateBody } from "./wire.ts";
import { asActor, type WorkspaceDoor, type WorkspaceHandler } from "./workspace-door.ts";
import {
  fieldsOf,
  idParam,
  parseAttachments,
  parseId,
  parseTemperatureChoice,
  queryInteger,
} from "./workspace-fields.ts";

const answerFields = ["id", "temperatureChoice"];

/** Adds a question, and with `answer` begins the answer to it: one request from Send to the first token. */
export const addMessage: WorkspaceHandler = async (context, api, door) => {
  const known = ["id", "parentId", "text", "attachments", "isSlimmed", "fileOverflow", "answer"];
  const fields = await fieldsOf(context, api, known);
  const { conversations, store } = door.workspace;
  const conversation = openConversation(door, idParam(context));
  const id = parseId(fields);
  const wanted = fields.object("answer");
  const answerId = wanted && parseId(wanted);
  const temperatureChoice = wanted && parseTemperatureChoice(wanted);
  for (const name of wanted?.names() ?? []) {
    if (!answerFields.includes(name)) throw refuse(`answer.${name}`, `There is no field "${name.slice(0, 64)}" here.`);
  }
  const attach = parseAttachments(fields);
  const text = fields.string("text") ?? "";
  if (text === "" && attach.length === 0) throw refuse("text", "text is missing; a message needs text or a file.");
  const twin = id === undefined ? undefined : conversations.findMessage(id);
  if (twin && twin.conversationId !== conversation.id) {
    throw new AppError("conflict", `There is a message ${id} in another conversation.`, { param: "id" });
  }
  const isSlimmed = fields.boolean("isSlimmed") ?? false;
  const fileOverflow = fields.choice("fileOverflow", overflowChoices);
  const parentId = twin ? twin.parentId : parentOf(fields, conversation);
  const question = asActor(context, door, () =>
    store.transaction(() => {
      if (twin) return twin; // the request came twice, because the first answer was lost
      const attachments = attach.map((stored) => stored(door.workspace));
      return conversations.add({
        ...given("id", id),
        conversationId: conversation.id,
        ...given("parentId", parentId),
        role: "user",
        content: text,
        details: {
          ...(attachments.length > 0 ? { attachments } : {}),
          ...(isSlimmed ? { isSlimmed } : {}),
          ...given("fileOverflow", fileOverflow),
        },
        fileIds: attachments.map((attachment) => attachment.id),
      });
    }),
  );
  if (!wanted) return context.json({ message: toMessageBody(question) }, twin ? 200 : 201);
  const place = { conversation, parentId: question.id, ...given("id", answerId) };
  const answer = await begin(context, api, door, { ...place, temperatureChoice });
  return context.json({ message: toMessageBody(question), answer }, twin ? 200 : 201);
};

/** Answers the message `parentId` (again), goes on with `continueId`, or takes the failed `retryId` up anew. */
export const answer: WorkspaceHandler = async (context, api, door) => {
  const fields = await fieldsOf(context, api, [...answerFields, "parentId", "continueId", "retryId"]);
  const conversation = openConversation(door, idParam(context));
  const id = parseId(fields);
  const temperatureChoice = parseTemperatureChoice(fields);
  const names = ["parentId", "continueId", "retryId"].filter((name) => fields.has(name));
  if (names.length > 1)
    throw refuse(names[1] ?? "", `Send one of parentId, continueId and retryId, not ${names.join(" and ")}.`);
  const goOn = messageOf(door, conversation, fields, "continueId");
  const retry = messageOf(door, conversation, fields, "retryId");
  if (goOn)
    return context.json({
      answer: await resume(context, api, door, { conversation, message: goOn, temperatureChoice }),
    });
  if (retry && (retry.state !== "failed" || retry.parentId === undefined)) {
    throw new AppError("conflict", `Message ${retry.id} is no answer that failed.`, { param: "retryId" });
  }
  // One that failed with text stays as a version; one without is written anew in its place.
  if (retry && retry.content === "") {
    return context.json({
      answer: await resume(context, api, door, { conversation, message: retry, temperatureChoice }),
    });
  }
  const parentId = retry?.parentId ?? messageOf(door, conversation, fields, "parentId")?.id ?? conversation.leafId;
  if (parentId === undefined) throw refuse("parentId", "The conversation has no message to answer.");
  const place = { conversation, parentId, ...given("id", id), temperatureChoice };
  return context.json({ answer: await begin(context, api, door, place) }, 201);
};

export const readMessage: WorkspaceHandler = (context, _api, { workspace }) =>
  context.json({ message: toMessageBody(workspace.conversations.message(idParam(context))) });

/** What is new from `from` on, then all that comes, then the end. */
export const messageEvents: WorkspaceHandler = (context, api, door) => {
  const { id } = door.workspace.conversations.message(idParam(context));
  const lost = context.req.header("last-event-id");
  const resumed = lost !== undefined && /^\d{1,15}$/.test(lost) ? Number(lost) : undefined;
  const from = resumed ?? queryInteger(context, "from", { least: 0, most: Number.MAX_SAFE_INTEGER }) ?? 0;
  return streamEvents(context, api, async function* (signal): AsyncGenerator<StreamEvent> {
    for await (const update of door.answers.follow(id, from, signal)) {
      const data = toUpdateBody(update);
      yield update.type === "text" ? { id: update.position + update.text.length, data } : { data };
    }
  });
};

export const stopMessage: WorkspaceHandler = async (context, _api, door) => {
  const { id } = door.workspace.conversations.message(idParam(context));
  return context.json({ message: toMessageBody(await door.answers.stop(id)) });
};

interface Place {
  conversation: Conversation;
  parentId: string;
  id?: string;
  temperatureChoice?: ConversationSettings["temperatureChoice"] | undefined;
}

async function begin(context: ApiContext, api: Api, door: WorkspaceDoor, place: Place): Promise<WorkspaceMessage> {
  const { conversation, parentId, id, temperatureChoice } = place;
  const { conversations } = door.workspace;
  const twin = id === undefined ? undefined : conversations.findMessage(id);
  if (twin?.parentId === parentId) return toMessageBody(twin);
  if (twin) throw new AppError("conflict", `There is a message ${id} elsewhere.`, { param: "id" });
  if (conversations.message(parentId).role === "assistant") {
    throw refuse("parentId", "An answer is not answered; send continueId to go on with it.");
  }
  const settings = conversation.settings as SettingsWithLeftOut;
  const branch = conversations.branch(parentId);
  const work = await branchWork(context, api, door, { settings, branch, temperatureChoice });
  const model = api.engine.status().model.id;
  return run(context, api, door, (watch) =>
    door.answers.start(
      {
        conversationId: conversation.id,
        parentId,
        ...given("id", id),
        details: { model },
      },
      work,
      watch,
    ),
  );
}

/** Writes on in an answer that has ended; with no text in it yet, from its beginning. */
async function resume(
  context: ApiContext,
  api: Api,
  door: WorkspaceDoor,
  place: Pick<Place, "conversation" | "temperatureChoice"> & { message: Message },
): Promise<WorkspaceMessage> {
  const { conversation, message, temperatureChoice } = place;
  if (message.role !== "assistant") throw refuse("continueId", "Only an answer can be gone on with.");
  if (message.state === "streaming") {
    throw new AppError("conflict", `The answer ${message.id} is being written.`, {
      hint: "Follow it, or stop it first.",
    });
  }
  const settings = conversation.settings as SettingsWithLeftOut;
  const branch = door.workspace.conversations.branch(message.id);
  const work = await branchWork(context, api, door, { settings, branch, temperatureChoice });
  return run(context, api, door, (watch) => door.answers.resume(message.id, work, watch));
}

/**
 * The branch as a request; a client that leaves ends the reading of its documents. Documents that are to be narrowed keep the engine
 * busy for a while: then it is made as the first part of the answer, which tells how far it is and can be stopped.
 */
async function branchWork(
  context: ApiContext,
  api: Api,
  { workspace }: WorkspaceDoor,
  {
    settings,
    branch,
    temperatureChoice,
  }: Pick<Place, "temperatureChoice"> & { settings: SettingsWithLeftOut; branch: readonly Message[] },
): Promise<AnswerWork | PrepareWork> {
  const turns = turnsOf(workspace, branch, settings);
  const overflow = fileOverflowOf(branch);
  const make = async (signal: AbortSignal, onProgress?: (progress: FileProgress) => void): Promise<AnswerWork> => {
    const options = { settings, turns, temperatureChoice, more: { file_overflow: overflow } };
    const { request, fileUse } = await toBranchRequest(api, options, { signal, onProgress });
    return { request, engine: api.engine, details: given("fileUse", fileUse) };
  };
  if (overflow === "relevant" || overflow === "summarise") return make;
  using client = watchClient(context);
  return await make(client.signal);
}

/** Starts an answer under the books of the server: the key's share of requests, log, metrics, energy. */
function run(
  context: ApiContext,
  api: Api,
  door: WorkspaceDoor,
  start: (watch: AnswerWatch) => Message,
): WorkspaceMessage {
  const entry = beginRequest(context, api, "workspace");
  door.background.makeWay();
  const startedMs = performance.now();
  let energyId = "";
  const watch: AnswerWatch = {
    first() {
      entry.first();
      door.live.firstToken(performance.now() - startedMs);
    },
    ended(outcome: AnswerOutcome) {
      const energyJoules = door.energy.end(energyId);
      if (outcome.kind === "done") entry.done(outcome.reason, outcome.usage, outcome.timings);
      else entry.failed(outcome.error);
      entry[Symbol.dispose]();
      return { ...given("energyJoules", energyJoules) };
    },
  };
  try {
    const message = asActor(context, door, () => start(watch));
    energyId = message.id;
    door.energy.begin(energyId);
    return toMessageBody(message);
  } catch (error) {
    entry.failed(error);
    entry[Symbol.dispose]();
    throw error;
  }
}

function openConversation(door: WorkspaceDoor, id: string): Conversation {
  const conversation = door.workspace.conversations.get(id);
  if (conversation.deletedAt === undefined) return conversation;
  throw new AppError("conflict", "The conversation is deleted.", { hint: "Restore it first." });
}

/** Absent: below the branch that is shown. null: the first of a new branch. */
function parentOf(fields: Fields, { leafId }: Conversation): string | undefined {
  if (fields.values.parentId === null) return undefined;
  return parseId(fields, "parentId") ?? leafId;
}

function messageOf(door: WorkspaceDoor, { id }: Conversation, fields: Fields, name: string): Message | undefined {
  const messageId = parseId(fields, name);
  if (messageId === undefined) return undefined;
  const message = door.workspace.conversations.message(messageId);
  if (message.conversationId === id) return message;
  throw refuse(name, `Message ${messageId} belongs to another conversation.`);
}
