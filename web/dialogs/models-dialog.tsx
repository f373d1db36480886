// Models: what is loaded, what is on the disk, what can be fetched, which one to use; and how the engine runs.
import { type ReactElement, useEffect, useState } from "react";
import type { PullBody } from "../../src/server/api-types.ts";
import { call } from "../api.ts";
import { changeEngine, useEngine } from "../engine-choice.ts";
import { usePreferences, useStrings } from "../preferences.ts";
import { useSignal } from "../signal.ts";
import { Button, Dialog } from "../ui/controls.tsx";
import { bytes } from "../ui/format.ts";
import { showToast } from "../ui/toasts.tsx";
import type { Workbench } from "../workbench.ts";
import { EngineForm, EngineWork } from "./engine-form.tsx";

interface ListedModel {
  id: string;
  about: { en: string; zh: string };
  fileBytes: number;
  presentBytes: number;
  state: "bundled" | "downloaded" | "partial" | "absent" | "damaged" | "own file";
  isDemonstration: boolean;
  isLoaded: boolean;
}

interface ModelsBody {
  models: ListedModel[];
  disk: { usedBytes: number; freeBytes: number; totalBytes: number };
}

const isOpen = (state: PullBody["state"]): boolean => state === "waiting" || state === "running";

export function ModelsDialog({ workbench, onClose }: { workbench: Workbench; onClose: () => void }): ReactElement {
  const t = useStrings();
  const { live } = useSignal(workbench.engine.view);
  const state = useEngine(workbench);
  const { body: engine, work } = state;
  const [body, setBody] = useState<ModelsBody>();
  const [asked, setAsked] = useState<readonly PullBody[]>([]);
  const pulls = live?.pulls ?? [];
  const running = pulls.map(({ jobId }) => jobId).join(" ");
  const reload = (): Promise<void> =>
    workbench.guard(async () => setBody(await call<ModelsBody>("GET", "/workspace/models")));
  // biome-ignore lint/correctness/useExhaustiveDependencies: a download that ended, and another model, change the list
  useEffect(() => void reload(), [running, engine?.running.model]);
  const readAt = live?.at;
  // What became of a download that the live reading no longer tells of; one may fail before any reading did.
  // biome-ignore lint/correctness/useExhaustiveDependencies: each reading is an occasion to ask
  useEffect(() => {
    const open = asked.filter(({ state, jobId }) => isOpen(state) && !pulls.some((pull) => pull.jobId === jobId));
    for (const { jobId } of open) {
      void workbench.guard(async () => {
        const job = await call<PullBody>("GET", `/workspace/jobs/${jobId}`);
        setAsked((before) => before.map((each) => (each.jobId === jobId ? job : each)));
        if (!isOpen(job.state)) await reload();
      });
    }
  }, [readAt]);
  const act = (work: () => Promise<unknown>): void => void workbench.guard(work).then(reload);
  return (
    <Dialog title={t.models} className="wide" onClose={onClose}>
      {body && (
        <>
          <p className="hint">{t.diskUse(bytes(body.disk.usedBytes), bytes(body.disk.freeBytes))}</p>
          <ul className="models">
            {body.models.map((model) => (
              <Model
                key={model.id}
                model={model}
                isReady={live?.engine.state === "ready"}
                pull={pulls.find(({ modelId }) => modelId === model.id)}
                failure={asked.findLast(({ modelId, state }) => modelId === model.id && state === "failed")?.error}
                onPull={() =>
                  act(async () => {
                    const job = await call<PullBody>("POST", `/workspace/models/${model.id}/pull`);
                    setAsked((before) => [...before.filter(({ modelId }) => modelId !== model.id), job]);
                  })
                }
                onCancel={(jobId) => act(() => call("POST", `/workspace/jobs/${jobId}/cancel`))}
                onRemove={() => act(() => call("DELETE", `/workspace/models/${model.id}`))}
                onUse={
                  engine?.canChange && work === undefined
                    ? () =>
                        act(async () => {
                          const isUsed = await changeEngine(workbench, { model: model.id });
                          if (isUsed) showToast({ text: t.modelUsed(model.id) });
                        })
                    : undefined
                }
              />
            ))}
          </ul>
          <EngineWork workbench={workbench} state={state} of={["model"]} />
        </>
      )}
      <EngineForm workbench={workbench} />
    </Dialog>
  );
}

function Model({
  model,
  isReady,
  pull,
  failure,
  onPull,
  onCancel,
  onRemove,
  onUse,
}: {
  model: ListedModel;
  /** Of the engine: until then its model is being loaded. */
  isReady: boolean;
  pull: PullBody | undefined;
  failure: PullBody["error"];
  onPull: () => void;
  onCancel: (jobId: string) => void;
  onRemove: () => void;
  /** Absent while it cannot be. */
  onUse: (() => void) | undefined;
}): ReactElement {
  const t = useStrings();
  const { language } = usePreferences();
  const [isSure, setSure] = useState(false);
  const { id, state, isLoaded, fileBytes, presentBytes } = model;
  const canPull = state === "absent" || state === "partial" || state === "damaged";
  const canRemove =
    !isLoaded && pull === undefined && (state === "downloaded" || state === "partial" || state === "damaged");
  return (
    <li className="model" aria-label={id}>
      <div className="model-words">
        <div>
          <strong>{id}</strong>{" "}
          <span className={isLoaded ? "tag loaded" : "tag"}>
            {isLoaded ? (isReady ? t.modelLoaded : t.engineStates.loading) : t.modelStates[state]}
          </span>
        </div>
        <p className="hint">
          {state === "partial" ? `${bytes(presentBytes)} / ` : ""}
          {bytes(fileBytes)} · {model.about[language]}
        </p>
        {pull && <PullProgress pull={pull} />}
        {failure && (
          <p className="field-error" role="alert">
            {t.pullFailures[failure.code] ?? t.pullFailed}{" "}
            <small lang="en">
              {failure.message} {failure.hint}
            </small>
          </p>
        )}
      </div>
      {pull ? (
        <Button onClick={() => onCancel(pull.jobId)}>{t.cancel}</Button>
      ) : (
        <>
          {!isLoaded && !canPull && (
            <Button disabled={onUse === undefined} onClick={onUse}>
              {t.useModel}
            </Button>
          )}
          {canPull && (
            <Button icon="download" onClick={onPull}>
              {state === "partial" ? t.pullOn : t.pull}
            </Button>
          )}
          {canRemove && (
            <Button
              icon="trash"
              look={isSure ? "primary" : "quiet"}
              onClick={() => (isSure ? onRemove() : setSure(true))}
            >
              {isSure ? t.reallyRemove(bytes(presentBytes)) : t.remove}
            </Button>
          )}
        </>
      )}
    </li>
  );
}

function PullProgress({ pull: { progress } }: { pull: PullBody }): ReactElement {
  const t = useStrings();
  if (progress === undefined) return <p className="hint">{t.pullPhases.connecting}</p>;
  const { phase, doneBytes, totalBytes, bytesPerSecond, secondsLeft } = progress;
  const left = secondsLeft === undefined ? "" : ` · ${t.aboutSeconds(Math.ceil(secondsLeft))}`;
  return (
    <div className="pull">
      <progress max={Math.max(1, totalBytes)} value={doneBytes} aria-label={t.pullPhases[phase]} />
      <p className="hint">
        {t.pullPhases[phase]}: {bytes(doneBytes)} / {bytes(totalBytes)} · {bytes(bytesPerSecond)}/s{left}
      </p>
    </div>
  );
}
