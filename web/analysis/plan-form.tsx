// The plan as choices: only columns and values that the table has can be chosen. The same choices are set from a plan that was made of a
// question in words.
import { type ReactElement, useId } from "react";
import type { ColumnBody, FilterBody, PlanBody, TableBody } from "../../src/server/api-types.ts";
import { IconButton, Segmented } from "../ui/controls.tsx";
import { useOfficeStrings } from "../use-office-strings.ts";

type Comparison = "previous" | "year_ago" | "plan" | "none";

export interface PlanChoices {
  metric: string;
  comparison: Comparison;
  breakdown: readonly string[];
  filters: readonly FilterBody[];
  grain: string;
  /** What a question in words asked for beyond these choices: kept until the choices say otherwise. */
  rest: Partial<PlanBody>;
}

const metricsOf = ({ columns }: TableBody): ColumnBody[] =>
  columns.filter(({ type, role }) => type === "number" && (role === "metric" || role === "ratio"));
const dimensionsOf = ({ columns }: TableBody): ColumnBody[] => columns.filter(({ role }) => role === "dimension");
const hasTime = ({ columns }: TableBody): boolean => columns.some(({ role }) => role === "time");
const planLike = /计划|目标|预算|plan|target|budget|goal/i;
const amountLike = /销售额|金额|营收|收入|revenue|sales|amount/i;

/** What a table offers at first, or what a plan says. */
export function choicesOf(table: TableBody, plan?: PlanBody): PlanChoices {
  const metrics = metricsOf(table).filter(({ name }) => !planLike.test(name));
  const metric = metrics.find(({ name }) => amountLike.test(name)) ?? metrics[0];
  if (plan === undefined) {
    return {
      metric: metric?.name ?? "*",
      comparison: hasTime(table) ? "previous" : "none",
      breakdown: [],
      filters: [],
      grain: "auto",
      rest: {},
    };
  }
  const { kind, versus, aggregation, top, period, planMetric } = plan;
  return {
    metric: plan.metric,
    comparison: kind === "change" ? ((plan.comparison as Comparison | undefined) ?? "none") : "none",
    breakdown: plan.breakdown,
    filters: plan.filters,
    grain: period?.grain ?? "auto",
    rest: {
      kind,
      aggregation,
      top,
      ...(versus ? { versus } : {}),
      ...(planMetric ? { planMetric } : {}),
      ...(period ? { period } : {}),
    },
  };
}

export function toPlan({ metric, comparison, breakdown, filters, grain, rest }: PlanChoices): Partial<PlanBody> {
  const isChange = comparison !== "none";
  const keptKind = rest.kind === "change" ? undefined : rest.kind;
  const kind = isChange
    ? rest.kind === "price_volume"
      ? rest.kind
      : "change"
    : (keptKind ?? (breakdown.length > 0 ? "ranking" : "trend"));
  const { period, ...others } = rest;
  const isSamePeriod = period !== undefined && period.grain === grain;
  return {
    ...others,
    kind,
    metric,
    filters,
    ...(breakdown.length > 0 ? { breakdown } : {}),
    ...(isChange ? { comparison } : {}),
    ...(isSamePeriod ? { period } : grain === "auto" ? {} : { period: { grain } as NonNullable<PlanBody["period"]> }),
  };
}

interface FormProps {
  tables: readonly TableBody[];
  table: TableBody;
  choices: PlanChoices;
  isRunning: boolean;
  onTable: (id: string) => void;
  onChange: (choices: PlanChoices) => void;
  onRun: () => void;
}

export function PlanForm({ tables, table, choices, isRunning, onTable, onChange, onRun }: FormProps): ReactElement {
  const t = useOfficeStrings();
  const dimensions = dimensionsOf(table);
  const metrics = metricsOf(table);
  const [first = "", second = ""] = choices.breakdown;
  const change = (next: Partial<PlanChoices>): void => onChange({ ...choices, ...next });
  const comparisons: Comparison[] = [
    ...(hasTime(table) ? (["previous", "year_ago"] as const) : []),
    ...(metrics.some(({ name }) => planLike.test(name)) ? (["plan"] as const) : []),
    "none",
  ];
  return (
    <form
      className="plan-form"
      onSubmit={(event) => {
        event.preventDefault();
        onRun();
      }}
    >
      {tables.length > 1 && (
        <Choice
          label={t.table}
          value={table.id}
          options={tables.map(({ id, name }) => ({ id, label: name }))}
          onChange={onTable}
        />
      )}
      <Choice
        label={t.metric}
        value={choices.metric}
        options={[
          ...metrics.map(({ name, unit }) => ({ id: name, label: unit === "" ? name : `${name} (${unit})` })),
          ...(metrics.length === 0 ? [{ id: "*", label: "*" }] : []),
        ]}
        onChange={(metric) => change({ metric, rest: {} })}
      />
      <Choice
        label={t.breakdown}
        value={first}
        options={[{ id: "", label: t.nothing }, ...dimensions.map(({ name }) => ({ id: name, label: name }))]}
        onChange={(name) => change({ breakdown: name === "" ? [] : [name], rest: {} })}
      />
      {first !== "" && (
        <Choice
          label={t.thenBy}
          value={second}
          options={[
            { id: "", label: t.nothing },
            ...dimensions.filter(({ name }) => name !== first).map(({ name }) => ({ id: name, label: name })),
          ]}
          onChange={(name) => change({ breakdown: name === "" ? [first] : [first, name], rest: {} })}
        />
      )}
      {hasTime(table) && (
        <Choice
          label={t.grain}
          value={choices.grain}
          options={Object.entries(t.grains).map(([id, label]) => ({ id, label }))}
          onChange={(grain) => change({ grain, rest: {} })}
        />
      )}
      <div className="plan-compare">
        <span className="plan-label">{t.compare}</span>
        <Segmented
          label={t.compare}
          value={choices.comparison}
          options={comparisons.map((id) => ({ id, label: t.comparisons[id] }))}
          onChange={(comparison) => change({ comparison, rest: {} })}
        />
      </div>
      <Filters
        dimensions={dimensions}
        filters={choices.filters}
        onChange={(filters) => change({ filters, rest: {} })}
      />
      <div className="plan-go">
        <button type="submit" className="button primary" disabled={isRunning}>
          {t.run}
        </button>
      </div>
    </form>
  );
}

function Filters({
  dimensions,
  filters,
  onChange,
}: {
  dimensions: readonly ColumnBody[];
  filters: readonly FilterBody[];
  onChange: (filters: readonly FilterBody[]) => void;
}): ReactElement {
  const t = useOfficeStrings();
  const used = new Set(filters.map(({ column }) => column));
  const free = dimensions.filter(({ name }) => !used.has(name));
  const put = (index: number, filter: FilterBody): void =>
    onChange(filters.map((each, at) => (at === index ? filter : each)));
  return (
    <fieldset className="plan-filters">
      <legend>{t.filters}</legend>
      {filters.map((filter, index) => {
        const column = dimensions.find(({ name }) => name === filter.column);
        const words =
          "value" in filter
            ? `${filter.column} ${filter.is === "at_least" ? "≥" : "≤"} ${filter.value}`
            : filter.column;
        return (
          <span key={filter.column} className="plan-filter">
            <span>{words}</span>
            {"values" in filter && (
              <select
                aria-label={filter.column}
                value={filter.values.length === 1 ? filter.values[0] : filter.values.join("、")}
                onChange={(event) => put(index, { column: filter.column, is: "in", values: [event.target.value] })}
              >
                {filter.values.length !== 1 && <option>{filter.values.join("、")}</option>}
                {(column?.labels ?? filter.values).map((label) => (
                  <option key={label}>{label}</option>
                ))}
              </select>
            )}
            <IconButton
              icon="close"
              label={t.removeFilter(filter.column)}
              onClick={() => onChange(filters.filter((_, at) => at !== index))}
            />
          </span>
        );
      })}
      {free.length > 0 && (
        <select
          className="add-filter"
          aria-label={t.addFilter}
          value=""
          onChange={(event) => {
            const column = free.find(({ name }) => name === event.target.value);
            const [label] = column?.labels ?? [];
            if (column && label !== undefined)
              onChange([...filters, { column: column.name, is: "in", values: [label] }]);
          }}
        >
          <option value="">＋ {t.addFilter}</option>
          {free.map(({ name }) => (
            <option key={name}>{name}</option>
          ))}
        </select>
      )}
    </fieldset>
  );
}

export function Choice({
  label,
  value,
  options,
  onChange,
}: {
  label: string;
  value: string;
  options: readonly { id: string; label: string }[];
  onChange: (id: string) => void;
}): ReactElement {
  const id = useId();
  return (
    <div className="field">
      <label htmlFor={id}>{label}</label>
      <select id={id} value={value} onChange={(event) => onChange(event.target.value)}>
        {options.map((option) => (
          <option key={option.id} value={option.id}>
            {option.label}
          </option>
        ))}
      </select>
    </div>
  );
}
