// What the answer must look like: response_format, vLLM's structured_outputs and its older guided_* names, llama.cpp's grammar and
// json_schema all become one Grammar of the engine contract. Two of them at once contradict each other and are refused.
import { AppError } from "../base/errors.ts";
import type { Grammar } from "../engine/contract.ts";
import { refuse, unsupported } from "./errors.ts";
import { type Fields, isObject, kindOf } from "./fields.ts";

export interface AnswerFormat {
  /** The field that asked for it. */
  param: string;
  grammar: Grammar;
}

export function parseFormat(body: Fields): AnswerFormat | undefined {
  const found: AnswerFormat[] = [];
  const add = (param: string, grammar: Grammar | undefined): void => {
    if (grammar) found.push({ param, grammar });
  };
  add("response_format", parseResponseFormat(body));
  const structured = body.object("structured_outputs");
  if (structured) {
    assertStructuredNames(structured);
    for (const name of structuredNames) add(structured.path(name), readStructured(structured, name, name));
  }
  for (const name of structuredNames) add(`guided_${name}`, readStructured(body, `guided_${name}`, name));
  add("grammar", readStructured(body, "grammar", "grammar"));
  add("json_schema", readStructured(body, "json_schema", "json"));
  const second = found[1];
  if (second)
    throw refuse(
      second.param,
      `${found[0]?.param} and ${second.param} both say what the answer must look like; send one.`,
    );
  return found[0];
}

const structuredNames = ["json", "json_object", "choice", "grammar", "regex", "structural_tag"] as const;

/** An answer that should be held to something must not come free because of a name that nobody read. */
function assertStructuredNames(structured: Fields): void {
  const names = structured.names();
  for (const name of names.filter((name) => !(structuredNames as readonly string[]).includes(name))) {
    if (name === "disable_fallback" || structured.raw(name) === false) continue; // asks for nothing
    throw unsupported(
      structured.path(name),
      `${structured.path(name).slice(0, 80)} is not supported.`,
      `There are ${structuredNames.slice(0, 4).join(", ")}.`,
    );
  }
  if (names.length === 0) {
    throw refuse("structured_outputs", "structured_outputs is empty; it names json, json_object, choice or grammar.");
  }
}

function readStructured(fields: Fields, name: string, kind: (typeof structuredNames)[number]): Grammar | undefined {
  if (!fields.has(name)) return undefined;
  const path = fields.path(name);
  switch (kind) {
    case "json":
      return { kind: "json_schema", schema: checkedSchema(schemaOf(fields.raw(name), path), path) };
    case "json_object":
      return fields.boolean(name) ? { kind: "json" } : undefined;
    case "choice": {
      const options = fields.strings(name, 10_000) ?? [];
      if (options.length === 0 || options.includes(""))
        throw refuse(path, `${path} must hold texts, none of them empty.`);
      return { kind: "choice", options };
    }
    case "grammar": {
      const text = fields.string(name) ?? "";
      return text === "" ? undefined : { kind: "gbnf", text };
    }
    case "regex":
      throw unsupported(
        path,
        "Quern does not hold answers to regular expressions.",
        "Use a JSON schema, a choice or a GBNF grammar.",
      );
    case "structural_tag":
      throw unsupported(
        path,
        "Quern does not know structural tags.",
        "Use tools, or a JSON schema for the whole answer.",
      );
  }
}

function parseResponseFormat(body: Fields): Grammar | undefined {
  const format = body.object("response_format");
  if (!format) return undefined;
  const type = format.required("type", format.string("type"));
  switch (type) {
    case "text":
      return undefined;
    case "json_object": {
      // llama.cpp's form: {"type":"json_object","schema":{…}}
      const schema = format.raw("schema");
      return schema === undefined
        ? { kind: "json" }
        : { kind: "json_schema", schema: checkedSchema(schema, format.path("schema")) };
    }
    case "json_schema": {
      const named = format.required("json_schema", format.object("json_schema"));
      named.boolean("strict"); // a schema always holds here
      const schema = named.required("schema", named.raw("schema"));
      return { kind: "json_schema", schema: checkedSchema(schema, named.path("schema")) };
    }
    default:
      throw unsupported(
        format.path("type"),
        `response_format.type must be text, json_object or json_schema, not "${type.slice(0, 40)}".`,
      );
  }
}

/** guided_json may be the schema's text. */
function schemaOf(value: unknown, path: string): unknown {
  if (typeof value !== "string") return value;
  try {
    return JSON.parse(value);
  } catch (cause) {
    throw new AppError("bad_request", `${path} is not valid JSON.`, { param: path, cause });
  }
}

/** A schema is an object (or true); what is inside is the engine's to judge. */
export function checkedSchema(schema: unknown, path: string): unknown {
  if (isObject(schema) || schema === true) return schema;
  throw refuse(path, `${path} must be a JSON schema, an object, not ${kindOf(schema)}.`);
}
