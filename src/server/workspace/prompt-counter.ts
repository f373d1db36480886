// Counts tokens by part without counting a text twice: a long conversation is counted once, and each draft only adds its own. A message's
// share is its text and what the template puts around it, which is measured on the template itself.
import type { Api } from "../api.ts";

const keptCounts = 5000;

const roles = ["system", "user", "assistant", "tool"] as const;
type Role = (typeof roles)[number];

export interface Framing {
  /** Around each message: its role and its end. */
  around: Record<Role, number>;
  /** What opens the answer. */
  opening: number;
}

export class PromptCounter {
  readonly #counts = new Map<string, number>();
  #framing: { modelId: string; framing: Framing } | undefined;

  /** Tokens of a text. `key` names a text that does not change, such as a stored message's. */
  async count(api: Api, text: string, key?: string): Promise<number> {
    if (text === "") return 0;
    const full = key === undefined ? undefined : `${api.engine.status().model.id} ${key}`;
    const known = full === undefined ? undefined : this.#counts.get(full);
    if (known !== undefined) return known;
    const { length } = await api.engine.tokenize(text);
    if (full !== undefined) this.#keep(full, length);
    return length;
  }

  async framing(api: Api): Promise<Framing> {
    const modelId = api.engine.status().model.id;
    if (this.#framing?.modelId === modelId) return this.#framing.framing;
    const sizeOf = async (messages: { role: "user"; content: string }[], addGenerationPrompt: boolean) => {
      const pieces = api.template.render({ messages, addGenerationPrompt });
      const lists = await Promise.all(pieces.map((piece) => api.engine.tokenize(piece, { special: true })));
      return lists.flat().length;
    };
    const one = { role: "user" as const, content: "x" };
    const [single, double, opened, text] = await Promise.all([
      sizeOf([one], false),
      sizeOf([one, one], false),
      sizeOf([one], true),
      this.count(api, "x"),
    ]);
    const [names, user] = await Promise.all([
      Promise.all(roles.map(async (role) => [role, await this.count(api, role)] as const)),
      this.count(api, "user"),
    ]);
    // The marks are the same for each role; its name is what differs.
    const marks = double - single - text - user;
    const around = Object.fromEntries(names.map(([role, tokens]) => [role, marks + tokens])) as Framing["around"];
    const framing = { around, opening: opened - single };
    this.#framing = { modelId, framing };
    return framing;
  }

  #keep(key: string, tokens: number): void {
    const oldest = this.#counts.keys().next().value;
    if (this.#counts.size >= keptCounts && oldest !== undefined) this.#counts.delete(oldest);
    this.#counts.set(key, tokens);
  }
}
