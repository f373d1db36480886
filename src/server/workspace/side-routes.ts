// What helps a person before and beside an answer, and must never be in its way: prefilling a draft, titles, follow-up questions. All run
// as background work, end when an answer begins, and put what they ask behind the conversation, so that its cached prefix is used and
// stays as it is. Nothing of a draft is stored.
import { answerWith } from "../answer-sink.ts";
import type { Api, ApiContext } from "../api.ts";
import type { DraftBody } from "../api-types.ts";
import { sinkOf } from "../serve-answer.ts";
import { type SettingsWithLeftOut, type Turn, toGenerateRequest, turnsOf } from "./branch-request.ts";
import { type DraftPlace, parseDraft } from "./draft.ts";
import { toHead } from "./wire.ts";
import { actorOf, asActor, type WorkspaceDoor, type WorkspaceHandler } from "./workspace-door.ts";
import { fieldsOf, idParam } from "./workspace-fields.ts";

/** Takes the draft into the engine's memory; on Send only what changed since is left to compute. */
export const prefillDraft: WorkspaceHandler = async (context, api, door) => {
  const draft = await parseDraft(await fieldsOf(context, api, draftFields), door);
  const request = await toGenerateRequest(api, {
    settings: draft.settings,
    turns: draftTurns(draft, door),
    more: { max_tokens: 0, priority: "background", add_generation_prompt: false },
  });
  const key = `draft ${actorOf(context)} ${draft.conversationId ?? ""}`;
  return besides(context, api, door, key, async (signal): Promise<DraftBody> => {
    const body: DraftBody = { state: "superseded", promptTokens: 0, cachedTokens: 0 };
    for await (const event of api.engine.generate({ ...request, id: `draft-${crypto.randomUUID()}` }, { signal })) {
      if (event.type !== "done") continue;
      body.promptTokens = event.usage.promptTokens;
      body.cachedTokens = event.usage.cachedTokens;
      if (event.reason !== "aborted") body.state = "ready";
    }
    return body;
  });
};

export const draftFields = ["conversationId", "parentId", "text", "attachments", "settings", "isSlimmed"];

export function draftTurns(draft: DraftPlace, { workspace }: WorkspaceDoor): Turn[] {
  const { documents, content } = draft;
  const parts = documents.length === 0 ? content : [...documents, { type: "text" as const, text: content }];
  return [...turnsOf(workspace, draft.branch, draft.settings), { role: "user", content: parts }];
}

const languages = ["zh", "en"] as const;

const titleAsk = {
  zh: "为以上对话起一个标题：不超过12个字，不加引号和句号，只输出标题。",
  en: "Give this conversation a title of at most six words, without quotes or a full stop. Answer with the title only.",
};
const followUpAsk = {
  zh: "写出用户接下来最可能提出的三个问题：每行一个，每个不超过25个字，以用户的口吻，只输出问题。",
  en: "Write the three questions that the user would most likely ask next: one a line, at most 15 words each, in the user's voice. Answer with the questions only.",
};

/** Names the conversation, unless a person named it meanwhile. */
export const makeTitle: WorkspaceHandler = async (context, api, door) => {
  const { conversations } = door.workspace;
  const { id, title: before } = conversations.get(idParam(context));
  // The demonstration model knows no titles; the beginning of the question is a better one.
  if (api.engine.status().model.isDemonstration) {
    return context.json({ conversation: toHead(conversations.get(id)), isNamed: false });
  }
  return aside(context, api, door, { ask: titleAsk, maxTokens: 32 }, (text, isWhole) => {
    const title = isWhole ? oneLine(text) : "";
    const isFree = conversations.get(id).title === before;
    if (title !== "" && isFree) asActor(context, door, () => conversations.update(id, { title }));
    return { conversation: toHead(conversations.get(id)), isNamed: title !== "" && isFree };
  });
};

export const suggestFollowUps: WorkspaceHandler = (context, api, door) =>
  aside(context, api, door, { ask: followUpAsk, maxTokens: 160 }, (text, isWhole) => ({
    suggestions: isWhole
      ? text
          .split("\n")
          .map((line) => line.replace(/^\s*(?:[-*•]|\d+[.)、．])\s*/, "").trim())
          .filter((line) => line !== "" && widthOf(line) <= widestQuestion)
          .slice(0, 3)
      : [],
  }));

function oneLine(text: string): string {
  const line = text.split("\n").find((each) => each.trim() !== "") ?? "";
  const plain = line.replace(/^[#\s"'“”‘’《「]+|[\s"'“”‘’》」。.]+$/g, "");
  return /[\p{L}\p{N}]/u.test(plain) && widthOf(plain) <= widestTitle ? plain : "";
}

// Beyond what was asked for, with some room: what is longer is no title and no question but a model's excuse.
const widestTitle = 60;
const widestQuestion = 100;

/** In letters; a Chinese character is as wide as two. */
function widthOf(text: string): number {
  return [...text].reduce((sum, character) => sum + (/\p{Script=Han}/u.test(character) ? 2 : 1), 0);
}

/** Asks the model something about the conversation, behind its end. `isWhole` is false when something more urgent came. */
async function aside(
  context: ApiContext,
  api: Api,
  door: WorkspaceDoor,
  { ask, maxTokens }: { ask: Record<(typeof languages)[number], string>; maxTokens: number },
  toBody: (text: string, isWhole: boolean) => object,
): Promise<Response> {
  const fields = await fieldsOf(context, api, ["language"]);
  const conversation = door.workspace.conversations.get(idParam(context));
  const { leafId } = conversation;
  const branch = leafId === undefined ? [] : door.workspace.conversations.branch(leafId);
  const settings = conversation.settings as SettingsWithLeftOut;
  const turns = turnsOf(door.workspace, branch, settings);
  const language =
    fields.choice("language", languages) ?? (/\p{Script=Han}/u.test(branch.at(0)?.content ?? "") ? "zh" : "en");
  const request = await toGenerateRequest(api, {
    settings,
    turns: [...turns, { role: "user", content: ask[language] }],
    more: { max_tokens: maxTokens, priority: "background", temperature: 0 },
  });
  const id = `aside-${crypto.randomUUID()}`;
  return besides(context, api, door, id, async (signal) => {
    let text = "";
    let isWhole = false;
    for await (const event of api.engine.generate({ ...request, id }, { signal })) {
      if (event.type === "tokens") text += event.text;
      else if (event.type === "done") isWhole = event.reason !== "aborted";
    }
    return toBody(text, isWhole);
  });
}

/** Runs background work for as long as its client waits. */
function besides(
  context: ApiContext,
  api: Api,
  door: WorkspaceDoor,
  key: string,
  work: (signal: AbortSignal) => Promise<object>,
): Promise<Response> {
  return answerWith(sinkOf(context, api), async (sink) =>
    context.json(await door.background.run(key, sink.signal, work)),
  );
}
