// A chart in the page's colours, redrawn when theme, width or figures change, and saved as SVG or PNG.
import { type ReactElement, useEffect, useId, useRef, useState } from "react";
import type { ChartBody } from "../../src/server/api-types.ts";
import { save } from "../documents/office-api.ts";
import { usePreferences } from "../preferences.ts";
import { Button } from "../ui/controls.tsx";
import { useOfficeStrings } from "../use-office-strings.ts";
import { coloured, coloursAt } from "./chart-theme.ts";
import type { init } from "./echarts.ts";

const systemDark = matchMedia("(prefers-color-scheme: dark)");
/** Paper is light whatever the theme. */
const paper = matchMedia("print");
const narrowPixels = 480;
const paperPixels = 690;

export function ChartView({ chart, onKind }: { chart: ChartBody; onKind: (kind: string) => void }): ReactElement {
  const t = useOfficeStrings();
  const { theme } = usePreferences();
  const place = useRef<HTMLDivElement>(null);
  const [drawn, setDrawn] = useState<ReturnType<typeof init>>();
  const kindId = useId();
  useEffect(() => {
    const element = place.current;
    if (element === null) return;
    let made: ReturnType<typeof init> | undefined;
    let isGone = false;
    void import("./echarts.ts").then(({ init }) => {
      if (isGone) return;
      made = init(element, null, { renderer: "svg" });
      setDrawn(made);
    });
    return () => {
      isGone = true;
      made?.dispose();
      setDrawn(undefined);
    };
  }, []);
  // biome-ignore lint/correctness/useExhaustiveDependencies: another theme has other colours
  useEffect(() => {
    const element = place.current;
    if (element === null || drawn === undefined) return;
    const draw = (): void => {
      const isNarrow = element.clientWidth < narrowPixels;
      // The browser lays the paper out after this; a sheet of A4 leaves so much between its margins.
      drawn.resize(paper.matches ? { width: paperPixels } : {});
      drawn.setOption(
        { ...coloured(chart.option, coloursAt(element), { isNarrow }), animation: false },
        { notMerge: true },
      );
    };
    draw();
    const watch = new ResizeObserver(draw);
    watch.observe(element);
    systemDark.addEventListener("change", draw);
    paper.addEventListener("change", draw);
    return () => {
      watch.disconnect();
      systemDark.removeEventListener("change", draw);
      paper.removeEventListener("change", draw);
    };
  }, [drawn, chart, theme]);

  const svg = (): Blob => {
    const text = drawn?.renderToSVGString() ?? "";
    const ground = place.current === null ? "#ffffff" : coloursAt(place.current).ground;
    return new Blob([text.replace(/^(<svg[^>]*>)/, `$1<rect width="100%" height="100%" fill="${ground}"/>`)], {
      type: "image/svg+xml",
    });
  };
  return (
    <section className="chart-view">
      <div className="chart-head">
        <h3>{chart.title}</h3>
        {chart.alternatives.length > 0 && (
          <>
            <label htmlFor={kindId} className="visually-hidden">
              {t.chartKind}
            </label>
            <select id={kindId} value={chart.kind} onChange={(event) => onKind(event.target.value)}>
              {[chart.kind, ...chart.alternatives].map((kind) => (
                <option key={kind} value={kind}>
                  {t.chartKinds[kind] ?? kind}
                </option>
              ))}
            </select>
          </>
        )}
      </div>
      <div ref={place} className="chart-place" role="img" aria-label={chart.title} />
      <div className="chart-ways">
        <Button icon="download" look="quiet" onClick={() => save(svg(), `${chart.title}.svg`)}>
          {t.saveSvg}
        </Button>
        <Button icon="download" look="quiet" onClick={() => void savePng(svg(), place.current, `${chart.title}.png`)}>
          {t.savePng}
        </Button>
      </div>
    </section>
  );
}

/** Twice the size on the screen, which prints sharp. */
async function savePng(svg: Blob, place: HTMLElement | null, name: string): Promise<void> {
  const image = new Image();
  const address = URL.createObjectURL(svg);
  try {
    image.src = address;
    await image.decode();
    const canvas = document.createElement("canvas");
    canvas.width = 2 * (place?.clientWidth ?? 960);
    canvas.height = 2 * (place?.clientHeight ?? 540);
    canvas.getContext("2d")?.drawImage(image, 0, 0, canvas.width, canvas.height);
    const png = await new Promise<Blob | null>((resolve) => canvas.toBlob(resolve, "image/png"));
    if (png !== null) save(png, name);
  } finally {
    URL.revokeObjectURL(address);
  }
}
