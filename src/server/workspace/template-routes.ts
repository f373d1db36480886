// Templates over HTTP: Quern's and one's own, versions, filling in, and files of them.
import { builtInTemplates } from "../../workspace/template-list.ts";
import { type FieldValues, fillTemplate, type TemplateLanguage } from "../../workspace/template-text.ts";
import type { Template } from "../../workspace/templates.ts";
import type { ApiContext } from "../api.ts";
import { refuse } from "../errors.ts";
import { Fields, given, isObject } from "../fields.ts";
import { asActor, type WorkspaceHandler } from "./workspace-door.ts";
import { fieldsOf, idParam, parseId, queryInteger } from "./workspace-fields.ts";

const languages = ["zh", "en"] as const;
const bodyFields = ["name", "about", "icon", "temperature", "fields", "prompt", "system", "instruction", "example"];
const fileFormat = "quern-templates";
const mostImported = 1000;

export const listTemplates: WorkspaceHandler = (context, _api, { workspace }) =>
  context.json({ templates: workspace.templates.list(queryLanguage(context)) });

/** Makes a template, or takes in a file of them: `{format: "quern-templates", templates: […]}`. */
export const addTemplates: WorkspaceHandler = async (context, api, door) => {
  const fields = await fieldsOf(context, api, [...bodyFields, "id", "language", "format", "version", "templates"]);
  const list = fields.list("templates", mostImported);
  const items = list ? list.map((item, index) => Fields.of(item, `templates[${index}]`)) : [fields];
  const format = fields.string("format");
  if (format !== undefined && format !== fileFormat) throw refuse("format", `This is no ${fileFormat} file.`);
  const templates = asActor(context, door, () =>
    door.workspace.store.transaction(() =>
      items.map((item) => {
        const language = item.required("language", item.choice("language", languages));
        const id = parseId(item);
        // A copy of one that comes with Quern becomes one's own, under an id of its own.
        const isTaken = builtInTemplates.some((known) => known.id === id);
        return door.workspace.templates.save(item.values, { ...given("id", isTaken ? undefined : id), language });
      }),
    ),
  );
  return context.json({ templates }, 201);
};

export const readTemplate: WorkspaceHandler = (context, _api, { workspace }) => {
  const language = queryLanguage(context);
  const version = queryInteger(context, "version", { least: 1, most: 1_000_000 });
  const template = workspace.templates.get(idParam(context), { language, ...given("version", version) });
  return context.json({ template, versions: workspace.templates.versions(template.id, language) });
};

export const saveTemplate: WorkspaceHandler = async (context, api, door) => {
  const fields = await fieldsOf(context, api, [...bodyFields, "language"]);
  const language = fields.required("language", fields.choice("language", languages));
  const id = idParam(context);
  const template = asActor(context, door, () => door.workspace.templates.save(fields.values, { id, language }));
  return context.json({ template });
};

export const deleteTemplate: WorkspaceHandler = (context, _api, door) => {
  asActor(context, door, () => door.workspace.templates.delete(idParam(context)));
  return context.json({ id: idParam(context), isDeleted: true });
};

export const restoreTemplate: WorkspaceHandler = (context, _api, door) => {
  asActor(context, door, () => door.workspace.templates.restore(idParam(context)));
  return context.json({ id: idParam(context), isDeleted: false });
};

/** The prompt that a template makes of its fields: what the page previews and sends. */
export const fillTemplateRoute: WorkspaceHandler = async (context, api, { workspace }) => {
  const fields = await fieldsOf(context, api, ["language", "version", "values"]);
  const language = fields.required("language", fields.choice("language", languages));
  const version = fields.integer("version", 1, 1_000_000);
  const template = workspace.templates.get(idParam(context), { language, ...given("version", version) });
  const values = fields.raw("values") ?? {};
  if (!isObject(values)) throw refuse("values", "values must be an object of texts.");
  const wrong = Object.keys(values).find((name) => typeof values[name] !== "string");
  if (wrong !== undefined) throw refuse(`values.${wrong}`, `values.${wrong.slice(0, 64)} must be a string.`);
  return context.json({
    text: fillTemplate(template, values as FieldValues),
    temperatureChoice: template.temperature,
    ...given("system", template.system),
  });
};

export const exportTemplates: WorkspaceHandler = (context, _api, { workspace }) => {
  const templates = languages.flatMap((language) => workspace.templates.list(language).filter(({ isOwn }) => isOwn));
  return context.json({ format: fileFormat, version: 1, templates: templates.map(exported) }, 200, {
    "content-disposition": `attachment; filename="${fileFormat}.json"`,
  });
};

function exported({ id, language, isOwn: _, version: __, group: ___, ...body }: Template): object {
  return { id, language, ...body };
}

function queryLanguage(context: ApiContext): TemplateLanguage {
  const language = context.req.query("language") ?? "zh";
  const known = languages.find((each) => each === language);
  if (known) return known;
  throw refuse("language", `language is ${languages.join(" or ")}, not "${language.slice(0, 40)}".`);
}
