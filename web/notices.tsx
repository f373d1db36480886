// Lines above the conversation that concern the whole page: the demonstration model, an engine that is not ready, a store that
// failed. Each says what is so and what to do.
import { type ReactElement, useEffect, useId, useState } from "react";
import { setApiKey } from "./api-key.ts";
import { stateOf } from "./engine-panel.tsx";
import { declineLeft, importLeft, leftConversations } from "./left-conversations.ts";
import { setPreferences, usePreferences, useStrings } from "./preferences.ts";
import { useSignal } from "./signal.ts";
import { Button, IconButton } from "./ui/controls.tsx";
import { CopyButton } from "./ui/copy-button.tsx";
import { Icon } from "./ui/icons.tsx";
import { showToast } from "./ui/toasts.tsx";
import type { Workbench } from "./workbench.ts";

const pullCommand = "npx quern models pull qwen3-4b-instruct-2507";
// Hugging Face is hard to reach from the Chinese mainland; the mirror holds the same file.
const pullCommands = { en: pullCommand, zh: `${pullCommand} --hub modelscope` } as const;

export function Notices({ workbench, onModels }: { workbench: Workbench; onModels: () => void }): ReactElement {
  return (
    <div className="notices">
      <KeyNotice workbench={workbench} />
      <EngineNotice workbench={workbench} />
      <DemoNotice workbench={workbench} onModels={onModels} />
      <LeftNotice workbench={workbench} />
      <StoreNotice workbench={workbench} />
    </div>
  );
}

function EngineNotice({ workbench }: { workbench: Workbench }): ReactElement | undefined {
  const t = useStrings();
  const view = useSignal(workbench.engine.view);
  const state = stateOf(view);
  if (state === "ready" || state === "connecting") return;
  const progress = view.status?.loadProgress;
  const words =
    state === "unreachable"
      ? t.serverUnreachable
      : state === "loading"
        ? t.engineLoading(progress === undefined ? undefined : Math.round(progress * 100))
        : state === "restarting"
          ? t.engineRestarting
          : t.engineFailed(view.status?.lastFailure ?? "");
  const isBad = state === "failed" || state === "unreachable" || state === "stopped";
  return (
    <div className={isBad ? "notice bad" : "notice"} role="status">
      <span className={`state-dot ${state}`} />
      <p>{words}</p>
      {state === "unreachable" && (
        <Button icon="retry" onClick={() => workbench.engine.refresh()}>
          {t.retry}
        </Button>
      )}
    </div>
  );
}

function KeyNotice({ workbench }: { workbench: Workbench }): ReactElement | undefined {
  const t = useStrings();
  const { needsKey } = useSignal(workbench.engine.view);
  const id = useId();
  if (!needsKey) return;
  return (
    <form
      className="notice key"
      onSubmit={(event) => {
        event.preventDefault();
        const key = String(new FormData(event.currentTarget).get("key") ?? "").trim();
        if (key === "") return;
        setApiKey(key);
        workbench.engine.refresh();
      }}
    >
      <label htmlFor={id}>{t.errors.invalid_api_key}</label>
      <input id={id} name="key" type="password" autoComplete="off" placeholder={t.apiKey} />
      <button type="submit" className="button primary">
        {t.useKey}
      </button>
    </form>
  );
}

function DemoNotice({ workbench, onModels }: { workbench: Workbench; onModels: () => void }): ReactElement | undefined {
  const t = useStrings();
  const isEmpty = useSignal(workbench.open).head.leafId === undefined;
  const { isDemoNoticeOpen: isOpen = isEmpty, language } = usePreferences();
  const command = pullCommands[language];
  const isDemonstration = useSignal(workbench.engine.view).status?.model.isDemonstration;
  const id = useId();
  if (!isDemonstration) return;
  return (
    <div className="notice demo">
      <Icon name="alert" />
      <div className="demo-words">
        <p>
          <strong>{t.demoTitle}</strong>{" "}
          <Button
            look="quiet"
            aria-expanded={isOpen}
            aria-controls={id}
            onClick={() => setPreferences({ isDemoNoticeOpen: !isOpen })}
          >
            {isOpen ? t.demoLess : t.demoMore}
          </Button>
        </p>
        <div id={id} hidden={!isOpen}>
          <p>{t.demoText}</p>
          <p>{t.demoGet}</p>
          <p className="command">
            <Button icon="bolt" onClick={onModels}>
              {t.models}
            </Button>
            <span className="command-line">
              <code>{command}</code>
              <CopyButton label={t.copy} content={() => ({ text: command })} />
            </span>
          </p>
        </div>
      </div>
    </div>
  );
}

function LeftNotice({ workbench }: { workbench: Workbench }): ReactElement | undefined {
  const t = useStrings();
  const [files, setFiles] = useState<readonly object[]>([]);
  const [isBusy, setBusy] = useState(false);
  useEffect(() => {
    void workbench.guard(async () => setFiles(await leftConversations()));
  }, [workbench]);
  if (files.length === 0) return;
  const bring = async (): Promise<void> => {
    setBusy(true);
    await workbench.guard(async () => {
      await importLeft(workbench.store, files);
      setFiles([]);
      showToast({ text: t.leftDone(files.length) });
    });
    setBusy(false);
  };
  return (
    <div className="notice" role="status">
      <Icon name="download" />
      <p>
        <strong>{t.leftTitle(files.length)}</strong> {t.leftText}
      </p>
      <Button look="primary" disabled={isBusy} onClick={() => void bring()}>
        {t.leftImport}
      </Button>
      <Button
        look="quiet"
        onClick={() => {
          declineLeft();
          setFiles([]);
        }}
      >
        {t.leftDecline}
      </Button>
    </div>
  );
}

function StoreNotice({ workbench }: { workbench: Workbench }): ReactElement | undefined {
  const t = useStrings();
  const failure = useSignal(workbench.failure);
  if (failure === undefined) return;
  return (
    <div className="notice bad" role="alert">
      <Icon name="alert" />
      <p>
        {t.errors.storage} {t.errors.storageHint} <small>{failure.message}</small>
      </p>
      <IconButton
        icon="close"
        label={t.close}
        onClick={() => {
          workbench.failure.value = undefined;
        }}
      />
    </div>
  );
}
