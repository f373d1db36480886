// Facts -> text, sentence by sentence. Each sentence of the model is checked as soon as it is complete and only then handed out; one
// that fails is rewritten once, and if that fails too a sentence made from the facts takes its place. The numbers of the text are
// therefore always those of the facts, whatever the model says.
import { randomUUID } from "node:crypto";
import { AppError, toAppError } from "../base/errors.ts";
import type { Engine, Prompt } from "../engine/contract.ts";
import { plainSampling } from "../engine/contract.ts";
import { type ChatMessage, openChatTemplate } from "../models/chat-template.ts";
import { type CheckContext, type Citation, checkSentence, type NumberFault } from "./check-numbers.ts";
import { type DemonstrationTask, demonstrationTask } from "./demonstration-task.ts";
import type { Fact } from "./facts.ts";
import { type NarrationTask, narrationMessages, rewriteMessages } from "./narration-prompt.ts";
import { SentenceCutter } from "./sentences.ts";
import type { Words } from "./words.ts";

export interface Sentence {
  text: string;
  /** Who worded it: the model, the model on its second try, or the facts themselves. */
  source: "model" | "rewritten" | "template";
  citations: readonly Citation[];
  /** What the model had said, when it was not kept, and why. */
  rejected?: { text: string; faults: readonly NumberFault[] };
}

export interface NarrationReport {
  sentences: number;
  rewritten: number;
  replaced: number;
  /** Sentences with faults for which no fact was left to stand in. */
  dropped: number;
  /** Why the model's text is missing or cut short. */
  failure?: { code: string; message: string };
  /** Said to the reader where the model was not asked. */
  note?: Words;
}

export type NarrationEvent = { type: "sentence"; sentence: Sentence } | { type: "narrated"; report: NarrationReport };

export interface NarrateOptions extends NarrationTask {
  context: CheckContext;
  engine: Engine | undefined;
  renderChat: ((messages: readonly ChatMessage[]) => Prompt) | undefined;
  signal: AbortSignal | undefined;
}

const answerTokens = 420;
const rewriteTokens = 160;
/** The most sentences a narration may have; models that loop are stopped here. */
const sentenceLimit = 12;

export async function* narrate(options: NarrateOptions): AsyncGenerator<NarrationEvent> {
  const { engine, facts, context, signal } = options;
  const report: NarrationReport = { sentences: 0, rewritten: 0, replaced: 0, dropped: 0 };
  const told = new Set<string>();
  const accept = (sentence: Sentence): NarrationEvent => {
    report.sentences++;
    for (const { factId } of sentence.citations) told.add(factId);
    return { type: "sentence", sentence };
  };
  if (engine !== undefined) {
    const isDemonstration = engine.status().model.isDemonstration;
    const demonstration = isDemonstration ? demonstrationTask(options) : undefined;
    const messages = isDemonstration ? demonstration?.messages : narrationMessages(options);
    if (messages === undefined) report.note = demonstrationNote;
    const said = new Set<string>();
    try {
      for await (const text of messages === undefined
        ? []
        : sentencesOf(engine, messages, { ...options, maxTokens: answerTokens })) {
        const clean = plain(text);
        if (!/\p{L}/u.test(clean) || said.has(clean)) continue;
        said.add(clean);
        const sentence = await settle(clean, { ...options, engine, demonstration, told });
        if (sentence === undefined) report.dropped++;
        else {
          if (sentence.source === "rewritten") report.rewritten++;
          if (sentence.source === "template") report.replaced++;
          yield accept(sentence);
        }
        if (report.sentences >= sentenceLimit) break;
      }
    } catch (error) {
      if (signal?.aborted) throw error;
      const { code, message } = toAppError(error);
      report.failure = { code, message };
    }
  }
  // Without a model, after a failure, or when the text leaves the main figure out, the facts speak for themselves.
  for (const fact of report.sentences === 0
    ? essential(facts)
    : told.has(facts[0]?.id ?? "")
      ? []
      : facts.slice(0, 1)) {
    yield accept(fromFact(fact, context));
  }
  yield { type: "narrated", report };
}

const demonstrationNote: Words = {
  zh: "演示模型只会叙述归因，这里的文字由计算出的事实直接写成。",
  en: "The demonstration model can word attributions only; these sentences are written straight from the computed facts.",
};

/** The whole, the largest parts, and whatever pulls the other way. */
function essential(facts: readonly Fact[]): Fact[] {
  return facts.slice(0, 6);
}

interface SettleOptions extends NarrateOptions {
  engine: Engine;
  demonstration: DemonstrationTask | undefined;
  told: ReadonlySet<string>;
}

async function settle(text: string, options: SettleOptions): Promise<Sentence | undefined> {
  const { context, facts, told, demonstration } = options;
  const first = checkSentence(text, context);
  if (demonstration?.readsWell(text) === false) first.faults.push({ text, reason: "unreadable" });
  if (first.faults.length === 0)
    return demonstration === undefined
      ? { text, source: "model", citations: first.citations }
      : withUnits(text, first.citations, { facts, context });
  const rejected = { text, faults: first.faults };
  const again = await rewritten(text, first.faults, options);
  if (again !== undefined) {
    const second = checkSentence(again, context);
    if (second.faults.length === 0 && second.citations.length > 0)
      return { text: again, source: "rewritten", citations: second.citations, rejected };
  }
  const fact = standIn(text, facts, told);
  return fact === undefined ? undefined : { ...fromFact(fact, context), rejected };
}

async function rewritten(
  sentence: string,
  faults: readonly NumberFault[],
  options: SettleOptions,
): Promise<string | undefined> {
  // quern-mini knows no rewriting: asked again in its own wording it would say the same.
  if (options.demonstration !== undefined) return undefined;
  const messages = rewriteMessages(options, { sentence, numbers: faults.map(({ text }) => text) });
  for await (const text of sentencesOf(options.engine, messages, { ...options, maxTokens: rewriteTokens })) {
    const clean = plain(text);
    if (clean !== "") return clean;
  }
  return undefined;
}

/** quern-mini is given plain digits in English; each is written as its fact writes it: 6270000 becomes $6.27 million. */
function withUnits(
  text: string,
  citations: readonly Citation[],
  { facts, context }: { facts: readonly Fact[]; context: CheckContext },
): Sentence {
  let written = text;
  for (const { start, end, factId, numberIndex } of citations.toSorted((a, b) => b.start - a.start)) {
    const number = facts.find(({ id }) => id === factId)?.numbers[numberIndex];
    if (number !== undefined && (number.role === "current" || number.role === "previous"))
      written = written.slice(0, start) + number.text + written.slice(end);
  }
  const again = checkSentence(written, context);
  return again.faults.length === 0
    ? { text: written, source: "model", citations: again.citations }
    : { text, source: "model", citations };
}

/** The fact the sentence was about and that has not been told: by the name in it, else the next in order. */
function standIn(text: string, facts: readonly Fact[], told: ReadonlySet<string>): Fact | undefined {
  const untold = essential(facts).filter((fact) => !told.has(fact.id));
  return untold.find((fact) => fact.subject !== "" && text.includes(fact.subject)) ?? untold[0];
}

function fromFact(fact: Fact, context: CheckContext): Sentence {
  const { citations } = checkSentence(fact.sentence, context);
  // The sentence is the fact, so its numbers are cited as the fact's own even where names in it confuse the reader.
  const own =
    citations.length > 0 ? citations : [{ start: 0, end: fact.sentence.length, factId: fact.id, numberIndex: 0 }];
  return { text: fact.sentence, source: "template", citations: own };
}

/** Marks of Markdown do not survive: the text goes into slides and plain posts. */
function plain(text: string): string {
  return text
    .replace(/\*\*|__|`/g, "")
    .replace(/^\s*(?:[-*•]|#{1,6})\s+/, "")
    .trim();
}

async function* sentencesOf(
  engine: Engine,
  messages: readonly ChatMessage[],
  {
    maxTokens,
    renderChat,
    signal,
  }: { maxTokens: number; renderChat: NarrateOptions["renderChat"]; signal: AbortSignal | undefined },
): AsyncGenerator<string> {
  const prompt = renderChat === undefined ? renderWithOwnTemplate(engine, messages) : renderChat(messages);
  const cutter = new SentenceCutter();
  const request = { id: `narrate-${randomUUID()}`, prompt, sampling: { ...plainSampling, temperature: 0 }, maxTokens };
  for await (const event of engine.generate(request, signal === undefined ? {} : { signal })) {
    if (event.type === "tokens") yield* cutter.push(event.text);
    else if (event.type === "done") {
      if (event.reason === "aborted") throw signal?.reason ?? new AppError("internal", "The narration was aborted.");
      // A text cut off by the limit ends in half a sentence, which says nothing that can be checked.
      if (event.reason !== "length") yield* cutter.finish();
    }
  }
}

const chatMarks = ["<|im_start|>", "<|im_end|>", "<|endoftext|>"].map((text) => ({ text, isControl: true }));

export function renderWithOwnTemplate(engine: Engine, messages: readonly ChatMessage[]): Prompt {
  const template = openChatTemplate(engine.status().model.chatTemplate, { specialTokens: chatMarks });
  return { kind: "text", pieces: template.render({ messages }) };
}
