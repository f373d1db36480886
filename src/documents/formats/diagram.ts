// SmartArt: its points in order, as a list. How they hang together is in its drawing, which is not read.
import type { DraftSegment } from "../layout/runs.ts";
import { scanMarkup } from "./markup.ts";

/** From a diagram's data part (diagrams/data1.xml). */
export function diagramSegments(xml: string, page: number): DraftSegment[] {
  const texts: string[] = [];
  let text = "";
  let isText = false;
  for (const event of scanMarkup(xml, { isXml: true })) {
    if (event.type === "text") text += isText ? event.text : "";
    else if (event.name === "a:t") isText = event.type === "open" && !event.isClosed;
    else if (event.name === "a:p" && event.type === "close") {
      if (text.trim() !== "") texts.push(text.trim());
      text = "";
    }
  }
  const items = texts.map((each) => ({ text: each, level: 0, marker: "-" }));
  return items.length > 0 ? [{ kind: "list", page, items }] : [];
}
