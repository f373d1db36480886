// What a grammar must be before it goes to the library: xgrammar leaves out in silence the JSON Schema keywords it does not know, and
// aborts its whole instance on others. So those keywords are refused here by name and place, and the rest is brought into the form
// that means there what it means elsewhere.
import { AppError } from "../../base/errors.ts";
import type { Grammar } from "../contract.ts";

/** A grammar in the form the worker compiles; equal keys mean equal grammars. */
export interface CompilableGrammar {
  kind: "json_schema" | "ebnf";
  text: string;
}

/** Throws AppError `bad_request` for what is no grammar, `unsupported` for what cannot be enforced. */
export function toCompilable(grammar: Grammar): CompilableGrammar {
  switch (grammar.kind) {
    case "json":
      return { kind: "json_schema", text: '{"type":"object","additionalProperties":true}' };
    case "json_schema":
      return { kind: "json_schema", text: JSON.stringify(checkedSchema(grammar.schema, "$", 0)) };
    case "gbnf":
      if (grammar.text.trim() === "") throw bad("The grammar is empty.");
      return { kind: "ebnf", text: grammar.text };
    case "choice":
      return { kind: "ebnf", text: `root ::= ${grammar.options.map(quoted).join(" | ")}` };
  }
}

/** A text as a terminal: what is not plain ASCII is escaped, so that nothing in it can end the terminal. */
function quoted(text: string): string {
  const escaped = [...text].map((character) => {
    if (/[A-Za-z0-9 ]/.test(character)) return character;
    return `\\U${(character.codePointAt(0) ?? 0).toString(16).padStart(8, "0")}`;
  });
  return `"${escaped.join("")}"`;
}

const deepest = 100;
const unenforced = new Set([
  "pattern", // the library takes it for the text as JSON spells it, quotes and escapes included
  ...[
    "not",
    "if",
    "then",
    "else",
    "dependentRequired",
    "dependentSchemas",
    "dependencies",
    "$dynamicRef",
    "$recursiveRef",
  ],
  ...["multipleOf", "uniqueItems", "contains", "minContains", "maxContains", "unevaluatedItems"],
  ...["patternProperties", "propertyNames", "minProperties", "maxProperties"],
]);
/** Values with which a keyword demands nothing. */
const saysNothing = new Map<string, unknown>([
  ["uniqueItems", false],
  ["minProperties", 0],
]);
const types = new Set(["object", "array", "string", "number", "integer", "boolean", "null"]);

function checkedSchema(schema: unknown, place: string, depth: number): unknown {
  if (schema === true) return true;
  if (schema === false) throw bad(`The schema at ${place} is false: it allows nothing.`);
  if (!isObject(schema)) throw bad(`The schema at ${place} is no object.`);
  if (depth > deepest) throw unsupported(`The schema is nested more than ${deepest} deep.`);
  for (const [keyword, value] of Object.entries(schema)) {
    if (unenforced.has(keyword) && value !== saysNothing.get(keyword))
      throw unsupported(`"${keyword}" at ${place} cannot be enforced while generating.`);
  }
  checkType(schema, place);
  checkReference(schema, place);
  const below = (child: unknown, step: string): unknown => checkedSchema(child, `${place}.${step}`, depth + 1);
  const copy = Object.fromEntries(Object.entries(schema).filter(([keyword]) => !unenforced.has(keyword)));
  for (const key of ["properties", "$defs", "definitions"]) {
    const named = schema[key];
    if (named === undefined) continue;
    if (!isObject(named)) throw bad(`"${key}" at ${place} is no object.`);
    copy[key] = Object.fromEntries(
      Object.entries(named).map(([name, child]) => [name, below(child, `${key}.${name}`)]),
    );
  }
  for (const key of ["anyOf", "oneOf", "allOf", "prefixItems"]) {
    const listed = schema[key];
    if (listed === undefined) continue;
    if (!Array.isArray(listed) || listed.length === 0) throw bad(`"${key}" at ${place} is no list of schemas.`);
    copy[key] = listed.map((child, index) => below(child, `${key}[${index}]`));
  }
  if (Array.isArray(schema.allOf) && schema.allOf.length > 1) {
    throw unsupported(`"allOf" at ${place} has ${schema.allOf.length} parts; only one can be enforced.`);
  }
  for (const key of ["items", "additionalProperties", "additionalItems", "unevaluatedProperties"]) {
    if (schema[key] !== undefined && typeof schema[key] !== "boolean") copy[key] = below(schema[key], key);
  }
  // An object of which nothing is said is any object; the library would take it for the empty one. One with properties is closed
  // unless it says otherwise, as in llama.cpp.
  if (schema.type === "object" && schema.properties === undefined && schema.additionalProperties === undefined) {
    copy.additionalProperties = true;
  }
  return copy;
}

function checkType({ type }: Record<string, unknown>, place: string): void {
  if (type === undefined) return;
  for (const name of Array.isArray(type) ? type : [type]) {
    if (!types.has(name)) throw bad(`The type ${JSON.stringify(name)} at ${place} is none of JSON Schema's.`);
  }
}

function checkReference({ $ref: reference }: Record<string, unknown>, place: string): void {
  if (reference === undefined) return;
  if (typeof reference !== "string" || !/^#(\/|$)/.test(reference)) {
    throw unsupported(`The reference ${JSON.stringify(reference)} at ${place} leaves the schema.`);
  }
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function bad(message: string): AppError {
  return new AppError("bad_request", message, { param: "grammar" });
}

function unsupported(message: string): AppError {
  return new AppError("unsupported", message, {
    param: "grammar",
    hint: "Leave it out and check the answer afterwards.",
  });
}
