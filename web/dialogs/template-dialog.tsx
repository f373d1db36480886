// A template's fields beside the prompt that they make. Nothing is hidden: what the preview shows is what goes into the message.
import { type ReactElement, useEffect, useId, useState } from "react";
import { isLongPaste, toAttachment } from "../chat/attachment.ts";
import type { DraftText } from "../chat/draft.ts";
import { titleFrom } from "../conversation.ts";
import { useStrings } from "../preferences.ts";
import { useSignal } from "../signal.ts";
import type { Strings } from "../strings.ts";
import type { FieldValues, Template, TemplateField } from "../templates.ts";
import { Button, Dialog } from "../ui/controls.tsx";
import type { Workbench } from "../workbench.ts";
import { TemplateChoice } from "./template-choice.tsx";
import { TemplateEditor } from "./template-editor.tsx";

const previewPauseMs = 120;

type View = { kind: "choice" } | { kind: "fill"; id: string } | { kind: "edit"; template?: Template };

export function TemplateDialog({
  workbench,
  initialId,
  onClose,
  onInsert,
}: {
  workbench: Workbench;
  initialId: string | undefined;
  onClose: () => void;
  onInsert: (draft: DraftText, options: { isSent: boolean }) => void;
}): ReactElement | undefined {
  const [view, setView] = useState<View>(
    initialId === undefined ? { kind: "choice" } : { kind: "fill", id: initialId },
  );
  const templates = useSignal(workbench.templates.list);
  const template = view.kind === "fill" ? templates.find(({ id }) => id === view.id) : undefined;
  if (view.kind === "edit") {
    return (
      <TemplateEditor
        workbench={workbench}
        template={view.template}
        onClose={onClose}
        onDone={(saved) => setView(saved ? { kind: "fill", id: saved.id } : { kind: "choice" })}
      />
    );
  }
  if (template === undefined) {
    return (
      <TemplateChoice
        workbench={workbench}
        onClose={onClose}
        onChoose={(id) => setView({ kind: "fill", id })}
        onNew={() => setView({ kind: "edit" })}
      />
    );
  }
  return (
    <Filling
      key={template.id}
      workbench={workbench}
      template={template}
      onClose={onClose}
      onInsert={onInsert}
      onEdit={() => setView({ kind: "edit", template })}
    />
  );
}

function Filling({
  workbench,
  template,
  onClose,
  onInsert,
  onEdit,
}: {
  workbench: Workbench;
  template: Template;
  onClose: () => void;
  onInsert: (draft: DraftText, options: { isSent: boolean }) => void;
  onEdit: () => void;
}): ReactElement {
  const t = useStrings();
  const [values, setValues] = useState<FieldValues>({});
  const [isTried, setTried] = useState(false);
  const preview = usePreview(workbench, template, values);
  const missing = template.fields.filter((field) => field.isRequired && !values[field.id]?.trim());
  const insert = async (isSent: boolean): Promise<void> => {
    setTried(true);
    if (missing.length > 0) return;
    await workbench.guard(async () => onInsert(await toDraft(workbench, template, { values, t }), { isSent }));
  };
  return (
    <Dialog
      title={template.name}
      className="template"
      onClose={onClose}
      actions={
        <>
          {template.example && (
            <Button look="quiet" onClick={() => setValues(template.example ?? {})}>
              {t.templateFill}
            </Button>
          )}
          <Button look="quiet" icon={template.isOwn ? "pencil" : "copy"} onClick={onEdit}>
            {template.isOwn ? t.templateEdit : t.templateCopy}
          </Button>
          <span className="spacer" />
          <Button onClick={() => void insert(false)}>{t.templateInsert}</Button>
          <Button look="primary" icon="send" onClick={() => void insert(true)}>
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
          <p className="hint">
            {t.temperature}: {t.temperatureChoices[template.temperature]}
          </p>
          {isTried && missing.length > 0 && (
            <p className="field-error" role="alert">
              {t.fillFirst}
            </p>
          )}
        </form>
        <section className="preview" aria-label={t.preview}>
          <h3>{t.preview}</h3>
          {/* biome-ignore lint/a11y/noNoninteractiveTabindex: it scrolls, and the keyboard must reach it */}
          <pre tabIndex={0}>{preview.slice(0, 8000)}</pre>
        </section>
      </div>
    </Dialog>
  );
}

/** The prompt as the server makes it; a required field that is still empty shows its name. */
function usePreview(workbench: Workbench, template: Template, values: FieldValues): string {
  const [text, setText] = useState("");
  useEffect(() => {
    const leaving = new AbortController();
    const shown = Object.fromEntries(
      template.fields.flatMap(({ id, label, isRequired }) => {
        const value = values[id] ?? "";
        return value.trim() !== "" ? [[id, value]] : isRequired ? [[id, `【${label}】`]] : [];
      }),
    );
    const timer = setTimeout(
      () =>
        void workbench.guard(
          async () => setText(await workbench.templates.fill(template, shown, leaving.signal)),
          leaving.signal,
        ),
      previewPauseMs,
    );
    return () => {
      clearTimeout(timer);
      leaving.abort();
    };
  }, [workbench, template, values]);
  return text;
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
  const id = useId();
  const shared = { id, value, "aria-required": field.isRequired, "aria-invalid": isMissing } as const;
  return (
    <div className="field">
      <label htmlFor={id}>
        {field.label}
        {field.isRequired && <span className="required">{t.required}</span>}
      </label>
      {field.kind === "choice" ? (
        <select {...shared} value={value || field.options?.[0]?.id} onChange={(event) => onChange(event.target.value)}>
          {field.options?.map((option) => (
            <option key={option.id} value={option.id}>
              {option.label}
            </option>
          ))}
        </select>
      ) : field.kind === "text" || field.kind === "list" ? (
        <textarea
          {...shared}
          rows={field.kind === "list" ? 4 : 5}
          placeholder={field.placeholder}
          onChange={(event) => onChange(event.target.value)}
        />
      ) : (
        <input
          {...shared}
          type={field.kind === "date" ? "date" : "text"}
          inputMode={field.kind === "number" ? "decimal" : undefined}
          placeholder={field.placeholder}
          onChange={(event) => onChange(event.target.value)}
        />
      )}
    </div>
  );
}

/** A field too long for the text area goes along as an attachment, whole; the prompt says where it is. */
async function toDraft(
  workbench: Workbench,
  template: Template,
  { values, t }: { values: FieldValues; t: Strings },
): Promise<DraftText> {
  const long = template.fields.filter(({ id }) => isLongPaste(values[id] ?? ""));
  const attachments = long.map(({ id }, n) => toAttachment(t.pastedText(n + 1), values[id] ?? "", { isPasted: true }));
  const short = { ...values, ...Object.fromEntries(long.map(({ id }) => [id, t.seeAttachment])) };
  const told = template.fields.find(({ id, kind }) => kind !== "choice" && values[id]?.trim());
  return {
    text: (await workbench.templates.fill(template, short)).trim(),
    attachments,
    title: titleFrom(`${template.name} · ${titleFrom(told ? (values[told.id] ?? "") : "", [])}`, []),
    temperatureChoice: template.temperature,
    ...(template.system === undefined ? {} : { system: template.system }),
  };
}
