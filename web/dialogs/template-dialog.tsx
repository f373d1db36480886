// A template's fields beside the prompt that they make. Nothing is hidden: what the preview shows is what goes into the message.
import { type ReactElement, useId, useState } from "react";
import { isLongPaste, toAttachment } from "../chat/attachment.ts";
import type { DraftText } from "../chat/draft.ts";
import { titleFrom } from "../conversation.ts";
import { usePreferences, useStrings } from "../preferences.ts";
import type { Language } from "../strings.ts";
import { type FieldValues, type Template, type TemplateField, templates } from "../templates.ts";
import { Button, Dialog } from "../ui/controls.tsx";
import { Icon } from "../ui/icons.tsx";

export function TemplateDialog({
  initialId,
  onClose,
  onInsert,
}: {
  initialId: string | undefined;
  onClose: () => void;
  onInsert: (draft: DraftText, options: { isSent: boolean }) => void;
}): ReactElement {
  const t = useStrings();
  const { language } = usePreferences();
  const [id, setId] = useState(initialId);
  const [values, setValues] = useState<FieldValues>({});
  const [isTried, setTried] = useState(false);
  const template = templates.find((each) => each.id === id);
  if (template === undefined) return <Choice onClose={onClose} onChoose={setId} />;

  const missing = template.fields.filter((field) => field.isRequired && !values[field.id]?.trim());
  const insert = (isSent: boolean): void => {
    setTried(true);
    if (missing.length === 0) onInsert(toDraft(template, values, { language, nameOf: t.pastedText }), { isSent });
  };
  return (
    <Dialog
      title={template.name[language]}
      className="template"
      onClose={onClose}
      actions={
        <>
          <Button look="quiet" onClick={() => setValues(template.example[language])}>
            {t.templateFill}
          </Button>
          <span className="spacer" />
          <Button onClick={() => insert(false)}>{t.templateInsert}</Button>
          <Button look="primary" icon="send" onClick={() => insert(true)}>
            {t.templateSend}
          </Button>
        </>
      }
    >
      <div className="template-columns">
        <form className="fields" onSubmit={(event) => event.preventDefault()}>
          {template.fields.map((field) => (
            <Field
              key={field.id}
              field={field}
              value={values[field.id] ?? ""}
              isMissing={isTried && missing.includes(field)}
              onChange={(value) => setValues({ ...values, [field.id]: value })}
            />
          ))}
          {isTried && missing.length > 0 && (
            <p className="field-error" role="alert">
              {t.fillFirst}
            </p>
          )}
        </form>
        <section className="preview" aria-label={t.preview}>
          <h3>{t.preview}</h3>
          {/* biome-ignore lint/a11y/noNoninteractiveTabindex: it scrolls, and the keyboard must reach it */}
          <pre tabIndex={0}>{template.build(values, language).slice(0, 8000)}</pre>
        </section>
      </div>
    </Dialog>
  );
}

function Choice({ onClose, onChoose }: { onClose: () => void; onChoose: (id: string) => void }): ReactElement {
  const t = useStrings();
  return (
    <Dialog title={t.templates} onClose={onClose}>
      <TemplateCards onChoose={onChoose} />
    </Dialog>
  );
}

export function TemplateCards({ onChoose }: { onChoose: (id: string) => void }): ReactElement {
  const { language } = usePreferences();
  return (
    <div className="cards">
      {templates.map((template) => (
        <button key={template.id} type="button" className="card" onClick={() => onChoose(template.id)}>
          <Icon name={template.icon} />
          <span className="card-name">{template.name[language]}</span>
          <span className="card-about">{template.about[language]}</span>
        </button>
      ))}
    </div>
  );
}

function Field({
  field,
  value,
  isMissing,
  onChange,
}: {
  field: TemplateField;
  value: string;
  isMissing: boolean;
  onChange: (value: string) => void;
}): ReactElement {
  const t = useStrings();
  const { language } = usePreferences();
  const id = useId();
  const shared = { id, value, "aria-required": field.isRequired, "aria-invalid": isMissing } as const;
  const placeholder = field.placeholder?.[language];
  return (
    <div className="field">
      <label htmlFor={id}>
        {field.label[language]}
        {field.isRequired && <span className="required">{t.required}</span>}
      </label>
      {field.kind === "choice" ? (
        <select {...shared} value={value || field.options?.[0]?.id} onChange={(event) => onChange(event.target.value)}>
          {field.options?.map((option) => (
            <option key={option.id} value={option.id}>
              {option.label[language]}
            </option>
          ))}
        </select>
      ) : field.kind === "text" ? (
        <textarea {...shared} rows={5} placeholder={placeholder} onChange={(event) => onChange(event.target.value)} />
      ) : (
        <input {...shared} type="text" placeholder={placeholder} onChange={(event) => onChange(event.target.value)} />
      )}
    </div>
  );
}

/** "Weekly report · finished the review …" */
function titleOf(template: Template, values: FieldValues, language: Language): string {
  const subject = template.titleFields.map((id) => titleFrom(values[id] ?? "", [])).filter((text) => text !== "");
  return titleFrom(`${template.name[language]} · ${subject.join(" ")}`, []);
}

/** A field too long for the text area goes along as an attachment, whole. */
function toDraft(
  template: Template,
  values: FieldValues,
  { language, nameOf }: { language: Language; nameOf: (n: number) => string },
): DraftText {
  const long = template.fields.filter((field) => isLongPaste(values[field.id] ?? ""));
  const attachments = long.map((field, n) => toAttachment(nameOf(n + 1), values[field.id] ?? "", { isPasted: true }));
  const short = { ...values, ...Object.fromEntries(long.map((field) => [field.id, ""])) };
  return {
    text: template.build(short, language).trim(),
    attachments,
    title: titleOf(template, values, language),
    temperatureChoice: template.temperature,
  };
}
