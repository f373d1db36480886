// A template's text with its fields put in. The language is four things and no more, so that people can write templates in a text field:
//   {{name}}            the field's value; of a choice, its label; of a list field, its lines as "- …"
//   {{name|join}}       the lines of the value, joined by "；"
//   {{#name}}…{{/name}} only when the field has a value
//   a line whose fields are all empty is left out
// Values are put in as they are: nothing inside a value is ever read as a field.
import { AppError } from "../base/errors.ts";

export type TemplateLanguage = "zh" | "en";

export interface TemplateField {
  id: string;
  /** `list`: lines of text that become bullets. */
  kind: "line" | "text" | "list" | "choice" | "number" | "date";
  label: string;
  placeholder?: string;
  /** Of a choice; the first is taken when none is. */
  options?: readonly { id: string; label: string }[];
  isRequired?: boolean;
}

export type FieldValues = Readonly<Record<string, string>>;

const sectionPattern = /\{\{#([a-zA-Z]\w*)\}\}([\s\S]*?)\{\{\/\1\}\}/g;
const fieldPattern = /\{\{([a-zA-Z]\w*)(\|join)?\}\}/g;

/** Throws AppError `bad_request` naming a required field without a value, a value no option has, or a field that is not there. */
export function fillTemplate(
  template: { prompt: string; fields: readonly TemplateField[] },
  values: FieldValues,
): string {
  const shown = shownValues(template.fields, values);
  const open = template.prompt.replace(sectionPattern, (_, id: string, inner: string) =>
    shown.get(id)?.text ? inner : "",
  );
  const lines = open.split("\n").flatMap((line) => {
    const ids = [...line.matchAll(fieldPattern)].map((match) => match[1] ?? "");
    if (ids.length > 0 && ids.every((id) => !shown.get(id)?.text)) return [];
    return line.replace(fieldPattern, (_, id: string, join: string | undefined) => {
      const value = shown.get(id);
      if (!value) return "";
      return join ? value.lines.join("；") : value.text;
    });
  });
  return lines.join("\n");
}

/** The part that is the same whatever the fields hold: worth keeping in the engine's memory. */
export function fixedBeginning(prompt: string): string {
  const first = prompt.search(/\{\{/);
  return first < 0 ? prompt : prompt.slice(0, first);
}

/** The names of fields that a prompt uses. */
export function fieldsUsed(prompt: string): string[] {
  const names = [...prompt.matchAll(/\{\{[#/]?([a-zA-Z]\w*)(?:\|join)?\}\}/g)].map((match) => match[1] ?? "");
  return [...new Set(names)];
}

function shownValues(
  fields: readonly TemplateField[],
  values: FieldValues,
): Map<string, { text: string; lines: string[] }> {
  const stranger = Object.keys(values).find((id) => !fields.some((field) => field.id === id));
  if (stranger !== undefined) {
    throw new AppError("bad_request", `The template has no field "${stranger.slice(0, 64)}".`, {
      param: "values",
      hint: `Its fields are ${fields.map(({ id }) => id).join(", ")}.`,
    });
  }
  return new Map(
    fields.map((field) => {
      const value = (values[field.id] ?? "").trim();
      if (field.isRequired && value === "") {
        throw new AppError("bad_request", `The field "${field.label}" is empty.`, { param: `values.${field.id}` });
      }
      const lines = linesOf(value);
      return [field.id, { text: shownText(field, value, lines), lines }];
    }),
  );
}

function shownText(field: TemplateField, value: string, lines: readonly string[]): string {
  if (field.kind === "list") return lines.map((line) => `- ${line}`).join("\n");
  if (field.kind !== "choice") return value;
  const option = value === "" ? field.options?.[0] : field.options?.find(({ id }) => id === value);
  if (option) return option.label;
  throw new AppError("bad_request", `"${value.slice(0, 64)}" is no choice for "${field.label}".`, {
    param: `values.${field.id}`,
    hint: `The choices are ${(field.options ?? []).map(({ id }) => id).join(", ")}.`,
  });
}

function linesOf(text: string): string[] {
  return text
    .split("\n")
    .map((line) => line.replace(/^\s*(?:[-*•]|\d+[.)、])\s*/, "").trim())
    .filter((line) => line !== "");
}
