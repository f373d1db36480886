// Models: what is loaded, what is on the disk, what can be fetched; and the settings that are fixed while Quern runs, with the command
// that changes them. The server cannot change those at run time, so there is no button that would only look like it.
import { type ReactElement, useEffect, useState } from "react";
import type { PullBody } from "../../src/server/api-types.ts";
import { call, type EngineStatus } from "../api.ts";
import { useStrings } from "../preferences.ts";
import { useSignal } from "../signal.ts";
import { Button, Dialog } from "../ui/controls.tsx";
import { CopyButton } from "../ui/copy-button.tsx";
import { bytes, shortCount } from "../ui/format.ts";
import type { Workbench } from "../workbench.ts";

interface ListedModel {
  id: string;
  about: string;
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
  const { live, status } = useSignal(workbench.engine.view);
  const [body, setBody] = useState<ModelsBody>();
  const [asked, setAsked] = useState<readonly PullBody[]>([]);
  const pulls = live?.pulls ?? [];
  const running = pulls.map(({ jobId }) => jobId).join(" ");
  const reload = (): Promise<void> =>
    workbench.guard(async () => setBody(await call<ModelsBody>("GET", "/workspace/models")));
  // biome-ignore lint/correctness/useExhaustiveDependencies: a download that ended changed the list
  useEffect(() => void reload(), [running]);
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
              />
            ))}
          </ul>
        </>
      )}
      {status && (
        <section className="settings-fixed" aria-label={t.runsWith}>
          <h3>{t.runsWith}</h3>
          <p className="hint">{t.runsWithAbout}</p>
          <Fixed
            name={t.contextLength}
            about={t.contextLengthAbout(shortCount(status.model.trainedContextTokens))}
            value={shortCount(status.contextTokens)}
            command={largerContext(status)}
          />
          <Fixed
            name={t.together}
            about={t.togetherAbout}
            value={String(status.parallel)}
            command={`npm start -- --parallel ${2 * status.parallel}`}
          />
        </section>
      )}
    </Dialog>
  );
}

function Fixed({
  name,
  about,
  value,
  command,
}: {
  name: string;
  about: string;
  value: string;
  /** Absent where there is no more to be had. */
  command: string | undefined;
}): ReactElement {
  const t = useStrings();
  return (
    <div className="setting stacked">
      <div>
        <div className="setting-name">
          {name}: <strong className="figure">{value}</strong>
        </div>
        <p className="hint">{about}</p>
      </div>
      {command && (
        <p className="command">
          <code>{command}</code>
          <CopyButton label={t.copy} content={() => ({ text: command })} />
        </p>
      )}
    </div>
  );
}

/** Twice as much, or what the model was made for. */
function largerContext({ contextTokens, model }: EngineStatus): string | undefined {
  const larger = Math.min(2 * contextTokens, model.trainedContextTokens);
  return larger > contextTokens ? `npm start -- --context ${larger}` : undefined;
}

function Model({
  model,
  pull,
  failure,
  onPull,
  onCancel,
  onRemove,
}: {
  model: ListedModel;
  pull: PullBody | undefined;
  failure: PullBody["error"];
  onPull: () => void;
  onCancel: (jobId: string) => void;
  onRemove: () => void;
}): ReactElement {
  const t = useStrings();
  const [isSure, setSure] = useState(false);
  const { id, state, isLoaded, fileBytes, presentBytes } = model;
  const canPull = state === "absent" || state === "partial" || state === "damaged";
  const canRemove =
    !isLoaded && pull === undefined && (state === "downloaded" || state === "partial" || state === "damaged");
  const command = `npm start -- --model ${id}`;
  return (
    <li className="model" aria-label={id}>
      <div className="model-words">
        <div>
          <strong>{id}</strong>{" "}
          <span className={isLoaded ? "tag loaded" : "tag"}>{isLoaded ? t.modelLoaded : t.modelStates[state]}</span>
        </div>
        <p className="hint">
          {state === "partial" ? `${bytes(presentBytes)} / ` : ""}
          {bytes(fileBytes)} · {t.modelAbout[id] ?? model.about}
        </p>
        {pull && <PullProgress pull={pull} />}
        {failure && (
          <p className="field-error" role="alert">
            {failure.message} {failure.hint}
          </p>
        )}
        {!isLoaded && !canPull && (
          <p className="command">
            <span className="hint">{t.switchBy}</span> <code>{command}</code>
            <CopyButton label={t.copy} content={() => ({ text: command })} />
          </p>
        )}
      </div>
      {pull ? (
        <Button onClick={() => onCancel(pull.jobId)}>{t.cancel}</Button>
      ) : (
        <>
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
