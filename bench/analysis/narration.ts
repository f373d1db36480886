// How many unsupported numbers reach the reader, over 200 seeded workbooks:
//   node bench/analysis/narration.ts                  both engines
//   node bench/analysis/narration.ts lying            the scripted engine that lies on purpose
//   node bench/analysis/narration.ts mini             quern-mini through llama.cpp
// How many and from which seed on may follow: `… mini 10 110`.
// The delivered text is judged by independent-check.ts, against truth computed from the rows. Ends in one JSON line an engine.
import { writeXlsx } from "hucre/xlsx";
import { OpenWorkbook } from "../../src/analysis/analyse.ts";
import { silentLog } from "../../src/base/log.ts";
import type { Engine } from "../../src/engine/contract.ts";
import { untrueFigures } from "./independent-check.ts";
import { openLyingEngine } from "./lying-engine.ts";
import { randomWorkbook } from "./random-workbook.ts";

export interface NarrationFigures {
  workbooks: number;
  sentences: number;
  fromModel: number;
  rewritten: number;
  replaced: number;
  numbers: number;
  untrue: number;
  examples: string[];
}

/** Narrates `count` workbooks and counts what reaches the reader. */
export async function measureNarration(
  engineFor: (seed: number) => Engine | Promise<Engine>,
  { count, closes, first = 1 }: { count: number; closes: boolean; first?: number },
): Promise<NarrationFigures> {
  const figures: NarrationFigures = {
    workbooks: 0,
    sentences: 0,
    fromModel: 0,
    rewritten: 0,
    replaced: 0,
    numbers: 0,
    untrue: 0,
    examples: [],
  };
  for (let seed = first; seed < first + count; seed++) {
    const book = randomWorkbook(seed);
    const zh = book.language === "zh";
    const engine = await engineFor(seed);
    using workbook = await OpenWorkbook.open({
      name: book.name,
      bytes: await writeXlsx({ sheets: [{ name: "S", rows: book.rows }] }),
    });
    const plan = {
      kind: "change" as const,
      comparison: "previous" as const,
      filters: [
        { column: zh ? "区域" : "Region", is: "in" as const, values: [book.region] },
        { column: zh ? "品类" : "Category", is: "in" as const, values: [book.category] },
      ],
      breakdown: [zh ? "产品" : "Product"],
      period: { column: zh ? "月份" : "Month", grain: "quarter" as const },
    };
    for await (const event of workbook.analyse({ plan, language: book.language, engine })) {
      if (event.type !== "sentence") continue;
      const { text, source } = event.sentence;
      figures.sentences++;
      if (source === "model") figures.fromModel++;
      if (source === "rewritten") figures.rewritten++;
      if (source === "template") figures.replaced++;
      figures.numbers += [...text.matchAll(/\d[\d,.]*/g)].length;
      const untrue = untrueFigures(text, book.truth);
      figures.untrue += untrue.length;
      if (untrue.length > 0 && figures.examples.length < 10)
        figures.examples.push(`${seed} ${source}: ${text} [${untrue.join(", ")}]`);
    }
    figures.workbooks++;
    if (closes) await engine[Symbol.asyncDispose]();
  }
  return figures;
}

async function measured(which: string, count: number, first: number): Promise<NarrationFigures> {
  if (which === "lying") return measureNarration((seed) => openLyingEngine(seed), { count, closes: true, first });
  if (which !== "mini") throw new RangeError(`no engine ${which}: lying, mini`);
  const { openMini } = await import("./mini-engine.ts");
  await using engine = await openMini(silentLog);
  return await measureNarration(() => engine, { count, closes: false, first });
}

if (import.meta.main) {
  const [wanted, count = "200", first = "1"] = process.argv.slice(2);
  for (const which of wanted === undefined ? ["lying", "mini"] : [wanted]) {
    const started = performance.now();
    const { examples, ...figures } = await measured(which, Number(count), Number(first));
    for (const example of examples) process.stdout.write(`${example}\n`);
    const seconds = Math.round((performance.now() - started) / 100) / 10;
    process.stdout.write(`${JSON.stringify({ bench: "analysis-narration", engine: which, ...figures, seconds })}\n`);
  }
}
