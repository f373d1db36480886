// Lines above the conversation that concern the whole page: the demonstration model, an engine that is not ready, a store that
// failed. Each says what is so and what to do.
import { type ReactElement, useId } from "react";
import { stateOf } from "./engine-panel.tsx";
import { setPreferences, usePreferences, useStrings } from "./preferences.ts";
import { useSignal } from "./signal.ts";
import { Button, IconButton } from "./ui/controls.tsx";
import { CopyButton } from "./ui/copy-button.tsx";
import { Icon } from "./ui/icons.tsx";
import type { Workbench } from "./workbench.ts";

const pullCommand = "npx quern models pull";

export function Notices({ workbench }: { workbench: Workbench }): ReactElement {
  return (
    <div className="notices">
      <EngineNotice workbench={workbench} />
      <DemoNotice workbench={workbench} />
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

function DemoNotice({ workbench }: { workbench: Workbench }): ReactElement | undefined {
  const t = useStrings();
  const { isDemoNoticeOpen } = usePreferences();
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
            aria-expanded={isDemoNoticeOpen}
            aria-controls={id}
            onClick={() => setPreferences({ isDemoNoticeOpen: !isDemoNoticeOpen })}
          >
            {isDemoNoticeOpen ? t.demoLess : t.demoMore}
          </Button>
        </p>
        <div id={id} hidden={!isDemoNoticeOpen}>
          <p>{t.demoText}</p>
          <p>{t.demoGet}</p>
          <p className="command">
            <code>{pullCommand}</code>
            <CopyButton label={t.copy} content={() => ({ text: pullCommand })} />
            <code>npm start</code>
          </p>
        </div>
      </div>
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
