// All templates a person can pick: those that come with Quern (template-list.ts) and their own, kept in versions. A version never changes:
// saving makes the next one, deleting hides all, and an older one can be read and saved again. The text language is template-text.ts's.
import { randomUUID } from "node:crypto";
import { AppError } from "../base/errors.ts";
import type { Row, Store } from "./store.ts";
import { builtInTemplates, type TemplateBody } from "./template-list.ts";
import { fieldsUsed, type TemplateField, type TemplateLanguage } from "./template-text.ts";

export interface Template extends TemplateBody {
  id: string;
  language: TemplateLanguage;
  /** 1 for those that come with Quern. */
  version: number;
  isOwn: boolean;
  group: string;
}

export class Templates {
  readonly #store: Store;

  constructor(store: Store) {
    this.#store = store;
  }

  /** In one language: Quern's, then the people's own by name, each in its newest version. */
  list(language: TemplateLanguage): Template[] {
    const own = this.#store
      .rows(
        `SELECT * FROM templates WHERE language = ?1 AND deleted_at IS NULL AND version =
         (SELECT max(version) FROM templates AS other WHERE other.id = templates.id AND other.language = ?1)`,
        language,
      )
      .map(toTemplate);
    return [...builtInTemplates.map((each) => builtIn(each, language)), ...own.toSorted(byName)];
  }

  /** Of one language and version, the newest when none is named. Throws `not_found`. */
  get(id: string, { language, version }: { language: TemplateLanguage; version?: number }): Template {
    const known = builtInTemplates.find((each) => each.id === id);
    if (known && (version ?? 1) === 1) return builtIn(known, language);
    const row = this.#store.row(
      `SELECT * FROM templates WHERE id = ?1 AND language = ?2 AND deleted_at IS NULL AND (?3 IS NULL OR version = ?3)
       ORDER BY version DESC LIMIT 1`,
      id,
      language,
      version ?? null,
    );
    if (row) return toTemplate(row);
    const named = version === undefined ? "" : ` in version ${version}`;
    throw new AppError("not_found", `There is no template ${id}${named} in the language ${language}.`);
  }

  /** Every version of one's own template, the newest first. */
  versions(id: string, language: TemplateLanguage): Template[] {
    return this.#store
      .rows(
        "SELECT * FROM templates WHERE id = ? AND language = ? AND deleted_at IS NULL ORDER BY version DESC",
        id,
        language,
      )
      .map(toTemplate);
  }

  /** Saves `body` as the next version of `id`, or as a new template. Throws `bad_request` for a body that cannot work. */
  save(body: unknown, { id = randomUUID(), language }: { id?: string; language: TemplateLanguage }): Template {
    const checked = parseTemplateBody(body);
    if (builtInTemplates.some((each) => each.id === id)) {
      throw new AppError("conflict", `${id} comes with Quern and stays as it is.`, {
        hint: "Save a copy of it as a template of your own.",
      });
    }
    this.#store.transaction(() => {
      const newest = this.#store.row("SELECT max(version) AS version FROM templates WHERE id = ?", id);
      this.#store.run(
        "INSERT INTO templates (id, version, language, body, created_at) VALUES (?, ?, ?, ?, ?)",
        id,
        Number(newest?.version ?? 0) + 1,
        language,
        JSON.stringify(checked),
        this.#store.now(),
      );
    });
    return this.get(id, { language });
  }

  /** Hides all versions in all languages. */
  delete(id: string): void {
    const gone = this.#store.run(
      "UPDATE templates SET deleted_at = ? WHERE id = ? AND deleted_at IS NULL",
      this.#store.now(),
      id,
    );
    if (gone === 0) throw new AppError("not_found", `There is no template ${id} of your own.`);
  }

  restore(id: string): void {
    this.#store.run("UPDATE templates SET deleted_at = NULL WHERE id = ?", id);
  }
}

const kinds = ["line", "text", "list", "choice", "number", "date"] as const;
const idPattern = /^[a-zA-Z]\w{0,31}$/;
const mostFields = 32;

/** A template's body from JSON that a person or a file brought. */
export function parseTemplateBody(value: unknown): TemplateBody {
  const body = objectOf(value, "template");
  const name = stringOf(body, "name", 60);
  const prompt = stringOf(body, "prompt", 20_000);
  const fields = listOf(body.fields ?? [], "fields").map(parseField);
  const twice = fields.find(({ id }, index) => fields.findIndex((other) => other.id === id) < index);
  if (twice) throw refuse("fields", `Two fields are called "${twice.id}".`);
  const missing = fieldsUsed(prompt).find((id) => !fields.some((field) => field.id === id));
  if (missing !== undefined) {
    throw refuse("prompt", `The prompt uses {{${missing}}}, and no field is called so.`);
  }
  const temperature = body.temperature ?? "balanced";
  if (temperature !== "precise" && temperature !== "balanced" && temperature !== "creative") {
    throw refuse("temperature", "temperature is precise, balanced or creative.");
  }
  return {
    name,
    about: optionalString(body, "about", 200) ?? "",
    icon: optionalString(body, "icon", 40) ?? "template",
    temperature,
    fields,
    prompt,
    ...present("system", optionalString(body, "system", 20_000)),
    ...present("instruction", optionalString(body, "instruction", 20_000)),
    ...present("example", body.example === undefined ? undefined : exampleOf(body.example)),
  };
}

function parseField(value: unknown, index: number): TemplateField {
  const at = `fields[${index}]`;
  const field = objectOf(value, at);
  const id = stringOf(field, "id", 32, at);
  if (!idPattern.test(id)) throw refuse(`${at}.id`, `"${id}" is no name for a field: letters, digits and _ only.`);
  const kind = kinds.find((known) => known === field.kind);
  if (!kind) throw refuse(`${at}.kind`, `${at}.kind must be one of ${kinds.join(", ")}.`);
  const options =
    kind === "choice"
      ? listOf(field.options, `${at}.options`).map((option, place) => {
          const path = `${at}.options[${place}]`;
          const known = objectOf(option, path);
          return { id: stringOf(known, "id", 64, path), label: stringOf(known, "label", 200, path) };
        })
      : undefined;
  if (options?.length === 0) throw refuse(`${at}.options`, `The choice "${id}" has no options.`);
  return {
    id,
    kind,
    label: stringOf(field, "label", 200, at),
    ...present("placeholder", optionalString(field, "placeholder", 2000, at)),
    ...present("options", options),
    ...(field.isRequired === true ? { isRequired: true } : {}),
  };
}

const refuse = (param: string, message: string): AppError => new AppError("bad_request", message, { param });

type JsonObject = Readonly<Record<string, unknown>>;

function objectOf(value: unknown, param: string): JsonObject {
  if (typeof value === "object" && value !== null && !Array.isArray(value)) return value as JsonObject;
  throw refuse(param, `${param} must be an object.`);
}

function listOf(value: unknown, param: string): readonly unknown[] {
  if (!Array.isArray(value)) throw refuse(param, `${param} must be a list.`);
  if (value.length > mostFields)
    throw refuse(param, `${param} has ${value.length} entries; ${mostFields} are the most.`);
  return value;
}

function stringOf(from: JsonObject, name: string, most: number, at = ""): string {
  const value = optionalString(from, name, most, at);
  const param = at === "" ? name : `${at}.${name}`;
  if (value === undefined || value.trim() === "") throw refuse(param, `${param} is missing or empty.`);
  return value;
}

function optionalString(from: JsonObject, name: string, most: number, at = ""): string | undefined {
  const value = from[name];
  const param = at === "" ? name : `${at}.${name}`;
  if (value === undefined || value === null) return undefined;
  if (typeof value !== "string") throw refuse(param, `${param} must be a string.`);
  if (value.length > most) throw refuse(param, `${param} has ${value.length} characters; ${most} are the most.`);
  return value;
}

function exampleOf(value: unknown): Readonly<Record<string, string>> {
  const example = objectOf(value, "example");
  for (const name of Object.keys(example)) optionalString(example, name, 20_000, "example");
  return example as Readonly<Record<string, string>>;
}

function present<Name extends string, T>(name: Name, value: T | undefined): { [key in Name]?: T } {
  return (value === undefined ? {} : { [name]: value }) as { [key in Name]?: T };
}

function builtIn(known: (typeof builtInTemplates)[number], language: TemplateLanguage): Template {
  return { id: known.id, group: known.group, language, version: 1, isOwn: false, ...known[language] };
}

function toTemplate(row: Row): Template {
  return {
    ...(JSON.parse(String(row.body)) as TemplateBody),
    id: String(row.id),
    group: "own",
    language: String(row.language) as TemplateLanguage,
    version: Number(row.version),
    isOwn: true,
  };
}

const byName = (left: Template, right: Template): number => left.name.localeCompare(right.name);
