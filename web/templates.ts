// Templates as the server keeps them (docs/workbench-api.md): sixteen of Quern's in two languages, and one's own in versions. The server
// puts fields into prompts too, so that what the preview shows is what is sent.
import { call } from "./api.ts";
import type { TemperatureChoice } from "./conversation.ts";
import { Signal } from "./signal.ts";
import type { Language } from "./strings.ts";
import { type IconName, isIconName } from "./ui/icons.tsx";

export interface TemplateField {
  id: string;
  kind: "line" | "text" | "list" | "choice" | "number" | "date";
  label: string;
  placeholder?: string;
  options?: readonly { id: string; label: string }[];
  isRequired?: boolean;
}

export type FieldValues = Readonly<Record<string, string>>;

/** What a person writes of a template. */
export interface TemplateBody {
  name: string;
  about: string;
  icon: string;
  /** Taken when the conversation leaves the temperature to Quern. */
  temperature: TemperatureChoice;
  fields: readonly TemplateField[];
  prompt: string;
  system?: string;
  example?: FieldValues;
}

export interface Template extends TemplateBody {
  id: string;
  language: Language;
  version: number;
  isOwn: boolean;
  group: string;
}

const path = "/workspace/templates";

export class TemplateShelf {
  /** Quern's, then one's own; empty until the server told them. */
  readonly list = new Signal<readonly Template[]>([]);

  async load(language: Language): Promise<void> {
    this.list.value = (await call<{ templates: Template[] }>("GET", `${path}?language=${language}`)).templates;
  }

  find(id: string | undefined): Template | undefined {
    return this.list.value.find((template) => template.id === id);
  }

  /** The prompt that the template makes of these values. */
  async fill({ id, language, version }: Template, values: FieldValues, signal?: AbortSignal): Promise<string> {
    const body = { language, version, values };
    return (await call<{ text: string }>("POST", `${path}/${id}/fill`, { body, ...(signal ? { signal } : {}) })).text;
  }

  async versions({ id, language }: Template): Promise<readonly Template[]> {
    return (await call<{ versions: Template[] }>("GET", `${path}/${id}?language=${language}`)).versions;
  }

  /** Saves the next version of `id`, or a new template. */
  async save(body: TemplateBody, { id, language }: { id?: string; language: Language }): Promise<Template> {
    const { name, about, icon, temperature, fields, prompt, system } = body;
    const sent = { name, about, icon, temperature, fields, prompt, ...(system ? { system } : {}), language };
    const saved = id
      ? (await call<{ template: Template }>("PUT", `${path}/${id}`, { body: sent })).template
      : (await call<{ templates: Template[] }>("POST", path, { body: sent })).templates[0];
    await this.load(language);
    if (saved === undefined) throw new Error("The server saved no template.");
    return saved;
  }

  async remove({ id, language }: Template): Promise<void> {
    await call("DELETE", `${path}/${id}`);
    await this.load(language);
  }

  async restore({ id, language }: Template): Promise<void> {
    await call("POST", `${path}/${id}/restore`);
    await this.load(language);
  }

  /** Takes in a file of templates; tells how many there were. */
  async import(file: string, language: Language): Promise<number> {
    const { templates } = await call<{ templates: Template[] }>("POST", path, { body: JSON.parse(file) });
    await this.load(language);
    return templates.length;
  }

  /** One's own, as a file. */
  async exported(): Promise<string> {
    return JSON.stringify(await call("GET", `${path}/export`), null, 2);
  }
}

export function iconOf({ icon }: { icon: string }): IconName {
  return isIconName(icon) ? icon : "template";
}

/** The names of fields that a prompt uses, in their order. */
export function fieldsUsed(prompt: string): string[] {
  return [...new Set([...prompt.matchAll(/\{\{[#/]?([a-zA-Z]\w*)(?:\|join)?\}\}/g)].map((match) => match[1] ?? ""))];
}
