// Writing a template: its prompt with {{fields}}, which appear below as they are written. Saving makes the next version; older ones
// are read back into the form from the list.
import { type ReactElement, useEffect, useId, useState } from "react";
import type { TemperatureChoice } from "../conversation.ts";
import { messageError } from "../live-answer.ts";
import { usePreferences, useStrings } from "../preferences.ts";
import { fieldsUsed, type Template, type TemplateBody, type TemplateField } from "../templates.ts";
import { Button, Dialog, Segmented } from "../ui/controls.tsx";
import { showToast } from "../ui/toasts.tsx";
import type { Workbench } from "../workbench.ts";

const kinds = ["line", "text", "list", "number", "date", "choice"] as const;
const temperatures: readonly TemperatureChoice[] = ["precise", "balanced", "creative"];
const empty: TemplateBody = { name: "", about: "", icon: "template", temperature: "balanced", fields: [], prompt: "" };

export function TemplateEditor({
  workbench,
  template,
  onClose,
  onDone,
}: {
  workbench: Workbench;
  /** One's own is changed, one of Quern's is copied. */
  template: Template | undefined;
  onClose: () => void;
  onDone: (saved?: Template) => void;
}): ReactElement {
  const t = useStrings();
  const { language } = usePreferences();
  const own = template?.isOwn ? template : undefined;
  const [body, setBody] = useState<TemplateBody>(
    template === undefined ? empty : own ? template : { ...template, name: t.copyOf(template.name) },
  );
  const [versions, setVersions] = useState<readonly Template[]>([]);
  const [failure, setFailure] = useState<string>();
  const versionsId = useId();
  useEffect(() => {
    if (own) void workbench.guard(async () => setVersions(await workbench.templates.versions(own)));
  }, [workbench, own]);
  const change = (next: Partial<TemplateBody>): void => setBody({ ...body, ...next });
  const fields = fieldsUsed(body.prompt).map(
    (id) => body.fields.find((field) => field.id === id) ?? ({ id, kind: "line", label: id } as const),
  );
  const save = async (): Promise<void> => {
    try {
      const place = { language, ...(own ? { id: own.id } : {}) };
      onDone(await workbench.templates.save({ ...body, fields }, place));
    } catch (error) {
      const { message, hint = "" } = messageError(error);
      setFailure(`${message} ${hint}`.trim());
    }
  };
  const remove = (gone: Template): void =>
    void workbench.guard(async () => {
      await workbench.templates.remove(gone);
      showToast({
        text: t.removed(gone.name),
        action: { label: t.undo, run: () => void workbench.guard(() => workbench.templates.restore(gone)) },
      });
      onDone();
    });
  const line = (name: "name" | "about", label: string): ReactElement => (
    <TextField label={label} value={body[name]} onChange={(value) => change({ [name]: value })} />
  );
  return (
    <Dialog
      title={own ? t.templateEdit : t.templateNew}
      className="template"
      onClose={onClose}
      actions={
        <>
          {own && (
            <Button look="quiet" icon="trash" onClick={() => remove(own)}>
              {t.remove}
            </Button>
          )}
          <span className="spacer" />
          <Button onClick={() => onDone(own)}>{t.cancel}</Button>
          <Button look="primary" onClick={() => void save()}>
            {t.save}
          </Button>
        </>
      }
    >
      <div className="template-columns">
        <div className="fields">
          {line("name", t.templateName)}
          {line("about", t.templateAbout)}
          <TextField
            label={t.templatePrompt}
            hint={t.templatePromptHint}
            rows={8}
            value={body.prompt}
            onChange={(prompt) => change({ prompt })}
          />
          <TextField
            label={t.systemPrompt}
            rows={3}
            value={body.system ?? ""}
            onChange={(system) => change({ system })}
          />
        </div>
        <div className="fields">
          <Segmented
            label={t.temperature}
            value={body.temperature}
            options={temperatures.map((id) => ({ id, label: t.temperatureChoices[id] }))}
            onChange={(temperature) => change({ temperature })}
          />
          <h3>{t.templateFields}</h3>
          {fields.length === 0 && <p className="hint">{t.templateNoFields}</p>}
          {fields.map((field) => (
            <FieldRow
              key={field.id}
              field={field}
              onChange={(next) => change({ fields: fields.map((each) => (each.id === field.id ? next : each)) })}
            />
          ))}
          {versions.length > 1 && (
            <div className="field">
              <label htmlFor={versionsId}>{t.templateVersions}</label>
              <select
                id={versionsId}
                defaultValue={versions[0]?.version}
                onChange={(event) => {
                  const chosen = versions.find(({ version }) => version === Number(event.target.value));
                  if (chosen) setBody(chosen);
                }}
              >
                {versions.map(({ version, name }) => (
                  <option key={version} value={version}>
                    {t.versionOf(version, versions.length)} · {name}
                  </option>
                ))}
              </select>
            </div>
          )}
          {failure && (
            <p className="field-error" role="alert">
              {failure}
            </p>
          )}
        </div>
      </div>
    </Dialog>
  );
}

function TextField({
  label,
  hint,
  rows,
  value,
  onChange,
}: {
  label: string;
  hint?: string;
  rows?: number;
  value: string;
  onChange: (value: string) => void;
}): ReactElement {
  const id = useId();
  return (
    <div className="field">
      <label htmlFor={id}>{label}</label>
      {rows === undefined ? (
        <input id={id} type="text" value={value} onChange={(event) => onChange(event.target.value)} />
      ) : (
        <textarea id={id} rows={rows} value={value} onChange={(event) => onChange(event.target.value)} />
      )}
      {hint && <p className="hint">{hint}</p>}
    </div>
  );
}

function FieldRow({
  field,
  onChange,
}: {
  field: TemplateField;
  onChange: (field: TemplateField) => void;
}): ReactElement {
  const t = useStrings();
  const shown = (field.options ?? []).map(({ label }) => label).join("\n");
  const [options, setOptions] = useState(shown);
  return (
    <fieldset className="field-row">
      <legend>
        <code>{`{{${field.id}}}`}</code>
      </legend>
      <input
        type="text"
        value={field.label}
        aria-label={t.fieldLabel(field.id)}
        onChange={(event) => onChange({ ...field, label: event.target.value })}
      />
      <select
        value={field.kind}
        aria-label={t.fieldKind(field.id)}
        onChange={(event) => onChange({ ...field, kind: kinds.find((kind) => kind === event.target.value) ?? "line" })}
      >
        {kinds.map((kind) => (
          <option key={kind} value={kind}>
            {t.fieldKinds[kind]}
          </option>
        ))}
      </select>
      <label className="check">
        <input
          type="checkbox"
          checked={field.isRequired ?? false}
          onChange={(event) => onChange({ ...field, isRequired: event.target.checked })}
        />
        {t.required}
      </label>
      {field.kind === "choice" && (
        <textarea
          rows={3}
          value={options}
          aria-label={t.fieldOptions(field.id)}
          placeholder={t.fieldOptions(field.id)}
          onChange={(event) => {
            setOptions(event.target.value);
            const labels = event.target.value.split("\n").filter((each) => each.trim() !== "");
            onChange({ ...field, options: labels.map((label, n) => ({ id: `option${n + 1}`, label: label.trim() })) });
          }}
        />
      )}
    </fieldset>
  );
}
