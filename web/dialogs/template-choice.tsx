// All templates by group, one's own first to hand, and the ways in and out: new, from a file, to a file.
import { type ReactElement, useRef } from "react";
import { usePreferences, useStrings } from "../preferences.ts";
import { useSignal } from "../signal.ts";
import { iconOf, type Template } from "../templates.ts";
import { saveFile } from "../ui/clipboard.ts";
import { Button, Dialog } from "../ui/controls.tsx";
import { Icon } from "../ui/icons.tsx";
import { showToast } from "../ui/toasts.tsx";
import type { Workbench } from "../workbench.ts";

const groups = ["own", "daily", "office", "code", "language"] as const;

export function TemplateChoice({
  workbench,
  onClose,
  onChoose,
  onNew,
}: {
  workbench: Workbench;
  onClose: () => void;
  onChoose: (id: string) => void;
  onNew: () => void;
}): ReactElement {
  const t = useStrings();
  const { language } = usePreferences();
  const templates = useSignal(workbench.templates.list);
  const picker = useRef<HTMLInputElement>(null);
  const groupOf = ({ isOwn, group }: Template): string => (isOwn ? "own" : group);
  const bringIn = (file: File | undefined): void => {
    if (file === undefined) return;
    void workbench.guard(async () => {
      const count = await workbench.templates.import(await file.text(), language);
      showToast({ text: t.templatesImported(count) });
    });
  };
  return (
    <Dialog
      title={t.templates}
      className="wide"
      onClose={onClose}
      actions={
        <>
          <Button icon="plus" onClick={onNew}>
            {t.templateNew}
          </Button>
          <span className="spacer" />
          <Button look="quiet" icon="upload" onClick={() => picker.current?.click()}>
            {t.templateImport}
          </Button>
          {templates.some(({ isOwn }) => isOwn) && (
            <Button
              look="quiet"
              icon="download"
              onClick={() =>
                void workbench.guard(async () =>
                  saveFile("quern-templates.json", "application/json", await workbench.templates.exported()),
                )
              }
            >
              {t.templateExport}
            </Button>
          )}
          <input
            ref={picker}
            type="file"
            accept=".json,application/json"
            hidden
            aria-label={t.templateImport}
            onChange={(event) => {
              bringIn(event.target.files?.[0]);
              event.target.value = "";
            }}
          />
        </>
      }
    >
      {groups.map((group) => {
        const members = templates.filter((template) => groupOf(template) === group);
        if (members.length === 0) return null;
        return (
          <section key={group} className="template-group" aria-label={t.templateGroups[group]}>
            <h3>{t.templateGroups[group]}</h3>
            <TemplateCards templates={members} onChoose={onChoose} />
          </section>
        );
      })}
    </Dialog>
  );
}

export function TemplateCards({
  templates,
  onChoose,
}: {
  templates: readonly Template[];
  onChoose: (id: string) => void;
}): ReactElement {
  return (
    <div className="cards">
      {templates.map((template) => (
        <button key={template.id} type="button" className="card" onClick={() => onChoose(template.id)}>
          <Icon name={iconOf(template)} />
          <span className="card-name">{template.name}</span>
          <span className="card-about">{template.about}</span>
        </button>
      ))}
    </div>
  );
}
