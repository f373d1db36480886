// A document beside the conversation: the picture of a page, and next to it what the model reads of it. Pages that were recognised with
// little confidence say so; each piece can be corrected, and what cleaning took out can be put back, until the question is sent.
import { type ReactElement, useEffect, useMemo, useRef, useState } from "react";
import type { DocumentBody, DocumentEdit, DocumentPage, DocumentSegment } from "../../src/server/api-types.ts";
import { messageError } from "../live-answer.ts";
import { useStrings } from "../preferences.ts";
import { Button, IconButton } from "../ui/controls.tsx";
import { shortCount } from "../ui/format.ts";
import { Icon } from "../ui/icons.tsx";
import { useOfficeStrings } from "../use-office-strings.ts";
import { closestSegment } from "./closest-segment.ts";
import { passwordFor } from "./file-passwords.ts";
import { pagePicture, readFile } from "./office-api.ts";
import { lowConfidence, type OfficeView, officeView } from "./office-view.ts";
import { SegmentView } from "./segment-view.tsx";

const pictureKinds = new Set(["pdf", "image"]);

export function DocumentPane({ view }: { view: Extract<OfficeView, { kind: "document" }> }): ReactElement {
  const t = useOfficeStrings();
  const common = useStrings();
  const { file, onEdits } = view;
  const password = file.document.password ?? passwordFor(file.fileId);
  const [pristine, setPristine] = useState<DocumentBody>();
  const [trouble, setTrouble] = useState<string>();
  const [number, setNumber] = useState(view.page);
  const [edits, setEdits] = useState<readonly DocumentEdit[]>(file.document.edits ?? []);
  useEffect(() => setNumber(view.page), [view]);
  // biome-ignore lint/correctness/useExhaustiveDependencies: another file is read; its corrections are laid over what was read
  useEffect(() => {
    const leave = new AbortController();
    setEdits(file.document.edits ?? []);
    setPristine(undefined);
    setTrouble(undefined);
    readFile(file.fileId, password === undefined ? {} : { password }, { signal: leave.signal }).then(
      ({ document }) => setPristine(document),
      (error: unknown) => leave.signal.aborted || setTrouble(messageError(error).message),
    );
    return () => leave.abort();
  }, [file.fileId]);

  const change = (next: readonly DocumentEdit[]): void => {
    setEdits(next);
    if (!onEdits) return;
    // The count of what is left is the server's; until it is in, the old one stands.
    const edited = { ...(password === undefined ? {} : { password }), edits: [...next] };
    onEdits(next, file.document.tokens);
    readFile(file.fileId, edited, { signal: AbortSignal.timeout(60_000) }).then(
      ({ tokens }) => onEdits(next, tokens),
      (error: unknown) => setTrouble(messageError(error).message),
    );
  };

  const pages = pristine?.pages ?? [];
  const page = pages.find((each) => each.number === number) ?? pages[0];
  const at = page === undefined ? -1 : pages.indexOf(page);
  const low = pages.filter(({ confidence }) => confidence < lowConfidence);
  const go = (step: number): void => {
    const next = pages[at + step];
    if (next) setNumber(next.number);
  };
  return (
    <section className="office-pane document-pane" aria-label={file.name}>
      <header className="office-head">
        <Icon name="file" />
        <h2 title={file.name}>{file.name}</h2>
        {pages.length > 1 && page && (
          <span className="page-steps">
            <IconButton icon="left" label={t.previousPage} disabled={at <= 0} onClick={() => go(-1)} />
            <span>{t.pageAt(page.number, pages.length)}</span>
            <IconButton icon="right" label={t.nextPage} disabled={at >= pages.length - 1} onClick={() => go(1)} />
          </span>
        )}
        {pages.some(({ segments }) => segments.some(({ kind }) => kind === "table")) && (
          <Button icon="chart" look="quiet" onClick={() => (officeView.value = { kind: "analysis", file })}>
            {t.analyse}
          </Button>
        )}
        <span className="hint token-count">{t.tokensOf(shortCount(file.document.tokens))}</span>
        <IconButton icon="close" label={common.close} onClick={() => (officeView.value = undefined)} />
      </header>
      {low.length > 0 && (
        <nav className="low-pages" aria-label={t.lowPages(low.length)}>
          <Icon name="alert" />
          <span>{t.lowPages(low.length)}</span>
          {low.slice(0, 20).map((each) => (
            <Button key={each.number} look="quiet" aria-current={each === page} onClick={() => setNumber(each.number)}>
              {each.number}
            </Button>
          ))}
        </nav>
      )}
      {trouble !== undefined && <p className="office-trouble">{trouble}</p>}
      {pristine?.warnings
        .filter((warning) => warning.page === undefined || warning.page === page?.number)
        .filter(({ code }) => code !== "low_confidence")
        .map(({ message }) => (
          <p key={message} className="office-note">
            {message}
          </p>
        ))}
      {page && page.number !== number && <p className="office-note">{t.noSuchPage(number, pages.length)}</p>}
      {pristine === undefined && trouble === undefined && (
        <p className="office-wait">
          <span className="grinding" /> {t.readingFile}
        </p>
      )}
      {page && (
        <PageView
          key={page.number}
          fileId={file.fileId}
          password={password}
          page={page}
          hasPicture={pictureKinds.has(pristine?.kind ?? "")}
          passage={view.page === page.number ? view.passage : undefined}
          edits={edits.filter((edit) => edit.page === page.number)}
          isEditable={onEdits !== undefined}
          onEdit={(segment, edit) => {
            const isThis = (each: DocumentEdit): boolean =>
              each.page === page.number && isSame(each, { segment, ...edit });
            const others = edits.filter((each) => !isThis(each));
            change(
              edit === undefined ? others : [...others, { ...edits.find(isThis), page: page.number, segment, ...edit }],
            );
          }}
        />
      )}
    </section>
  );
}

const isSame = (one: DocumentEdit, other: Partial<DocumentEdit>): boolean =>
  one.segment === other.segment && one.row === other.row && one.column === other.column;

interface PageProps {
  fileId: string;
  password: string | undefined;
  page: DocumentPage;
  hasPicture: boolean;
  passage: string | undefined;
  edits: readonly DocumentEdit[];
  isEditable: boolean;
  onEdit: (segment: number, edit: Partial<DocumentEdit> | undefined) => void;
}

/** A text file is one page, however long: a browser that lays out 50,000 paragraphs answers to nothing else. */
const segmentsAtOnce = 400;
/** What stands behind a cited passage is shown too. */
const afterCited = 20;

function PageView({ fileId, password, page, hasPicture, passage, edits, isEditable, onEdit }: PageProps): ReactElement {
  const t = useOfficeStrings();
  const cited = useMemo(() => (passage === undefined ? -1 : closestSegment(passage, page.segments)), [passage, page]);
  const [pointed, setPointed] = useState<number>();
  const texts = useRef<HTMLDivElement>(null);
  const [wanted, setWanted] = useState(segmentsAtOnce);
  const shownTo = Math.max(wanted, cited + afterCited);
  const shown = pointed ?? (cited >= 0 ? cited : undefined);
  useEffect(() => {
    if (cited >= 0) texts.current?.querySelector(`[data-segment="${cited}"]`)?.scrollIntoView({ block: "center" });
  }, [cited]);
  const isLow = page.confidence < lowConfidence;
  return (
    <div className={hasPicture ? "page-view" : "page-view text-only"}>
      {hasPicture && <Picture fileId={fileId} password={password} page={page} marked={page.segments[shown ?? -1]} />}
      <div className="page-text" ref={texts}>
        <h3>{page.name ?? t.extracted}</h3>
        {isLow && (
          <p className="office-note low">
            <Icon name="alert" /> {t.lowPage(Math.round(page.confidence * 100))}
          </p>
        )}
        {page.segments.length === 0 && <p className="hint">{t.emptyPage}</p>}
        {page.segments.slice(0, shownTo).map((segment, index) => (
          <SegmentView
            // biome-ignore lint/suspicious/noArrayIndexKey: a segment is known by its place on its page
            key={index}
            index={index}
            segment={segment}
            edits={edits.filter((edit) => edit.segment === index)}
            isCited={index === cited}
            isEditable={isEditable}
            onPoint={setPointed}
            onEdit={(edit) => onEdit(index, edit)}
          />
        ))}
        {page.segments.length > shownTo && (
          <Button look="quiet" onClick={() => setWanted(shownTo + segmentsAtOnce)}>
            {t.moreSegments(page.segments.length - shownTo)}
          </Button>
        )}
      </div>
    </div>
  );
}

function Picture({
  fileId,
  password,
  page,
  marked,
}: {
  fileId: string;
  password: string | undefined;
  page: DocumentPage;
  marked: DocumentSegment | undefined;
}): ReactElement {
  const t = useOfficeStrings();
  const [address, setAddress] = useState<string>();
  const [trouble, setTrouble] = useState<string>();
  const [isLarge, setLarge] = useState(false);
  useEffect(() => {
    const leave = new AbortController();
    let made: string | undefined;
    pagePicture(fileId, page, { password, signal: leave.signal }).then(
      (got) => {
        made = got;
        if (leave.signal.aborted) URL.revokeObjectURL(got);
        else setAddress(got);
      },
      (error: unknown) => leave.signal.aborted || setTrouble(messageError(error).message),
    );
    return () => {
      leave.abort();
      if (made !== undefined) URL.revokeObjectURL(made);
    };
  }, [fileId, password, page]);
  const [left, top, right, bottom] = marked?.box ?? [0, 0, 0, 0];
  const part = (value: number, whole: number): string => `${(100 * value) / Math.max(1, whole)}%`;
  return (
    <div className="page-picture">
      {trouble !== undefined && <p className="hint">{trouble}</p>}
      {address !== undefined && (
        <div className={isLarge ? "page-sheet large" : "page-sheet"}>
          <button type="button" title={t.enlarge} aria-pressed={isLarge} onClick={() => setLarge(!isLarge)}>
            <img src={address} alt={t.pageImage(page.number)} />
          </button>
          {marked?.box && (
            <span
              className="page-mark"
              style={{
                insetInlineStart: part(left, page.width),
                insetBlockStart: part(top, page.height),
                inlineSize: part(right - left, page.width),
                blockSize: part(bottom - top, page.height),
              }}
            />
          )}
        </div>
      )}
    </div>
  );
}
