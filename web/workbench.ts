// What the page can do, apart from how it looks: conversations, branches, answers. Holds the state as signals. The server keeps it all
// and writes the answers; here they are asked for and followed, several at once, and a change by another tab is taken over as the
// live stream tells of it. A request that failed keeps what was written, marked as failed, and can be sent again.
import type { FileOverflow } from "../src/server/api-types.ts";
import { ApiError } from "./api.ts";
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
  type TemperatureChoice,
  titleFrom,
} from "./conversation.ts";
import { EngineWatch } from "./engine-watch.ts";
import { HeadChanges } from "./head-changes.ts";
import { LiveAnswer, messageError } from "./live-answer.ts";
import { preferences } from "./preferences.ts";
import { SharedPreferences } from "./shared-preferences.ts";
import { Signal } from "./signal.ts";
import type { HeadChange, ServerStore } from "./store-server.ts";
import { TemplateShelf } from "./templates.ts";
import { TokenCounter } from "./token-count.ts";

/** The conversation in view. The server gets it with its first message. */
export interface OpenConversation {
  head: ConversationHead;
  messages: Messages;
}

export interface Draft {
  text: string;
  attachments: readonly Attachment[];
  /** How documents that are too long go along. */
  fileOverflow?: FileOverflow;
  /** What a new conversation is called, where the text itself would make a poor title. */
  title?: string;
  /** What a template recommends, for conversations on "auto". */
  temperatureChoice?: TemperatureChoice;
  /** The system prompt of a conversation that begins with this. */
  system?: string;
  isSlimmed?: boolean;
}

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
  readonly templates = new TemplateShelf();
  /** Questions to ask next, below the answer that ends the branch. */
  readonly suggestions = new Signal<{ leafId: string; texts: readonly string[] } | undefined>(undefined);
  readonly store: ServerStore;
  /** Conversations whose title is the beginning of their question, until the model has found a better one. */
  readonly #unnamed = new Set<string>();
  /** Conversations with a running or an unsent answer stay in memory, wherever the reader goes. */
  readonly #loaded = new Map<string, OpenConversation>();
  /** How to send again what the server did not take, by the id of the answer. */
  readonly #unsent = new Map<string, () => Promise<Message>>();
  readonly #changes: HeadChanges;
  #known = new Set<string>();
  #revision = -1;

  constructor(store: ServerStore) {
    this.store = store;
    this.#changes = new HeadChanges(store);
    this.open = new Signal(this.#blank());
    this.engine.revision.subscribe(() => void this.guard(() => this.#takeOver(this.engine.revision.value)));
  }

  start(): void {
    this.engine.start();
    const shared = new SharedPreferences(this.store);
    this.engine.reached.subscribe(() => {
      this.#loadTemplates();
      void this.guard(async () => {
        const before = preferences.value.newChatSettings;
        await shared.load();
        const { head } = this.open.value;
        const { newChatSettings: settings } = preferences.value;
        // A chat that nobody has touched begins with what the server has.
        const isUntouched = head.leafId === undefined && head.settings === before && !this.#known.has(head.id);
        if (isUntouched) this.open.value = { ...this.open.value, head: { ...head, settings } };
      });
    });
    let { language } = preferences.value;
    preferences.subscribe(() => {
      void this.guard(() => shared.keep());
      if (preferences.value.language === language) return;
      language = preferences.value.language;
      this.#loadTemplates();
    });
    addEventListener("beforeunload", (event) => {
      // What the server did not take lives in this tab only.
      if (this.#unsent.size > 0) event.preventDefault();
    });
  }

  startConversation(): void {
    const { head } = this.open.value;
    // An untouched new chat is already what is wanted.
    if (head.leafId !== undefined || this.#known.has(head.id)) this.open.value = this.#blank();
  }

  async openConversation(id: string, leafThrough?: string): Promise<void> {
    await this.guard(async () => {
      const loaded = this.#loaded.get(id) ?? (await this.#read(id));
      const { head, messages } = loaded;
      const isShown =
        leafThrough === undefined || pathTo(messages, head.leafId).some(({ id: at }) => at === leafThrough);
      const shown = isShown ? head : { ...head, leafId: newestLeafBelow(messages, leafThrough) };
      this.wanted.value = leafThrough;
      this.open.value = { head: shown, messages };
      this.#followRunning(loaded);
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
    const { parentId } = answer;
    if (parentId === undefined) return;
    const { head } = this.open.value;
    const next = this.#newAnswer(head.id, parentId);
    await this.#run(this.#put(this.open.value, [next]), next, async () => {
      await this.#changes.settled(head.id);
      return this.store.answer(head.id, { id: next.id, parentId });
    });
  }

  /** Goes on where an answer was stopped or met its limit. */
  async continueAnswer(answer: Message): Promise<void> {
    await this.#again(answer, () => this.store.answer(answer.conversationId, { continueId: answer.id }));
  }

  /** Asks again: in place of an answer that failed before its first word, else as another version, so that its words stay. */
  async retry(answer: Message): Promise<void> {
    const unsent = this.#unsent.get(answer.id);
    if (unsent !== undefined) return this.#again(answer, unsent);
    if (answer.text !== "") return this.regenerate(answer);
    await this.#again(answer, () => this.store.answer(answer.conversationId, { retryId: answer.id }));
  }

  stop(): void {
    for (const answer of this.answers.value.values()) {
      if (answer.conversationId === this.open.value.head.id) void this.guard(() => answer.stop());
    }
  }

  async showVersion(message: Message): Promise<void> {
    const { head, messages } = this.open.value;
    await this.changeHead(head.id, { leafId: newestLeafBelow(messages, message.id) });
  }

  async changeHead(id: string, change: HeadChange): Promise<void> {
    await this.guard(async () => {
      const isOpen = this.open.value.head.id === id;
      const loaded = this.#loaded.get(id);
      if (loaded !== undefined) this.#loaded.set(id, { ...loaded, head: { ...loaded.head, ...change } });
      if (isOpen) this.open.value = { ...this.open.value, head: { ...this.open.value.head, ...change } };
      if (!this.#known.has(id)) return;
      this.heads.value = this.heads.value.map((head) => (head.id === id ? { ...head, ...change } : head));
      await this.#changes.send(id, change);
      await this.#refreshHeads();
    });
  }

  async remove(id: string): Promise<void> {
    await this.guard(async () => {
      if (this.#known.has(id)) await this.store.remove(id);
      if (this.open.value.head.id === id) this.open.value = this.#blank();
      await this.#refreshHeads();
    });
  }

  async restore(id: string): Promise<void> {
    await this.guard(async () => {
      await this.store.restore(id);
      await this.#refreshHeads();
      await this.openConversation(id);
    });
  }

  /** Resolves when the server has all changes of a conversation. */
  settled(id: string): Promise<void> {
    return this.#changes.settled(id);
  }

  /** The server has it; a new one lives here until its first message. */
  isStored(id: string): boolean {
    return this.#known.has(id);
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
    const { text, attachments, isSlimmed = false, system, fileOverflow } = draft;
    // The demonstration model is good at its own temperature only.
    const isDemonstration = this.engine.view.value.status?.model.isDemonstration;
    const temperatureChoice = isDemonstration ? undefined : draft.temperatureChoice;
    const { head } = conversation;
    const question: Message = {
      id: newId(),
      conversationId: head.id,
      ...(parentId === undefined ? {} : { parentId }),
      role: "user",
      text,
      attachments,
      createdAt: Date.now(),
      state: "complete",
      ...(isSlimmed ? { isSlimmed } : {}),
      ...(fileOverflow === undefined ? {} : { fileOverflow }),
    };
    const answer = this.#newAnswer(head.id, question.id);
    const isNew = !this.#known.has(head.id);
    const isOwnSystem = !isNew || system === undefined || head.settings.systemPrompt.trim() !== "";
    const settings = isOwnSystem ? head.settings : { ...head.settings, systemPrompt: system };
    const title = head.title || draft.title || titleFrom(text, attachments);
    if (isNew && !head.title && !draft.title) this.#unnamed.add(head.id);
    const asked = this.#put({ ...conversation, head: { ...head, title, settings } }, [question, answer]);
    await this.#run(asked, answer, async () => {
      if (!this.#known.has(head.id)) await this.store.create(asked.head);
      this.#known.add(head.id);
      await this.#changes.settled(head.id);
      return this.store.ask(head.id, {
        id: question.id,
        parentId: parentId ?? null,
        text,
        attachments,
        isSlimmed,
        ...(fileOverflow === undefined ? {} : { fileOverflow }),
        answer: { id: answer.id, ...(temperatureChoice === undefined ? {} : { temperatureChoice }) },
      });
    });
  }

  #newAnswer(conversationId: string, parentId: string): Message {
    const model = this.engine.view.value.status?.model.id;
    return {
      id: newId(),
      conversationId,
      parentId,
      role: "assistant",
      text: "",
      attachments: [],
      createdAt: Date.now(),
      state: "streaming",
      ...(model === undefined ? {} : { model }),
    };
  }

  /** The same answer once more: what is wrong with it goes, its text stays. */
  async #again(answer: Message, begin: () => Promise<Message>): Promise<void> {
    const { error: _error, stats: _stats, ...kept } = answer;
    const next: Message = { ...kept, state: "streaming" };
    await this.#run(this.#put(this.open.value, [next]), next, begin);
  }

  /** Follows an answer to its end; `begin` asks for it, absent when it runs already. */
  async #run(conversation: OpenConversation, answer: Message, begin?: () => Promise<Message>): Promise<void> {
    const { head } = conversation;
    const running = new LiveAnswer(this.store, { conversationId: head.id, messageId: answer.id }, answer.text);
    this.answers.value = new Map(this.answers.value).set(answer.id, running);
    let isTaken = begin === undefined;
    let done: Message;
    try {
      done = await running.run(
        begin &&
          (async () => {
            const begun = await begin();
            isTaken = true;
            this.#unsent.delete(answer.id);
            await this.#refreshHeads();
            return begun;
          }),
      );
    } catch (error) {
      if (begin !== undefined && !isTaken) this.#unsent.set(answer.id, begin);
      done = { ...answer, text: running.text, state: "failed", error: messageError(error) };
    }
    this.#put(this.#loaded.get(head.id) ?? conversation, [done], { isLeaf: false });
    const others = new Map(this.answers.value);
    others.delete(answer.id);
    this.answers.value = others;
    this.#letGo(head.id);
    if (!isTaken) return;
    await this.guard(() => this.#refreshHeads());
    if (done.state === "complete" && begin !== undefined) await this.#afterAnswer(done);
  }

  /** A title and follow-up questions, when nobody waits for anything. They give way to whatever comes, and failing costs nothing. */
  async #afterAnswer({ id, conversationId }: Message): Promise<void> {
    const { language, hasSuggestions } = preferences.value;
    if (this.engine.view.value.status?.model.isDemonstration !== false || this.answers.value.size > 0) return;
    try {
      if (this.#unnamed.delete(conversationId)) {
        const { title } = await this.store.nameIt(conversationId, language);
        const { head } = this.open.value;
        if (head.id === conversationId) this.open.value = { ...this.open.value, head: { ...head, title } };
        await this.#refreshHeads();
      }
      const isShown = (): boolean => this.open.value.head.leafId === id && this.answers.value.size === 0;
      if (!hasSuggestions || !isShown()) return;
      const texts = await this.store.followUps(conversationId, language);
      if (isShown()) this.suggestions.value = { leafId: id, texts };
    } catch (error) {
      if (!(error instanceof ApiError)) throw error;
    }
  }

  #loadTemplates(): void {
    void this.guard(() => this.templates.load(preferences.value.language));
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

  async #read(id: string): Promise<OpenConversation> {
    const { head, messages } = await this.store.read(id);
    return { head, messages: new Map(messages.map((message) => [message.id, message])) };
  }

  /** Answers that were begun elsewhere, or before a reload, are followed from where they are. */
  #followRunning(conversation: OpenConversation): void {
    for (const message of conversation.messages.values()) {
      if (message.state !== "streaming" || this.answers.value.has(message.id)) continue;
      this.#loaded.set(conversation.head.id, conversation);
      void this.#run(conversation, message);
    }
  }

  /** Somebody changed something: the list is read again, and what is in view unless this tab is writing it. */
  async #takeOver(revision: number): Promise<void> {
    if (revision === this.#revision) return;
    this.#revision = revision;
    await this.#refreshHeads();
    const { head } = this.open.value;
    const listed = this.heads.value.find((each) => each.id === head.id);
    // What was read while a change of ours was on its way does not have it; the change brings another revision when it is in.
    const isOurs = (): boolean => this.#loaded.has(head.id) || this.#changes.isPending(head.id);
    const before = this.#changes.count;
    if (listed === undefined || isOurs()) return;
    const read = await this.#read(head.id);
    if (this.open.value.head.id !== head.id || isOurs() || this.#changes.count !== before) return;
    this.open.value = read;
    this.#followRunning(read);
  }

  #letGo(conversationId: string): void {
    const isRunning = [...this.answers.value.values()].some((answer) => answer.conversationId === conversationId);
    const messages = this.#loaded.get(conversationId)?.messages;
    const isUnsent = [...this.#unsent.keys()].some((id) => messages?.has(id));
    if (!isRunning && !isUnsent) this.#loaded.delete(conversationId);
  }

  async #refreshHeads(): Promise<void> {
    const heads = await this.store.list();
    this.#known = new Set(heads.map(({ id }) => id));
    this.heads.value = heads;
  }

  /** Runs work whose failure the page shows above the conversation; one that was called off is none. */
  async guard(work: () => Promise<unknown>, signal?: AbortSignal): Promise<void> {
    try {
      await work();
    } catch (error) {
      if (signal?.aborted) return;
      this.failure.value = { ...messageError(error), code: "storage" };
    }
  }
}
