import type { ReactElement } from "react";

/** A line without axes: the shape of the last minute. Decoration beside a figure that says the value. */
export function Sparkline({ values, slots = 60 }: { values: readonly number[]; slots?: number }): ReactElement {
  const most = Math.max(...values, 1);
  const step = 100 / Math.max(1, slots - 1);
  const from = 100 - (values.length - 1) * step;
  const points = values.map((value, n) => `${(from + n * step).toFixed(1)},${(22 - (value / most) * 19).toFixed(1)}`);
  const last = points.at(-1);
  return (
    <svg className="sparkline" viewBox="0 0 100 24" preserveAspectRatio="none" aria-hidden="true" focusable="false">
      {last !== undefined && points.length > 1 && values.some((value) => value > 0) && (
        <>
          <path className="area" d={`M${points.join("L")}L100,24L${from.toFixed(1)},24Z`} />
          <path className="line" d={`M${points.join("L")}`} />
        </>
      )}
    </svg>
  );
}
