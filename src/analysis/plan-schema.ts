// The JSON schema of plans for one table: a model that generates under it can name only columns and values that exist, or say that
// the question cannot be answered from this table.
import { aggregations, comparisons, grains, orders, planKinds } from "./plan.ts";
import { metricsOf } from "./plan-defaults.ts";
import type { Table } from "./table.ts";
import { periodsOf, timeColumn } from "./time.ts";

/** Values beyond this many would make the grammar large; the column is then not filterable by the model. */
const enumeratedValues = 120;

export function planSchema(table: Table): object {
  const metrics = metricsOf(table).map((column) => column.name);
  const dimensions = table.columns.filter((column) => column.role === "dimension");
  const time = timeColumn(table);
  const filterable = dimensions.filter(
    (column) => column.labels.length > 0 && column.labels.length <= enumeratedValues,
  );
  const filters = filterable.map((column) => ({
    type: "object",
    properties: {
      column: { const: column.name },
      is: { enum: ["in", "not_in"] },
      values: { type: "array", items: { enum: [...column.labels] }, minItems: 1, maxItems: 8 },
    },
    required: ["column", "is", "values"],
    additionalProperties: false,
  }));
  const starts =
    time === undefined
      ? []
      : [
          ...new Set(
            grains.flatMap((grain) =>
              grains.indexOf(grain) >= grains.indexOf(time.grain ?? "day") && grain !== "day" && grain !== "week"
                ? periodsOf(time, grain)
                : [],
            ),
          ),
        ];
  const plan = {
    type: "object",
    properties: {
      answerable: { const: true },
      kind: { enum: [...planKinds] },
      metric: { enum: [...metrics, "*"] },
      aggregation: { enum: [...aggregations] },
      filters:
        filters.length === 0
          ? { type: "array", maxItems: 0 }
          : { type: "array", items: filters.length === 1 ? filters[0] : { anyOf: filters }, maxItems: 4 },
      breakdown:
        dimensions.length === 0
          ? { type: "array", maxItems: 0 }
          : { type: "array", items: { enum: dimensions.map((column) => column.name) }, maxItems: 2 },
      ...(time === undefined
        ? {}
        : {
            grain: { enum: grains.filter((grain) => grains.indexOf(grain) >= grains.indexOf(time.grain ?? "day")) },
            start: {
              enum: [
                "latest",
                ...starts
                  .slice(0, enumeratedValues)
                  .map((start) => new Date(start * 86_400_000).toISOString().slice(0, 10)),
              ],
            },
            comparison: { enum: ["none", ...comparisons] },
          }),
      top: { type: "integer", minimum: 1, maximum: 50 },
      order: { enum: [...orders] },
    },
    required: [
      "answerable",
      "kind",
      "metric",
      "aggregation",
      "filters",
      "breakdown",
      ...(time === undefined ? [] : ["grain", "start", "comparison"]),
      "top",
      "order",
    ],
    additionalProperties: false,
  };
  const refusal = {
    type: "object",
    properties: { answerable: { const: false }, missing: { type: "string", maxLength: 60 } },
    required: ["answerable", "missing"],
    additionalProperties: false,
  };
  return { anyOf: [plan, refusal] };
}
