// How the engine runs, for all chats: context, requests together, type of the conversation memory. Each with one sentence, the memory it takes
// before it is chosen, and what was measured on this machine; applied while Quern runs.
import { type ReactElement, useId, useState } from "react";
import type { EngineBody, EngineChoiceBody } from "../../src/server/api-types.ts";
import {
  changeEngine,
  contextSteps,
  conversationBytes,
  type EngineState,
  type EngineWorkKind,
  hasRoom,
  measuredNow,
  measureEngine,
  useEngine,
} from "../engine-choice.ts";
import { usePreferences, useStrings } from "../preferences.ts";
import { useSignal } from "../signal.ts";
import type { Strings } from "../strings.ts";
import { Button } from "../ui/controls.tsx";
import { bytes, rate, tokenWords } from "../ui/format.ts";
import { showToast } from "../ui/toasts.tsx";
import type { Workbench } from "../workbench.ts";

type Choice = Omit<EngineChoiceBody, "model">;

const togetherSteps = [1, 2, 4, 8, 16, 32, 64];

export function EngineForm({ workbench }: { workbench: Workbench }): ReactElement | undefined {
  const t = useStrings();
  const state = useEngine(workbench);
  const { body, work } = state;
  const { live } = useSignal(workbench.engine.view);
  const [changed, setChanged] = useState<Partial<Choice>>({});
  if (body === undefined) return;
  const { model: _, ...before } = body.choice;
  const chosen: Choice = { ...before, ...changed };
  const kvBytes = conversationBytes(body, chosen);
  const fits = hasRoom(body, kvBytes);
  const isChanged = JSON.stringify(chosen) !== JSON.stringify(before);
  const running = live?.engine.runningRequests ?? 0;
  const apply = async (): Promise<void> => {
    if (!(await changeEngine(workbench, chosen))) return;
    setChanged({});
    showToast({ text: t.engineApplied });
  };
  return (
    <section className="engine-form" aria-label={t.engineSettings}>
      <h3>{t.engineSettings}</h3>
      <Choices body={body} state={state} chosen={chosen} onChange={(next) => setChanged({ ...changed, ...next })} />
      {kvBytes !== undefined && (
        <p className={fits ? "hint" : "field-error"}>
          {t.sentences([
            t.takes(bytes(body.needs.weightBytes), bytes(kvBytes), bytes(body.needs.weightBytes + kvBytes)),
            body.memory.availableBytes !== undefined && t.takesOf(bytes(body.memory.availableBytes)),
            fits ? !body.needs.isForEach && t.takesShared : t.tooMuch,
          ])}
        </p>
      )}
      {body.canChange && (
        <div className="engine-apply">
          <Button
            look="primary"
            disabled={!isChanged || !fits || work !== undefined}
            onClick={() => void workbench.guard(apply)}
          >
            {t.applyEngine}
          </Button>
          {isChanged && running > 0 && work === undefined && <span className="hint">{t.runningGets(running)}</span>}
        </div>
      )}
      <EngineWork workbench={workbench} state={state} of={["settings", "measuring"]} />
      <Measurement workbench={workbench} state={state} />
    </section>
  );
}

/** A change of these kinds that is under way, or why there is none. */
export function EngineWork({
  workbench,
  state: { work, failure },
  of,
}: {
  workbench: Workbench;
  state: EngineState;
  of: readonly EngineWorkKind[];
}): ReactElement | undefined {
  const t = useStrings();
  const { live } = useSignal(workbench.engine.view);
  if (work !== undefined && work !== "measuring" && of.includes(work)) {
    const loaded = live?.engine.state === "loading" ? live.engine.loadProgress : undefined;
    return (
      <div className="pull" role="status">
        <progress max={1} {...(loaded === undefined ? {} : { value: loaded })} aria-label={t.applyingEngine} />
        <p className="hint">{t.applyingEngine}</p>
      </div>
    );
  }
  if (failure === undefined || !of.includes(failure.of)) return;
  return (
    <p className="field-error" role="alert">
      {t.sentences([t.engineFailures[failure.code] ?? t.errors[failure.code] ?? t.errors.unexpected, t.engineKept])}{" "}
      <small lang="en">{failure.message}</small>
    </p>
  );
}

function Choices({
  body,
  state,
  chosen,
  onChange,
}: {
  body: EngineBody;
  state: EngineState;
  chosen: Choice;
  onChange: (change: Partial<Choice>) => void;
}): ReactElement {
  const t = useStrings();
  const { needs, running, memory, canChange } = body;
  const thousand = (tokenBytes: number): string => bytes(1000 * tokenBytes);
  const priced = (value: string, choice: Choice): { label: string; isTooMuch: boolean } => {
    const taken = conversationBytes(body, choice);
    const label = taken === undefined ? value : t.withMemory(value, bytes(taken));
    return { label, isTooMuch: !hasRoom(body, taken) };
  };
  const kinds = (["f16", "int8"] as const).filter((type) => needs.kvTokenBytes[type] !== undefined);
  const now = memory.kvTokens > 0 ? memory.kvBytes / memory.kvTokens : 0;
  return (
    <>
      <Select
        name={t.contextLength}
        about={t.contextLengthAbout(tokenWords(needs.trainedContextTokens || running.contextTokens))}
        measured={now > 0 && t.contextMeasured(thousand(now), bytes(memory.kvBytes), tokenWords(memory.kvTokens))}
        value={chosen.contextTokens}
        isFixed={!canChange}
        options={[
          { value: 0, label: t.automaticNow(tokenWords(running.contextTokens)) },
          ...contextSteps(body).map((tokens) => ({
            value: tokens,
            ...priced(tokenWords(tokens), { ...chosen, contextTokens: tokens }),
          })),
        ]}
        onChange={(contextTokens) => onChange({ contextTokens })}
      />
      <Select
        name={t.together}
        about={t.togetherAbout}
        measured={togetherMeasured(state, t)}
        value={chosen.parallel}
        isFixed={!canChange}
        options={[...new Set([...togetherSteps, chosen.parallel])]
          .sort((a, b) => a - b)
          .map((parallel) => ({
            value: parallel,
            ...(needs.isForEach ? priced(String(parallel), { ...chosen, parallel }) : { label: String(parallel) }),
          }))}
        onChange={(parallel) => onChange({ parallel })}
      />
      {kinds.length > 1 && (
        <Select
          name={t.kvType}
          about={t.kvTypeAbout}
          measured={t.kvTypeMeasured(
            t.listOf(kinds.map((type) => t.kvTypeOf(type, thousand(needs.kvTokenBytes[type] ?? 0)))),
          )}
          value={chosen.kvType}
          isFixed={!canChange}
          options={[
            { value: "auto", label: t.automatic },
            ...kinds.map((type) => ({ value: type, ...priced(type, { ...chosen, kvType: type }) })),
          ]}
          onChange={(kvType) => onChange({ kvType })}
        />
      )}
    </>
  );
}

function Select<Value extends string | number>({
  name,
  about,
  measured,
  value,
  options,
  isFixed,
  onChange,
}: {
  name: string;
  about: string;
  measured: string | false;
  value: Value;
  options: readonly { value: Value; label: string; isTooMuch?: boolean }[];
  isFixed: boolean;
  onChange: (value: Value) => void;
}): ReactElement {
  const t = useStrings();
  const id = useId();
  return (
    <div className="setting titled">
      <div>
        <label className="setting-name" htmlFor={id}>
          {name}
        </label>
        <p className="hint" id={`${id}-about`}>
          {t.sentences([about, measured])}
        </p>
      </div>
      <select
        id={id}
        value={value}
        disabled={isFixed}
        aria-describedby={`${id}-about`}
        onChange={(event) => {
          const chosen = options.find((option) => String(option.value) === event.target.value);
          if (chosen) onChange(chosen.value);
        }}
      >
        {options.map((option) => (
          <option key={option.value} value={option.value} disabled={option.isTooMuch === true}>
            {option.label}
          </option>
        ))}
      </select>
    </div>
  );
}

function togetherMeasured(state: EngineState, t: Strings): string {
  const listed = (speeds: readonly { sequences: number; tokensPerSecond: number }[]): string =>
    t.clauses(
      speeds.map(({ sequences, tokensPerSecond: all }) => t.togetherOf(sequences, rate(all / sequences), rate(all))),
    );
  const measured = measuredNow(state);
  const hour = state.body?.lastHour ?? [];
  return t.sentences([
    measured && t.togetherMeasured(listed(measured.together)),
    hour.length > 0 && t.togetherHour(listed(hour)),
  ]);
}

function Measurement({ workbench, state }: { workbench: Workbench; state: EngineState }): ReactElement {
  const t = useStrings();
  const { language } = usePreferences();
  const { body, work } = state;
  const measured = measuredNow(state);
  return (
    <div className="setting titled">
      <div>
        <div className="setting-name">{t.measureTitle}</div>
        <p className="hint" role="status">
          {work === "measuring" ? t.measuring : measurementWords(t, { measured, other: body?.measured, language })}
        </p>
      </div>
      <Button disabled={work !== undefined} onClick={() => void workbench.guard(() => measureEngine(workbench))}>
        {measured ? t.measureAgain : t.measure}
      </Button>
    </div>
  );
}

function measurementWords(
  t: Strings,
  { measured, other, language }: { measured: EngineBody["measured"]; other: EngineBody["measured"]; language: string },
): string {
  if (measured) {
    const when = new Date(measured.at).toLocaleString(language === "zh" ? "zh-CN" : "en", {
      dateStyle: "medium",
      timeStyle: "short",
    });
    return t.measuredAt(when, Math.round(measured.promptPerSecond).toLocaleString("en"));
  }
  return other ? t.sentences([t.measureOther(other.model, other.kvType), t.measureNone]) : t.measureNone;
}
