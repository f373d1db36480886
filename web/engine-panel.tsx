// The engine's live state: what runs, on what, how full its memory is, how fast it writes, who waits.
import type { ReactElement, ReactNode } from "react";
import type { LiveBody } from "../src/server/api-types.ts";
import type { EngineView } from "./engine-watch.ts";
import { MemoryLines } from "./panel/memory-lines.tsx";
import { setPreferences, usePreferences, useStrings } from "./preferences.ts";
import { useSignal } from "./signal.ts";
import { duration, rate } from "./ui/format.ts";
import { Icon } from "./ui/icons.tsx";
import { Sparkline } from "./ui/sparkline.tsx";
import type { Workbench } from "./workbench.ts";

export type EngineState = "connecting" | "unreachable" | NonNullable<EngineView["status"]>["state"];

export function stateOf({ status, isReachable }: EngineView): EngineState {
  if (!isReachable) return "unreachable";
  return status?.state ?? "connecting";
}

export function EnginePanel({ workbench, onModels }: { workbench: Workbench; onModels: () => void }): ReactElement {
  const t = useStrings();
  const { isEngineOpen } = usePreferences();
  const view = useSignal(workbench.engine.view);
  const state = stateOf(view);
  const { status, live } = view;
  const running = live?.engine.runningRequests ?? 0;
  return (
    <section className="engine" aria-label={t.engine}>
      <button
        type="button"
        className="engine-head"
        aria-expanded={isEngineOpen}
        title={isEngineOpen ? t.hideEngine : t.showEngine}
        onClick={() => setPreferences({ isEngineOpen: !isEngineOpen })}
      >
        <span className={`state-dot ${state}`} />
        <span className="engine-model">{status?.model.id ?? t.engine}</span>
        <span className="engine-state">
          {running > 0 && state === "ready" ? t.working(running) : t.engineStates[state]}
        </span>
        <Icon name="down" />
      </button>
      {isEngineOpen && status && live && (
        // biome-ignore lint/a11y/noNoninteractiveTabindex: it scrolls on low windows, and the keyboard must reach it
        <div className="engine-scroll" tabIndex={0}>
          <dl className="engine-body">
            <Line name={t.device}>
              <span className="device" title={status.reason ?? status.device}>
                {live.gpu?.name ?? t.deviceWords(status.device)}
              </span>
              <span className="tag">{status.engine}</span>
            </Line>
            <Speed workbench={workbench} live={live} />
            <Machine workbench={workbench} live={live} />
            <MemoryLines live={live} />
            <Queue workbench={workbench} live={live} />
            {status.restarts > 0 && (
              <Line name={t.engine}>
                <span title={status.lastFailure}>{t.restartsCount(status.restarts)}</span>
              </Line>
            )}
          </dl>
          <button type="button" className="button quiet engine-models" onClick={onModels}>
            {t.models}
          </button>
        </div>
      )}
    </section>
  );
}

function Line({ name, children }: { name: string; children: ReactNode }): ReactElement {
  return (
    <div className="engine-line">
      <dt>{name}</dt>
      <dd>{children}</dd>
    </div>
  );
}

function Charted({
  name,
  values,
  span,
  children,
}: {
  name: string;
  values: readonly number[];
  span: "hour" | "minute";
  children: ReactNode;
}): ReactElement {
  const t = useStrings();
  return (
    <div className="engine-line charted" title={t.chartSpan[span]}>
      <dt>{name}</dt>
      <dd>
        <Sparkline values={values} />
        <span className="figure">{children}</span>
      </dd>
    </div>
  );
}

function Speed({ workbench, live }: { workbench: Workbench; live: LiveBody }): ReactElement {
  const t = useStrings();
  const { tokensPerSecond, firstTokenMs, span } = useSignal(workbench.engine.chart);
  return (
    <>
      <Charted name={t.speed} values={tokensPerSecond} span={span}>
        {live.tokensPerSecond > 0 ? rate(live.tokensPerSecond) : "–"} <small>{t.speedUnit}</small>
      </Charted>
      <Charted name={t.firstToken} values={firstTokenMs} span={span}>
        {live.firstTokenMs === undefined ? "–" : duration(live.firstTokenMs)}
      </Charted>
    </>
  );
}

/** The GPU where there is one, else the processor. */
function Machine({ workbench, live: { gpu, cpu } }: { workbench: Workbench; live: LiveBody }): ReactElement {
  const t = useStrings();
  const { load, span } = useSignal(workbench.engine.chart);
  if (gpu === undefined) {
    return (
      <Charted name={t.cpu} values={load} span={span}>
        {Math.round(cpu.percent)} <small>%</small>
      </Charted>
    );
  }
  const { utilisationPercent, temperatureCelsius, powerWatts, powerLimitWatts, coreClockMhz, memoryClockMhz } = gpu;
  const clocks = [coreClockMhz, memoryClockMhz].flatMap((mhz) => mhz ?? []);
  return (
    <>
      <Charted name="GPU" values={load} span={span}>
        {utilisationPercent ?? "–"} <small>%</small>
      </Charted>
      {powerWatts !== undefined && (
        <Line name={t.power}>
          {Math.round(powerWatts)}
          {powerLimitWatts !== undefined && ` / ${Math.round(powerLimitWatts)}`} W
          {temperatureCelsius !== undefined && ` · ${temperatureCelsius} °C`}
        </Line>
      )}
      {clocks.length > 0 && <Line name={t.clocks}>{clocks.join(" / ")} MHz</Line>}
      {gpu.throttleReasons.length > 0 && (
        <Line name={t.throttled}>
          <span className="strong">
            {gpu.throttleReasons.map((reason) => t.throttleReasons[reason] ?? reason).join(", ")}
          </span>
        </Line>
      )}
    </>
  );
}

/** How many wait, and whose turn is when. */
function Queue({ workbench, live }: { workbench: Workbench; live: LiveBody }): ReactElement {
  const t = useStrings();
  const heads = useSignal(workbench.heads);
  const { queuedRequests, queueLimit } = live.engine;
  const waiting = live.answers.filter(({ position }) => position !== undefined);
  return (
    <>
      <Line name={t.queue}>
        <span className={queuedRequests > 0 ? "strong" : ""}>{t.queueOf(queuedRequests, queueLimit)}</span>
      </Line>
      {waiting.map(({ messageId, conversationId, position = 0, estimatedWaitMs }) => (
        <div key={messageId} className="engine-line waiting">
          <dt>
            {position}. {heads.find(({ id }) => id === conversationId)?.title || t.untitled}
          </dt>
          <dd>{estimatedWaitMs !== undefined && t.aboutSeconds(Math.ceil(estimatedWaitMs / 1000))}</dd>
        </div>
      ))}
    </>
  );
}
