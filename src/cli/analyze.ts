// `quern analyze`: figures from a workbook, computed, put into words by the model and checked; to the terminal, and with -o into a file.
import { readFileSync, writeFileSync } from "node:fs";
import path from "node:path";
import type { Analysis } from "../analysis/analyse.ts";
import { openTables } from "../analysis/open-tables.ts";
import type { Aggregation, Comparison, Filter, Order, PlanInput } from "../analysis/plan.ts";
import { languageOf } from "../analysis/words.ts";
import { AppError } from "../base/errors.ts";
import { type DeliverableFormat, deliver, deliverableFormats } from "../deliverables/deliver.ts";
import { readDocument } from "../documents/read.ts";
import { resolveModel } from "../models/catalogue.ts";
import { type Command, type CommandContext, parseWords } from "./command.ts";
import { startEngine } from "./service.ts";

const comparisonNames: Readonly<Record<string, Comparison>> = {
  环比: "previous",
  previous: "previous",
  同比: "year_ago",
  year_ago: "year_ago",
  计划: "plan",
  plan: "plan",
};

const formatOfEnding: Readonly<Record<string, DeliverableFormat>> = {
  ".pptx": "pptx",
  ".docx": "docx",
  ".xlsx": "xlsx",
  ".md": "markdown",
  ".html": "wechat",
  ".txt": "post",
  ".csv": "csv",
};

export const analyze: Command = {
  about: "Compute an analysis of a workbook; the numbers come from code, the words from the model and are checked.",
  usage:
    'FILE ["question"] [--metric NAME] [--filter NAME=VALUE]... [--by NAME]... [--compare 环比|同比|plan] [--aggregate sum|average|…] [--top N] [--order largest|smallest] [--table NAME] [--language zh|en] [--no-model] [--json] [-o FILE]... [--as FORMAT]',
  async run(context) {
    const { terminal } = context;
    const { values, words } = parseWords(context.args, {
      "--metric": "value",
      "--filter": "value",
      "--by": "value",
      "--compare": "value",
      "--aggregate": "value",
      "--top": "value",
      "--order": "value",
      "--table": "value",
      "--language": "value",
      "--no-model": "switch",
      "--json": "switch",
      "-o": "value",
      "--as": "value",
    });
    const [file, ...asked] = words;
    const question = asked.length === 0 ? undefined : asked.join(" ");
    if (file === undefined)
      throw new AppError("bad_request", "quern analyze needs a file.", {
        hint: "quern analyze sales.xlsx --metric 销售额 --by 品类",
      });
    const targets = (values.get("-o") ?? []).map((target) => ({
      target,
      format: formatFor(target, values.get("--as")?.at(-1)),
    }));
    const plan = planOf(values);
    const language =
      values.get("--language")?.at(-1) ?? languageOf([question ?? "", ...[...values.values()].flat()].join(" "));
    if (language !== "zh" && language !== "en")
      throw new AppError("bad_request", `--language is zh or en, not ${language}.`, { param: "--language" });
    const [name, bytes] = [path.basename(file), bytesOf(file)];
    using workbook = await openTables(
      { name, bytes },
      { signal: context.signal, readDocument: () => readDocument({ bytes }, { name, signal: context.signal }) },
    );
    await using opened = new AsyncDisposableStack();
    const engine = values.has("--no-model") ? undefined : opened.use(await engineFor(context));
    const table = values.get("--table")?.at(-1);
    let analysis: Analysis | undefined;
    for await (const event of workbook.analyse({
      ...(Object.keys(plan).length === 0 ? {} : { plan }),
      ...(question === undefined ? {} : { question }),
      ...(table === undefined ? {} : { table }),
      ...(engine ? { engine } : {}),
      language,
      signal: context.signal,
    })) {
      if (event.type === "plan") terminal.note(terminal.dim(event.words));
      else if (event.type === "sentence" && !values.has("--json")) terminal.out(`${event.sentence.text}\n`);
      else if (event.type === "done") analysis = event.analysis;
    }
    if (!analysis) throw new AppError("internal", "The analysis ended without a result.");
    if (values.has("--json")) terminal.out(`${JSON.stringify(analysis)}\n`);
    const id = analysis.table.id;
    const source = workbook.tables.find((each) => each.id === id);
    for (const { target, format } of targets) {
      const { bytes } = await deliver({ analysis, ...(source ? { table: source } : {}) }, format);
      writeFileSync(target, bytes);
      terminal.note(`Wrote ${target}.`);
    }
    return 0;
  },
};

function planOf(values: ReadonlyMap<string, readonly string[]>): PlanInput {
  const one = (name: string): string | undefined => values.get(name)?.at(-1);
  const compare = one("--compare");
  const comparison = compare === undefined ? undefined : comparisonNames[compare];
  if (compare !== undefined && comparison === undefined) {
    throw new AppError("bad_request", `--compare ${compare} is not known.`, {
      param: "--compare",
      hint: Object.keys(comparisonNames).join(", "),
    });
  }
  const filters = (values.get("--filter") ?? []).map((text): Filter => {
    const at = text.indexOf("=");
    if (at < 1)
      throw new AppError("bad_request", `--filter ${text} is not NAME=VALUE.`, {
        param: "--filter",
        hint: "--filter 区域=华东, or 区域=华东|华南",
      });
    return { column: text.slice(0, at), is: "in", values: text.slice(at + 1).split("|") };
  });
  const [metric, aggregation, breakdown] = [one("--metric"), one("--aggregate"), values.get("--by")];
  const [top, order] = [one("--top"), one("--order")];
  if (top !== undefined && !/^[1-9]\d?$/.test(top))
    throw new AppError("bad_request", `--top ${top} is not a number from 1 to 99.`, { param: "--top" });
  return {
    ...(metric === undefined ? {} : { metric }),
    // checkPlan refuses a name that is no aggregation or no order.
    ...(aggregation === undefined ? {} : { aggregation: aggregation as Aggregation }),
    ...(top === undefined ? {} : { top: Number(top) }),
    ...(order === undefined ? {} : { order: order as Order }),
    ...(filters.length === 0 ? {} : { filters }),
    ...(breakdown === undefined ? {} : { breakdown }),
    ...(comparison === undefined ? {} : { kind: "change", comparison }),
  };
}

function formatFor(target: string, named: string | undefined): DeliverableFormat {
  const format = named ?? formatOfEnding[path.extname(target).toLowerCase()];
  const known = deliverableFormats.find((each) => each === format);
  if (known) return known;
  throw new AppError("bad_request", `Quern cannot tell what to write into ${target}.`, {
    param: "-o",
    hint: `End the name in ${Object.keys(formatOfEnding).join(", ")}, or give --as ${deliverableFormats.join("|")}.`,
  });
}

function bytesOf(file: string): Uint8Array {
  try {
    return readFileSync(file);
  } catch (cause) {
    throw new AppError("not_found", `${file} cannot be read.`, { param: file, cause });
  }
}

async function engineFor({ settings, log, terminal }: CommandContext) {
  const model = resolveModel({ model: settings.model, dataFolder: settings.data });
  terminal.progress("starting an engine ...");
  const engine = startEngine({ settings, model, log });
  try {
    await engine.ready;
  } catch (error) {
    await engine[Symbol.asyncDispose]();
    throw error;
  }
  terminal.progress("");
  return engine;
}
