// The part of the preferences that belongs to the person and not to this browser: settings of new chats, and what happens while one
// writes. The server keeps it, so another browser starts the same; language and theme stay with the browser, which needs them before the
// first paint.
import { type Preferences, preferences, setPreferences } from "./preferences.ts";
import type { ServerStore } from "./store-server.ts";

const shared = ["newChatSettings", "isDraftPrefilled", "isSlimming", "hasSuggestions"] as const;
const name = "page";

type Shared = Partial<Pick<Preferences, (typeof shared)[number]>>;

const partOf = (all: Shared): Shared =>
  Object.fromEntries(shared.flatMap((key) => (key in all ? [[key, all[key]]] : [])));

export class SharedPreferences {
  readonly #store: ServerStore;
  /** As the server has it; nothing until it was asked. */
  #told: string | undefined;

  constructor(store: ServerStore) {
    this.#store = store;
  }

  /** Takes over what the server has. */
  async load(): Promise<void> {
    const kept = (await this.#store.settings())[name];
    const isKept = typeof kept === "object" && kept !== null;
    this.#told = JSON.stringify(partOf(isKept ? { ...preferences.value, ...kept } : preferences.value));
    if (isKept) setPreferences(partOf(kept as Shared));
  }

  /** Sends what was changed here since. */
  async keep(): Promise<void> {
    const now = JSON.stringify(partOf(preferences.value));
    if (this.#told === undefined || now === this.#told) return;
    this.#told = now;
    await this.#store.changeSettings({ [name]: JSON.parse(now) });
  }
}
