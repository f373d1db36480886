// JSON Schema to GBNF. What the grammar lets through is valid by the schema; it need not let through every valid text (properties
// come in the schema's order, undeclared ones only where the schema invites them), for a model has to write one valid answer,
// not all. A keyword that cannot be enforced is refused by name, never dropped: an answer that merely looks right is worse.
//
// Annotations (title, description, default, examples) are no constraints and change nothing. `oneOf` is taken as `anyOf`.
import { AppError } from "../../base/errors.ts";
import { integerRange } from "./integer-range.ts";

type Schema = Readonly<Record<string, unknown>>;

const annotations = new Set(
  "title description default examples example $schema $id $comment $anchor deprecated readOnly writeOnly contentMediaType contentEncoding $defs definitions strict name".split(
    " ",
  ),
);
const ruleLimit = 5000;
const depthLimit = 100;
/** llama.cpp refuses longer repetitions. */
const repeatLimit = 2000;

const baseRules = {
  ws: `| " " | "\\n" [ \\t]{0,20}`,
  char: String.raw`[^"\\\x7F\x00-\x1F] | "\\" (["\\bfnrt/] | "u" [0-9a-fA-F]{4})`,
  string: String.raw`"\"" char* "\""`,
  integer: `"-"? ("0" | [1-9] [0-9]{0,14})`,
  number: `"-"? ("0" | [1-9] [0-9]{0,14}) fraction? exponent?`,
  fraction: `"." [0-9]{1,16}`,
  exponent: `[eE] [-+]? [0-9]{1,2}`,
  boolean: `"true" | "false"`,
  null: `"null"`,
  object: `"{" ws (member ("," ws member)*)? ws "}"`,
  member: `string ":" ws value`,
  array: `"[" ws (value ("," ws value)*)? ws "]"`,
  value: "object | array | string | number | boolean | null",
} as const;

const formats: Readonly<Record<string, string>> = {
  date: `[0-9]{4} "-" ("0" [1-9] | "1" [0-2]) "-" ("0" [1-9] | [12] [0-9] | "3" [01])`,
  time: `([01] [0-9] | "2" [0-3]) ":" [0-5] [0-9] ":" [0-5] [0-9] ("." [0-9]{1,9})? ("Z" | [-+] ([01] [0-9] | "2" [0-3]) ":" [0-5] [0-9])`,
  uuid: `[0-9a-f]{8} "-" [0-9a-f]{4} "-" [0-9a-f]{4} "-" [0-9a-f]{4} "-" [0-9a-f]{12}`,
};

/** The grammar of a schema's valid texts. Throws `bad_request` for what is no schema, `unsupported` for what cannot be enforced. */
export function gbnfOfSchema(schema: unknown): string {
  return new SchemaGrammar(schema).text();
}

/** A text as a GBNF literal. */
export function quoted(text: string): string {
  return `"${[...text].map(escaped).join("")}"`;
}

class SchemaGrammar {
  readonly #root: unknown;
  readonly #rules = new Map<string, string>();
  readonly #ruleOfRef = new Map<string, string>();

  constructor(root: unknown) {
    this.#root = root;
  }

  text(): string {
    const root = this.#expression(this.#root, "root");
    const rules = { root: `${root}`, ...baseRules, ...Object.fromEntries(this.#rules) };
    return Object.entries(rules)
      .map(([name, body]) => `${name} ::= ${body}\n`)
      .join("");
  }

  #rule(hint: string, body: string): string {
    const name = `${hint}-${this.#rules.size}`;
    this.#rules.set(name, body);
    if (this.#rules.size > ruleLimit) throw cannot("schema", "The schema is too large to be enforced.");
    return name;
  }

  /** A GBNF expression for a schema; `path` names the place in messages. */
  #expression(schema: unknown, path: string): string {
    if (schema === true) return "value";
    if (path.split("/").length > depthLimit) throw cannot("schema", "A schema nested this deep");
    if (typeof schema !== "object" || schema === null || Array.isArray(schema)) {
      throw bad(`At ${path} the schema must be an object or true, not ${JSON.stringify(schema) ?? typeof schema}.`);
    }
    const { nullable, ...plain } = schema as Schema;
    const body = this.#nonNull(plain, path);
    return nullable === true ? `(${body} | null)` : body;
  }

  #nonNull(schema: Schema, path: string): string {
    if (typeof schema.$ref === "string") {
      allow(schema, ["$ref"], path);
      return this.#reference(schema.$ref);
    }
    if ("const" in schema) {
      allow(schema, ["const", "type"], path);
      return quoted(JSON.stringify(schema.const) ?? "null");
    }
    if ("enum" in schema) return enumeration(schema, path);
    for (const keyword of ["anyOf", "oneOf", "allOf"] as const) {
      if (!(keyword in schema)) continue;
      allow(schema, [keyword], path);
      const options = listOf(schema[keyword], `${path}/${keyword}`);
      if (keyword === "allOf" && options.length > 1) throw cannot("allOf", `At ${path}, allOf of several schemas`);
      return this.#alternatives(
        options.map((option, place) => this.#expression(option, `${path}/${keyword}/${place}`)),
      );
    }
    const types = typesOf(schema, path);
    if (!types) {
      allow(schema, [], path);
      return "value";
    }
    const single = types.length === 1;
    return this.#alternatives(types.map((type) => this.#typed(type, single ? schema : keywordsOf(schema, type), path)));
  }

  #typed(type: string, schema: Schema, path: string): string {
    switch (type) {
      case "object":
        return this.#object(schema, path);
      case "array":
        return this.#array(schema, path);
      case "string":
        return stringExpression(schema, path);
      case "integer":
        return integerExpression(schema, path);
      case "number":
        return numberExpression(schema, path);
      case "boolean":
      case "null":
        allow(schema, ["type"], path);
        return type;
      default:
        throw bad(`At ${path} the type is ${JSON.stringify(type)}, which JSON Schema does not know.`);
    }
  }

  #alternatives(expressions: readonly string[]): string {
    return expressions.length === 1 ? (expressions[0] ?? "value") : `(${expressions.join(" | ")})`;
  }

  #reference(ref: string): string {
    const known = this.#ruleOfRef.get(ref);
    if (known) return known;
    if (!ref.startsWith("#")) throw cannot("$ref", `The reference ${ref} to another document`);
    let target: unknown = this.#root;
    for (const part of ref.split("/").slice(1)) {
      const key = decodeURIComponent(part).replaceAll("~1", "/").replaceAll("~0", "~");
      const isHolder = typeof target === "object" && target !== null && Object.hasOwn(target, key);
      target = isHolder ? Reflect.get(target as object, key) : undefined;
    }
    if (target === undefined) throw bad(`The reference ${ref} leads nowhere.`);
    // Named before its body is made: a schema may refer to itself.
    const name = this.#rule("ref", "value");
    this.#ruleOfRef.set(ref, name);
    this.#rules.set(name, this.#expression(target, ref));
    return name;
  }

  #object(schema: Schema, path: string): string {
    allow(
      schema,
      ["type", "properties", "required", "additionalProperties", "unevaluatedProperties", "minProperties"],
      path,
    );
    const properties = new Map(Object.entries(recordOf(schema.properties ?? {}, `${path}/properties`)));
    const required = new Set(listOf(schema.required ?? [], `${path}/required`));
    const additional = schema.additionalProperties ?? schema.unevaluatedProperties;
    for (const name of required) {
      if (typeof name !== "string") throw bad(`At ${path}/required there is something else than a name.`);
      if (properties.has(name)) continue;
      if (additional === false) throw bad(`At ${path} "${name}" is required but neither declared nor allowed.`);
      properties.set(name, additional ?? true);
    }
    const least = schema.minProperties;
    if (least !== undefined && !(typeof least === "number" && least <= required.size)) {
      throw cannot("minProperties", `At ${path}, minProperties above the number of required properties`);
    }
    // An object about which nothing is said may hold anything; one with declared properties holds those, unless it invites more.
    const isOpen = additional === undefined ? properties.size === 0 : additional !== false;
    const names = [...properties.keys()];
    const more = isOpen ? this.#additionalMember(names, additional ?? true, path) : undefined;
    let [first, later] = more ? [`(${more} ("," ws ${more})*)?`, `("," ws ${more})*`] : ["", ""];
    for (const name of names.reverse()) {
      const member = `${quoted(`${JSON.stringify(name)}:`)} ws ${this.#expression(properties.get(name), `${path}/${name}`)}`;
      const [afterFirst, afterLater] = [`${member} ${later}`, `"," ws ${member} ${later}`];
      // Optional: it comes, or the rest begins without it; whether a comma is due depends on what came before.
      first = this.#rule("first", required.has(name) ? afterFirst : `${afterFirst} | ${first || '""'}`);
      later = this.#rule("later", required.has(name) ? afterLater : `${afterLater} | ${later || '""'}`);
    }
    return this.#rule("object", `"{" ws ${first} ws "}"`);
  }

  /** A member with a key that is none of these: a second value for a declared key would hide the first. */
  #additionalMember(names: readonly string[], schema: unknown, path: string): string {
    const value = this.#expression(schema, `${path}/additionalProperties`);
    const key = names.length === 0 ? "string" : `"\\"" ${this.#otherThan(names, "key")} "\\""`;
    return this.#rule("more", `${key} ":" ws ${value}`);
  }

  /** Texts that are none of `names`: follows them letter by letter and must leave them, or end short of or beyond them. */
  #otherThan(names: readonly string[], hint: string): string {
    const byFirst = Map.groupBy(
      names.filter((name) => name !== ""),
      (name) => [...name][0] ?? "",
    );
    const excluded = [...byFirst.keys()].map(escapedInClass).join("");
    const options = [String.raw`[^"\\\x7F\x00-\x1F${excluded}] char*`];
    for (const [letter, group] of byFirst) {
      const rest = this.#otherThan(
        group.map((name) => name.slice(letter.length)),
        hint,
      );
      options.push(`${quoted(letter)} ${rest}`);
    }
    if (!names.includes("")) options.push('""');
    return this.#rule(hint, options.join(" | "));
  }

  #array(schema: Schema, path: string): string {
    allow(schema, ["type", "items", "prefixItems", "minItems", "maxItems", "uniqueItems"], path);
    if (schema.uniqueItems === true) throw cannot("uniqueItems", `At ${path}, uniqueItems`);
    const prefix = listOf(schema.prefixItems ?? [], `${path}/prefixItems`).map((item, place) =>
      this.#expression(item, `${path}/${place}`),
    );
    const items = schema.items ?? prefix.length === 0;
    const least = Math.max(countOf(schema, { key: "minItems", path }) ?? 0, prefix.length);
    const most = items === false ? prefix.length : countOf(schema, { key: "maxItems", path });
    if (most !== undefined && most < least) throw bad(`At ${path} an array of ${least} to ${most} items cannot be.`);
    const head = prefix.join(' "," ws ');
    if (most === prefix.length) return this.#rule("array", `"[" ws ${head} ws "]"`);
    const item = this.#rule("item", this.#expression(items, `${path}/items`));
    const [moreLeast, moreMost] = [least - prefix.length, most === undefined ? undefined : most - prefix.length];
    if (head) return this.#rule("array", `"[" ws ${head} ("," ws ${item})${repeat(moreLeast, moreMost, path)} ws "]"`);
    const tail = repeat(Math.max(0, moreLeast - 1), moreMost === undefined ? undefined : moreMost - 1, path);
    const list = `${item} ("," ws ${item})${tail}`;
    return this.#rule("array", `"[" ws ${moreLeast > 0 ? list : `(${list})?`} ws "]"`);
  }
}

function stringExpression(schema: Schema, path: string): string {
  allow(schema, ["type", "minLength", "maxLength", "format"], path);
  const [least, most] = [countOf(schema, { key: "minLength", path }), countOf(schema, { key: "maxLength", path })];
  const format = String(schema.format ?? "");
  const dateTime = `${formats.date} "T" ${formats.time}`;
  const known = format === "date-time" ? dateTime : Object.hasOwn(formats, format) ? formats[format] : undefined;
  // Other formats are annotations, as JSON Schema has it.
  if (known !== undefined) {
    if (least !== undefined || most !== undefined) throw cannot("format", `At ${path}, a length beside a format`);
    return String.raw`"\"" ${known} "\""`;
  }
  if (least === undefined && most === undefined) return "string";
  if (most !== undefined && most < (least ?? 0)) throw bad(`At ${path} maxLength is below minLength.`);
  return String.raw`"\"" char${repeat(least ?? 0, most, path)} "\""`;
}

function integerExpression(schema: Schema, path: string): string {
  allow(schema, ["type", "minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "format", "multipleOf"], path);
  if ((schema.multipleOf ?? 1) !== 1) throw cannot("multipleOf", `At ${path}, multipleOf`);
  const bound = (key: string): number | undefined => boundOf(schema, { key, path });
  const [above, below] = [bound("exclusiveMinimum"), bound("exclusiveMaximum")];
  const lows = [bound("minimum"), above === undefined ? undefined : Math.floor(above) + 1];
  const highs = [bound("maximum"), below === undefined ? undefined : Math.ceil(below) - 1];
  const low = Math.ceil(Math.max(...lows.map((value) => value ?? Number.NEGATIVE_INFINITY)));
  const high = Math.floor(Math.min(...highs.map((value) => value ?? Number.POSITIVE_INFINITY)));
  if (low > high) throw bad(`At ${path} no integer is between ${low} and ${high}.`);
  return integerRange(low, high);
}

function numberExpression(schema: Schema, path: string): string {
  allow(schema, ["type", "minimum", "format"], path);
  const least = boundOf(schema, { key: "minimum", path });
  if (least === undefined) return "number";
  if (least === 0) return `("0" | [1-9] [0-9]{0,14}) fraction? exponent?`;
  throw cannot("minimum", `At ${path}, a minimum other than 0 for numbers that need not be whole`);
}

function enumeration(schema: Schema, path: string): string {
  allow(schema, ["enum", "type"], path);
  const types = typesOf(schema, path);
  const values = listOf(schema.enum, `${path}/enum`).filter(
    (value) => !types || types.some((type) => isOf(value, type)),
  );
  if (values.length === 0) throw bad(`At ${path} the enum has no value of its type.`);
  return `(${values.map((value) => quoted(JSON.stringify(value))).join(" | ")})`;
}

const keywordTypes: Readonly<Record<string, string>> = {
  properties: "object",
  required: "object",
  additionalProperties: "object",
  unevaluatedProperties: "object",
  minProperties: "object",
  items: "array",
  prefixItems: "array",
  minItems: "array",
  maxItems: "array",
  uniqueItems: "array",
  minLength: "string",
  maxLength: "string",
  format: "string",
  minimum: "number",
  maximum: "number",
  exclusiveMinimum: "number",
  exclusiveMaximum: "number",
  multipleOf: "number",
};

/** The types a schema names, or the one its keywords are about; undefined when it says nothing about types. */
function typesOf(schema: Schema, path: string): string[] | undefined {
  const { type } = schema;
  if (typeof type === "string") return [type];
  if (type !== undefined) {
    const types = listOf(type, `${path}/type`).map(String);
    if (types.length === 0) throw bad(`At ${path} the list of types is empty.`);
    return types;
  }
  for (const key of Object.keys(schema)) {
    const implied = keywordTypes[key];
    if (implied) return [implied];
  }
  return undefined;
}

/** Of a schema with several types, the keywords that are about one of them. Unknown ones stay, to be refused. */
function keywordsOf(schema: Schema, type: string): Schema {
  const group = type === "integer" ? "number" : type;
  return Object.fromEntries(Object.entries(schema).filter(([key]) => (keywordTypes[key] ?? group) === group));
}

function isOf(value: unknown, type: string): boolean {
  if (type === "integer") return Number.isInteger(value);
  if (type === "array") return Array.isArray(value);
  if (type === "null") return value === null;
  if (type === "object") return typeof value === "object" && value !== null && !Array.isArray(value);
  return typeof value === type;
}

function allow(schema: Schema, keywords: readonly string[], path: string): void {
  for (const key of Object.keys(schema)) {
    if (keywords.includes(key) || annotations.has(key) || key.startsWith("x-")) continue;
    throw cannot(key, `At ${path}, ${key}`);
  }
}

function listOf(value: unknown, path: string): readonly unknown[] {
  if (Array.isArray(value)) return value;
  throw bad(`At ${path} there must be a list.`);
}

function recordOf(value: unknown, path: string): Schema {
  if (typeof value === "object" && value !== null && !Array.isArray(value)) return value as Schema;
  throw bad(`At ${path} there must be an object.`);
}

function countOf(schema: Schema, { key, path }: { key: string; path: string }): number | undefined {
  const value = schema[key];
  if (value === undefined) return undefined;
  if (typeof value === "number" && Number.isInteger(value) && value >= 0) return value;
  throw bad(`At ${path} ${key} must be a whole number, not ${JSON.stringify(value)}.`);
}

function boundOf(schema: Schema, { key, path }: { key: string; path: string }): number | undefined {
  const value = schema[key];
  if (value === undefined) return undefined;
  if (typeof value === "number" && Number.isFinite(value)) return value;
  throw bad(`At ${path} ${key} must be a number, not ${JSON.stringify(value)}.`);
}

function repeat(least: number, most: number | undefined, path: string): string {
  if (least > repeatLimit || (most ?? 0) > repeatLimit) {
    throw cannot("schema", `At ${path}, a length or count above ${repeatLimit}`);
  }
  return `{${least},${most ?? ""}}`;
}

function escaped(character: string): string {
  const code = character.codePointAt(0) ?? 0;
  if (character === '"' || character === "\\") return `\\${character}`;
  if (code < 32 || code === 127) return `\\x${code.toString(16).padStart(2, "0")}`;
  return character;
}

function escapedInClass(character: string): string {
  return "]^-[".includes(character) ? `\\x${character.charCodeAt(0).toString(16)}` : escaped(character);
}

function bad(message: string): AppError {
  return new AppError("bad_request", message, { param: "grammar" });
}

function cannot(keyword: string, what: string): AppError {
  return new AppError("unsupported", `${what} cannot be enforced while the model writes.`, {
    param: "grammar",
    hint: "Leave it out of the schema and check it in your program.",
    details: { keyword },
  });
}
