// An answer's text on the screen. Splits it into blocks so that a growing answer re-renders its last one, repairs the unfinished
// end, and fetches the heavy parts (renderer, KaTeX, highlighter) when a text first needs them; until then it shows plain text.
import { type ReactElement, useDeferredValue, useMemo } from "react";
import { Signal, useSignal } from "../signal.ts";
import { splitBlocks } from "./blocks.ts";
import { hasFormula, normaliseFormulas } from "./formula.ts";
import type { Extras, MarkdownBlock } from "./render.tsx";
import { repairTail } from "./repair.ts";

interface Loaded {
  Block?: typeof MarkdownBlock;
  formulas?: Extras;
  highlight?: Extras;
}

const loaded = new Signal<Loaded>({});
const asked = new Set<keyof Loaded>();

function load(part: keyof Loaded): void {
  if (asked.has(part)) return;
  asked.add(part);
  const work = async (): Promise<Loaded> => {
    if (part === "Block") return { Block: (await import("./render.tsx")).MarkdownBlock };
    if (part === "formulas") return { formulas: (await import("./formula-plugins.ts")).formulaPlugins };
    return { highlight: (await import("./highlight-plugin.ts")).highlightPlugins };
  };
  work().then(
    (got) => {
      loaded.value = { ...loaded.value, ...got };
    },
    () => asked.delete(part), // the server was away: the next text asks again
  );
}

/** Fetches the renderer before the first answer needs it. */
export function preloadMarkdown(): void {
  load("Block");
}

const none: Extras = { remark: [], rehype: [] };

export function MarkdownView({ text, isGrowing }: { text: string; isGrowing: boolean }): ReactElement {
  const { Block, formulas, highlight } = useSignal(loaded);
  // Typing and scrolling come first: React may skip states of a fast answer, never the last one.
  const settled = useDeferredValue(text);
  const blocks = useMemo(() => {
    const whole = splitBlocks(normaliseFormulas(settled));
    return isGrowing ? [...whole.slice(0, -1), repairTail(whole.at(-1) ?? "")] : whole;
  }, [settled, isGrowing]);

  load("Block");
  const needsFormulas = blocks.some(hasFormula);
  const needsHighlight = /^ {0,3}(?:```|~~~)\s*\w/m.test(settled);
  if (needsFormulas) load("formulas");
  if (needsHighlight) load("highlight");
  const extras = useMemo((): Extras => {
    const parts = [needsFormulas ? formulas : undefined, needsHighlight ? highlight : undefined];
    const found = parts.filter((part) => part !== undefined);
    if (found.length === 0) return none;
    return { remark: found.flatMap(({ remark }) => remark), rehype: found.flatMap(({ rehype }) => rehype) };
  }, [needsFormulas, needsHighlight, formulas, highlight]);

  if (Block === undefined) return <div className="md plain">{text}</div>;
  return (
    <div className="md">
      {blocks.map((block, n) => (
        // biome-ignore lint/suspicious/noArrayIndexKey: blocks only ever grow at the end, so the place is the identity
        <Block key={n} text={block} extras={extras} />
      ))}
    </div>
  );
}
