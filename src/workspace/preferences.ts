// What the people of this workspace chose: defaults of new conversations, language, theme, switches. Each is a JSON value under a name;
// the page owns their meaning, the workspace keeps and audits them.
import { AppError } from "../base/errors.ts";
import type { Store } from "./store.ts";

const namePattern = /^[a-zA-Z][\w.-]{0,63}$/;
const mostCharacters = 64 * 1024;

export class Preferences {
  readonly #store: Store;

  constructor(store: Store) {
    this.#store = store;
  }

  all(): Record<string, unknown> {
    const rows = this.#store.rows("SELECT name, value FROM settings ORDER BY name");
    return Object.fromEntries(rows.map(({ name, value }) => [String(name), JSON.parse(String(value)) as unknown]));
  }

  /** Sets each of `changes`; null forgets one. All of them or, when one is refused, none. */
  change(changes: Readonly<Record<string, unknown>>): void {
    this.#store.transaction(() => {
      for (const [name, value] of Object.entries(changes)) this.#set(name, value);
    });
  }

  #set(name: string, value: unknown): void {
    if (!namePattern.test(name)) {
      throw new AppError("bad_request", `"${name.slice(0, 64)}" is no name for a setting.`, {
        param: name.slice(0, 64),
        hint: "Use up to 64 letters, digits, dots, dashes and underscores, a letter first.",
      });
    }
    if (value === null || value === undefined) {
      this.#store.run("DELETE FROM settings WHERE name = ?", name);
      return;
    }
    const text = JSON.stringify(value);
    if (text.length > mostCharacters) {
      throw new AppError(
        "too_large",
        `The setting ${name} has ${text.length} characters; ${mostCharacters} are the most.`,
        {
          param: name,
        },
      );
    }
    this.#store.run(
      "INSERT INTO settings (name, value) VALUES (?, ?) ON CONFLICT (name) DO UPDATE SET value = excluded.value",
      name,
      text,
    );
  }
}
