// Reads the fields of a JSON body one by one: each getter checks type and range and refuses by the field's path as the caller
// spelt it ("messages[2].content"). null counts as absent, as the OpenAI API has it. Written by hand: it is on every request's
// path, its messages are for people, and it knows nothing of any protocol.
import { refuse } from "./errors.ts";

export type JsonObject = Readonly<Record<string, unknown>>;

export const isObject = (value: unknown): value is JsonObject =>
  typeof value === "object" && value !== null && !Array.isArray(value);

export class Fields {
  readonly values: JsonObject;
  readonly #path: string;

  constructor(values: JsonObject, path = "") {
    this.values = values;
    this.#path = path;
  }

  /** Fields of a parsed body; refuses what is no object. */
  static of(value: unknown, path = ""): Fields {
    if (!isObject(value))
      throw refuse(path === "" ? "body" : path, `${subject(path)} must be a JSON object, not ${kindOf(value)}.`);
    return new Fields(value, path);
  }

  /** The field's name as the caller would write it. */
  path(name: string): string {
    return this.#path === "" ? name : `${this.#path}.${name}`;
  }

  raw(name: string): unknown {
    const value = Object.hasOwn(this.values, name) ? this.values[name] : undefined;
    return value === null ? undefined : value;
  }

  has(name: string): boolean {
    return this.raw(name) !== undefined;
  }

  names(): string[] {
    return Object.keys(this.values).filter((name) => this.has(name));
  }

  string(name: string): string | undefined {
    const value = this.raw(name);
    if (value === undefined || typeof value === "string") return value;
    throw this.#wrongType(name, "a string", value);
  }

  boolean(name: string): boolean | undefined {
    const value = this.raw(name);
    if (value === undefined || typeof value === "boolean") return value;
    throw this.#wrongType(name, "true or false", value);
  }

  number(name: string, least: number, most: number): number | undefined {
    const value = this.raw(name);
    if (value === undefined) return undefined;
    if (typeof value !== "number" || !Number.isFinite(value)) throw this.#wrongType(name, "a number", value);
    if (value < least || value > most) throw this.#outOfRange(name, value, least, most);
    return value;
  }

  integer(name: string, least: number, most: number): number | undefined {
    const value = this.raw(name);
    if (value === undefined) return undefined;
    if (typeof value !== "number" || !Number.isSafeInteger(value)) throw this.#wrongType(name, "a whole number", value);
    if (value < least || value > most) throw this.#outOfRange(name, value, least, most);
    return value;
  }

  object(name: string): Fields | undefined {
    const value = this.raw(name);
    if (value === undefined) return undefined;
    if (!isObject(value)) throw this.#wrongType(name, "an object", value);
    return new Fields(value, this.path(name));
  }

  list(name: string, mostItems: number): readonly unknown[] | undefined {
    const value = this.raw(name);
    if (value === undefined) return undefined;
    if (!Array.isArray(value)) throw this.#wrongType(name, "a list", value);
    if (value.length > mostItems) {
      throw refuse(this.path(name), `${this.path(name)} has ${value.length} items; ${mostItems} are the most.`);
    }
    return value;
  }

  strings(name: string, mostItems: number): string[] | undefined {
    return this.list(name, mostItems)?.map((item, index) => {
      if (typeof item === "string") return item;
      throw refuse(
        `${this.path(name)}[${index}]`,
        `${this.path(name)}[${index}] must be a string, not ${kindOf(item)}.`,
      );
    });
  }

  /** In one block of memory, as the engine takes them: a prompt may have a hundred thousand. */
  tokenIds(name: string, { most, mostItems }: { most: number; mostItems: number }): Int32Array | undefined {
    const list = this.list(name, mostItems);
    if (!list) return undefined;
    const { ids, stray } = readTokenIds(list, most);
    if (stray < 0) return ids;
    const path = `${this.path(name)}[${stray}]`;
    throw refuse(path, `${path} must be a token id from 0 to ${most}.`);
  }

  choice<const Names extends readonly string[]>(name: string, names: Names): Names[number] | undefined {
    const value = this.string(name);
    if (value === undefined || names.includes(value)) return value;
    throw refuse(this.path(name), `${this.path(name)} must be one of ${names.join(", ")}, not "${shorten(value)}".`);
  }

  required<T>(name: string, value: T | undefined): T {
    if (value !== undefined) return value;
    throw refuse(this.path(name), `${this.path(name)} is missing.`);
  }

  #wrongType(name: string, wanted: string, value: unknown): Error {
    return refuse(this.path(name), `${this.path(name)} must be ${wanted}, not ${kindOf(value)}.`);
  }

  #outOfRange(name: string, value: number, least: number, most: number): Error {
    const range = most >= Number.MAX_SAFE_INTEGER ? `at least ${least}` : `from ${least} to ${most}`;
    return refuse(this.path(name), `${this.path(name)} must be ${range}, not ${value}.`);
  }
}

/** The list's token ids, and where it first holds something else; -1: nowhere. */
export function readTokenIds(list: readonly unknown[], most: number): { ids: Int32Array; stray: number } {
  const ids = new Int32Array(list.length);
  for (let index = 0; index < list.length; index++) {
    const item = list[index];
    if (typeof item !== "number" || !Number.isInteger(item) || item < 0 || item > most) return { ids, stray: index };
    ids[index] = item;
  }
  return { ids, stray: -1 };
}

export function kindOf(value: unknown): string {
  if (value === null) return "null";
  if (value === undefined) return "nothing";
  if (Array.isArray(value)) return "a list";
  if (typeof value === "object") return "an object";
  return typeof value === "string" ? `the string "${shorten(value)}"` : String(value);
}

const shorten = (text: string): string => (text.length > 40 ? `${text.slice(0, 40)}…` : text);

const subject = (path: string): string => (path === "" ? "The body" : path);

/** `{ [name]: value }`, or nothing when the value is absent: for optional properties. */
export function given<Name extends string, T>(name: Name, value: T | undefined): { [key in Name]?: T } {
  return (value === undefined ? {} : { [name]: value }) as { [key in Name]?: T };
}

/** One value under several names; two names that disagree are refused rather than one of them dropped. */
export function either<T, Name extends string>(
  fields: Fields,
  names: readonly Name[],
  read: (name: Name) => T | undefined,
): T | undefined {
  const found = names.filter((name) => fields.has(name)).map((name) => ({ name, value: read(name) }));
  const [first, ...others] = found;
  const other = others.find(({ value }) => value !== first?.value);
  if (first && other) {
    throw refuse(fields.path(other.name), `${first.name} and ${other.name} differ; send one of them.`);
  }
  return first?.value;
}
