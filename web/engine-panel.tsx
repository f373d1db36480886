// The engine's live state: what runs, on what, how full its memory is, how fast it writes, who waits.
import type { ReactElement, ReactNode } from "react";
import type { EngineView } from "./engine-watch.ts";
import { setPreferences, usePreferences, useStrings } from "./preferences.ts";
import { useSignal } from "./signal.ts";
import { duration, rate, shortCount } from "./ui/format.ts";
import { Icon } from "./ui/icons.tsx";
import { Sparkline } from "./ui/sparkline.tsx";
import type { Workbench } from "./workbench.ts";

export type EngineState = "connecting" | "unreachable" | NonNullable<EngineView["status"]>["state"];

export function stateOf({ status, isReachable }: EngineView): EngineState {
  if (!isReachable) return "unreachable";
  return status?.state ?? "connecting";
}

export function EnginePanel({ workbench }: { workbench: Workbench }): ReactElement {
  const t = useStrings();
  const { isEngineOpen } = usePreferences();
  const view = useSignal(workbench.engine.view);
  const state = stateOf(view);
  const { status } = view;
  const running = status?.runningRequests ?? 0;
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
      {isEngineOpen && status && (
        <dl className="engine-body">
          <Line name={t.device}>
            <span title={status.reason}>{status.device}</span>
            <span className="tag">{status.engine}</span>
          </Line>
          <Memory view={view} />
          <Speed workbench={workbench} view={view} />
          <Line name={t.queue}>
            <span className={status.queuedRequests > 0 ? "strong" : ""}>
              {t.queueOf(status.queuedRequests, status.queueLimit)}
            </span>
          </Line>
          {status.restarts > 0 && (
            <Line name={t.engine}>
              <span title={status.lastFailure}>{t.restartsCount(status.restarts)}</span>
            </Line>
          )}
        </dl>
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

function Memory({ view: { status } }: { view: EngineView }): ReactElement | undefined {
  const t = useStrings();
  if (status === undefined) return;
  const { usedTokens, cachedTokens, totalTokens } = status.kv;
  const share = (tokens: number): string => `${Math.min(100, (100 * tokens) / Math.max(1, totalTokens))}%`;
  const legend = t.memoryLegend(shortCount(usedTokens), shortCount(cachedTokens), shortCount(totalTokens));
  return (
    <div className="engine-line stacked">
      <dt>{t.memory}</dt>
      <dd>
        <span className="bar" role="img" aria-label={`${t.memory}: ${legend}`}>
          <span className="bar-used" style={{ inlineSize: share(usedTokens) }} />
          <span className="bar-kept" style={{ inlineSize: share(cachedTokens) }} />
        </span>
        <span className="legend">{legend}</span>
      </dd>
    </div>
  );
}

function Speed({ workbench, view }: { workbench: Workbench; view: EngineView }): ReactElement {
  const t = useStrings();
  const chart = useSignal(workbench.engine.chart);
  const speed = view.live?.tokensPerSecond || view.status?.speed.decodeTokensPerSecond || 0;
  const first = view.live?.firstTokenMs;
  return (
    <>
      <div className="engine-line charted">
        <dt>{t.speed}</dt>
        <dd>
          <Sparkline values={chart.tokensPerSecond} />
          <span className="figure">
            {speed > 0 ? rate(speed) : "–"} <small>{t.speedUnit}</small>
          </span>
        </dd>
      </div>
      <div className="engine-line charted">
        <dt>{t.firstToken}</dt>
        <dd>
          <Sparkline values={chart.firstTokenMs} />
          <span className="figure">{first === undefined ? "–" : duration(first)}</span>
        </dd>
      </div>
    </>
  );
}
