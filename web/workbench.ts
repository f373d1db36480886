// What the page can do, apart from how it looks: conversations, branches, answers. Holds the state as signals, writes every
// change to the store before it counts as kept, and reports a write that failed. Answers of several conversations may run at
// once; leaving a conversation does not stop them.
import { heldAnswers, holdAnswer } from "./answer-lock.ts";
import type { ChatRequest } from "./api.ts";
import {
  type Attachment,
  type ChatSettings,
  type ConversationHead,
  type Message,
  type MessageError,
  type Messages,
  newestLeafBelow,
  newId,
  pathTo,
  temperatureOf,
  titleFrom,
} from "./conversation.ts";
import { EngineWatch } from "./engine-watch.ts";
import { LiveAnswer, messageError } from "./live-answer.ts";
import { preferences } from "./preferences.ts";
import { apiMessages } from "./prompt.ts";
import { Signal } from "./signal.ts";
import type { Store } from "./store.ts";
import { TokenCounter } from "./token-count.ts";

/** The conversation in view. It is written to the store with its first message. */
export interface OpenConversation {
  head: ConversationHead;
  messages: Messages;
}

export interface Draft {
  text: string;
  attachments: readonly Attachment[];
  /** What a new conversation is called, where the text itself would make a poor title. */
  title?: string;
  /** What a template recommends, for conversations on "auto". */
  temperature?: number;
}

const savedEveryMs = 1000;
const noMessages: Messages = new Map();

export class Workbench {
  readonly heads = new Signal<readonly ConversationHead[]>([]);
  readonly open: Signal<OpenConversation>;
  /** Running answers by the id of their message. */
  readonly answers = new Signal<ReadonlyMap<string, LiveAnswer>>(new Map());
  /** A message to be brought into view: where a search found its words. */
  readonly wanted = new Signal<string | undefined>(undefined);
  readonly failure = new Signal<MessageError | undefined>(undefined);
  readonly engine = new EngineWatch();
  readonly counter = new TokenCounter();
  readonly store: Store;
  /** When a conversation was removed: an answer that was running then must not bring it back as it is saved. */
  readonly #removedAt = new Map<string, number>();
  /** Conversations with a running answer stay in memory, wherever the reader goes. */
  readonly #loaded = new Map<string, OpenConversation>();

  constructor(store: Store) {
    this.store = store;
    this.open = new Signal(this.#blank());
    store.subscribe(() => void this.#guard(() => this.#follow()));
  }

  async start(): Promise<void> {
    this.engine.start();
    await this.#guard(async () => {
      await this.store.purge(Date.now() - 3_600_000);
      await this.#refreshHeads();
    });
  }

  startConversation(): void {
    const { head } = this.open.value;
    // An untouched new chat is already what is wanted.
    if (head.leafId !== undefined || this.heads.value.some((each) => each.id === head.id))
      this.open.value = this.#blank();
  }

  async openConversation(id: string, leafThrough?: string): Promise<void> {
    await this.#guard(async () => {
      const head = this.heads.value.find((each) => each.id === id);
      if (head === undefined) return;
      const loaded = this.#loaded.get(id) ?? { head, messages: byId(await this.store.messages(id)) };
      const isShown =
        leafThrough === undefined || pathTo(loaded.messages, head.leafId).some(({ id: at }) => at === leafThrough);
      const shown = isShown ? loaded.head : { ...head, leafId: newestLeafBelow(loaded.messages, leafThrough) };
      const messages = await this.#closeInterrupted(loaded.messages);
      this.wanted.value = leafThrough;
      this.open.value = { head: shown, messages };
    });
  }

  /** Adds the question to the shown branch and answers it. */
  async send(draft: Draft): Promise<void> {
    await this.#ask(this.open.value, this.open.value.head.leafId, draft);
  }

  /** A new version of a question, with its own answer; the old branch stays. */
  async sendEdited(message: Message, draft: Draft): Promise<void> {
    await this.#ask(this.open.value, message.parentId, draft);
  }

  /** Another answer to the same question. */
  async regenerate(answer: Message): Promise<void> {
    await this.#answer(this.open.value, answer.parentId);
  }

  /** Goes on where an answer was stopped or met its limit. */
  async continueAnswer(answer: Message): Promise<void> {
    await this.#run(this.open.value, { ...answer, state: "streaming" }, {});
  }

  /** Asks again: in place of an answer that failed before its first word, else as another version, so that its words stay. */
  async retry(answer: Message): Promise<void> {
    if (answer.text !== "") return this.regenerate(answer);
    const { error: _error, stats: _stats, ...kept } = answer;
    await this.#run(this.open.value, { ...kept, text: "", state: "streaming" }, {});
  }

  stop(): void {
    for (const answer of this.answers.value.values()) {
      if (answer.conversationId === this.open.value.head.id) answer.stop();
    }
  }

  async showVersion(message: Message): Promise<void> {
    const { head, messages } = this.open.value;
    await this.changeHead(head.id, { leafId: newestLeafBelow(messages, message.id) });
  }

  async changeHead(id: string, change: Partial<ConversationHead>): Promise<void> {
    await this.#guard(async () => {
      const isOpen = this.open.value.head.id === id;
      const known = isOpen ? this.open.value.head : this.heads.value.find((each) => each.id === id);
      if (known === undefined) return;
      const head = { ...known, ...change };
      const loaded = this.#loaded.get(id);
      if (loaded !== undefined) this.#loaded.set(id, { ...loaded, head });
      if (isOpen) this.open.value = { ...this.open.value, head };
      if (!this.heads.value.some((each) => each.id === id)) return;
      await this.store.save(head);
      await this.#refreshHeads();
    });
  }

  async remove(id: string): Promise<void> {
    await this.#guard(async () => {
      for (const answer of this.answers.value.values()) if (answer.conversationId === id) answer.stop();
      this.#removedAt.set(id, Date.now());
      await this.store.remove(id);
      if (this.open.value.head.id === id) this.open.value = this.#blank();
      await this.#refreshHeads();
    });
  }

  async restore(id: string): Promise<void> {
    await this.#guard(async () => {
      this.#removedAt.delete(id);
      await this.store.restore(id);
      await this.#refreshHeads();
      await this.openConversation(id);
    });
  }

  settingsChanged(change: Partial<ChatSettings>): void {
    const { head } = this.open.value;
    void this.changeHead(head.id, { settings: { ...head.settings, ...change } });
  }

  #blank(): OpenConversation {
    const now = Date.now();
    const head: ConversationHead = {
      id: newId(),
      title: "",
      isPinned: false,
      createdAt: now,
      updatedAt: now,
      settings: preferences.value.newChatSettings,
      leftOutIds: [],
    };
    return { head, messages: noMessages };
  }

  async #ask(conversation: OpenConversation, parentId: string | undefined, draft: Draft): Promise<void> {
    const { head } = conversation;
    const question: Message = {
      id: newId(),
      conversationId: head.id,
      ...(parentId === undefined ? {} : { parentId }),
      role: "user",
      text: draft.text,
      attachments: draft.attachments,
      createdAt: Date.now(),
      state: "complete",
    };
    const title = head.title || draft.title || titleFrom(draft.text, draft.attachments);
    const asked = this.#put({ ...conversation, head: { ...head, title } }, [question]);
    await this.#answer(asked, question.id, draft.temperature === undefined ? {} : { temperature: draft.temperature }, [
      question,
    ]);
  }

  async #answer(
    conversation: OpenConversation,
    parentId: string | undefined,
    sampling: { temperature?: number } = {},
    unsaved: readonly Message[] = [],
  ): Promise<void> {
    if (parentId === undefined) return;
    const model = this.engine.view.value.status?.model.id;
    const answer: Message = {
      id: newId(),
      conversationId: conversation.head.id,
      parentId,
      role: "assistant",
      text: "",
      attachments: [],
      createdAt: Date.now(),
      state: "streaming",
      ...(model === undefined ? {} : { model }),
    };
    await this.#run(conversation, answer, sampling, unsaved);
  }

  async #run(
    conversation: OpenConversation,
    answer: Message,
    sampling: { temperature?: number },
    unsaved: readonly Message[] = [],
  ): Promise<void> {
    const started = this.#put(conversation, [answer]);
    const { head } = started;
    const path = pathTo(started.messages, answer.id);
    const running = new LiveAnswer({ conversationId: head.id, messageId: answer.id }, answer.text);
    this.answers.value = new Map(this.answers.value).set(answer.id, running);
    const release = holdAnswer(answer.id);
    const leave = running.live.subscribe(() => this.engine.showAnswer(answer.id, running.live.value));
    await this.#guard(async () => {
      await this.#save(head, [...unsaved, answer]);
      await this.#refreshHeads();
    });
    const saving = setInterval(() => {
      const now = { ...answer, text: running.live.value.text };
      void this.#guard(() => this.#save(this.#headOf(head), [now]));
    }, savedEveryMs);
    const finished = await running.run(this.#request(head, path, sampling));
    clearInterval(saving);
    leave();
    if (finished.stats !== undefined) this.engine.showAnswer(answer.id, finished.stats);
    const { error: _, ...plain } = answer;
    const done: Message = { ...plain, ...finished };
    const latest = this.#loaded.get(head.id) ?? started;
    const kept = this.#put(latest, [done], { isLeaf: false });
    const others = new Map(this.answers.value);
    others.delete(answer.id);
    this.answers.value = others;
    if (![...others.values()].some(({ conversationId }) => conversationId === head.id)) this.#loaded.delete(head.id);
    this.engine.refresh();
    await this.#guard(async () => {
      await this.#save(kept.head, [done]);
      await this.#refreshHeads();
    });
    release();
  }

  #request(head: ConversationHead, path: readonly Message[], sampling: { temperature?: number }): ChatRequest {
    const { settings, leftOutIds } = head;
    const temperature = temperatureOf(settings) ?? sampling.temperature;
    return {
      model: this.engine.view.value.status?.model.id ?? "default",
      messages: apiMessages(path, { systemPrompt: settings.systemPrompt, leftOutIds }),
      ...(temperature === undefined ? {} : { temperature }),
      ...(settings.topP === undefined ? {} : { top_p: settings.topP }),
      ...(settings.topK === undefined ? {} : { top_k: settings.topK }),
      ...(settings.minP === undefined ? {} : { min_p: settings.minP }),
      ...(settings.seed === undefined ? {} : { seed: settings.seed }),
      ...(settings.maxTokens === undefined ? {} : { max_tokens: settings.maxTokens }),
    };
  }

  /** Adds messages to a conversation in memory; the last becomes the leaf unless another branch may be in view by now. */
  #put(conversation: OpenConversation, changed: readonly Message[], { isLeaf = true } = {}): OpenConversation {
    const messages = new Map(conversation.messages);
    for (const message of changed) messages.set(message.id, message);
    const leafId = isLeaf ? changed.at(-1)?.id : conversation.head.leafId;
    const head = { ...conversation.head, updatedAt: Date.now(), ...(leafId === undefined ? {} : { leafId }) };
    const next = { head, messages };
    this.#loaded.set(head.id, next);
    if (this.open.value.head.id === head.id) this.open.value = next;
    return next;
  }

  /** Another tab changed something: the list, and what is in view unless this tab is writing it. */
  async #follow(): Promise<void> {
    await this.#refreshHeads();
    const { id } = this.open.value.head;
    const head = this.heads.value.find((each) => each.id === id);
    if (head === undefined || this.#loaded.has(id)) return;
    const messages = await this.#closeInterrupted(byId(await this.store.messages(id)));
    if (this.open.value.head.id === id && !this.#loaded.has(id)) this.open.value = { head, messages };
  }

  /** A stored answer that still says `streaming` and that no tab is writing was cut off with its page. */
  async #closeInterrupted(messages: Messages): Promise<Messages> {
    const held = await heldAnswers();
    const open = [...messages.values()].filter(
      ({ id, state }) => state === "streaming" && !this.answers.value.has(id) && !held.has(id),
    );
    if (open.length === 0) return messages;
    const closed = new Map(messages);
    for (const message of open) closed.set(message.id, { ...message, state: "failed", error: interrupted });
    return closed;
  }

  #headOf(head: ConversationHead): ConversationHead {
    return this.#loaded.get(head.id)?.head ?? head;
  }

  async #save(head: ConversationHead, messages: readonly Message[]): Promise<void> {
    const deletedAt = this.#removedAt.get(head.id);
    await this.store.save(deletedAt === undefined ? head : { ...head, deletedAt }, messages);
  }

  async #refreshHeads(): Promise<void> {
    this.heads.value = await this.store.list();
  }

  async #guard(work: () => Promise<void>): Promise<void> {
    try {
      await work();
    } catch (error) {
      this.failure.value = { ...messageError(error), code: "storage" };
    }
  }
}

const interrupted: MessageError = { code: "interrupted", message: "" };

function byId(messages: readonly Message[]): Messages {
  return new Map(messages.map((message) => [message.id, message]));
}
