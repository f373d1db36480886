// The pane beside the conversation, in a chunk of its own with its styles: nobody who only chats loads it.
import { type ReactElement, useEffect, useRef } from "react";
import { AnalysisPane } from "../analysis/analysis-pane.tsx";
import { DocumentPane } from "./document-pane.tsx";
import { type OfficeView, officeView } from "./office-view.ts";
import "../styles/office.css";

export function OfficePane({ view }: { view: OfficeView }): ReactElement {
  const pane = useRef<HTMLDivElement>(null);
  useEffect(() => {
    const before = document.activeElement;
    pane.current?.focus();
    return () => {
      if (before instanceof HTMLElement) before.focus();
    };
  }, []);
  return (
    // biome-ignore lint/a11y/noStaticElementInteractions: Escape closes the pane from anywhere inside; its close button does too
    <div
      ref={pane}
      className="office"
      tabIndex={-1}
      onKeyDown={(event) => {
        if (event.key !== "Escape" || event.defaultPrevented) return;
        event.preventDefault();
        officeView.value = undefined;
      }}
    >
      {view.kind === "document" ? (
        <DocumentPane view={view} />
      ) : (
        <AnalysisPane key={view.file.fileId} file={view.file} />
      )}
    </div>
  );
}
