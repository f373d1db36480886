// Markdown to React, in a chunk of its own. Nothing of a model's answer can run or call out: raw HTML is shown as text, links keep
// http, https and mailto only, images from elsewhere are named instead of loaded.
import { memo, type ReactElement, type ReactNode, useRef } from "react";
import Markdown, { type Components, type Options } from "react-markdown";
import remarkCjkFriendly from "remark-cjk-friendly";
import remarkGfm from "remark-gfm";
import { citationAt } from "../chat/citations.ts";
import { useStrings } from "../preferences.ts";
import { CopyButton } from "../ui/copy-button.tsx";
import { useOfficeStrings } from "../use-office-strings.ts";

export type Plugins = NonNullable<Options["remarkPlugins"]>;

/** What the lazily loaded parts add. */
export interface Extras {
  remark: Plugins;
  rehype: Plugins;
}

const isPicture = /^data:image\/(?:png|jpeg|gif|webp);base64,/;

/** The address if it may be followed, else nothing. */
export function safeAddress(address: string, key: string): string | undefined {
  if (key === "src") return isPicture.test(address) ? address : undefined;
  if (address.startsWith("#")) return address;
  return /^(?:https?|mailto):/i.test(address) ? address : undefined;
}

// An answer's headings stand below those of the page.
const components: Components = {
  h1: ({ children }) => <h3 className="md-h1">{children}</h3>,
  h2: ({ children }) => <h4 className="md-h2">{children}</h4>,
  h3: ({ children }) => <h5 className="md-h3">{children}</h5>,
  h4: ({ children }) => <h6 className="md-h4">{children}</h6>,
  h5: ({ children }) => <h6 className="md-h4">{children}</h6>,
  a: ({ href, children }) =>
    href === undefined || href === "" ? (
      <span className="dead-link">{children}</span>
    ) : href.startsWith("#") ? (
      <PageLink address={href}>{children}</PageLink>
    ) : (
      <a href={href} title={href} target="_blank" rel="noopener noreferrer nofollow">
        {children}
      </a>
    ),
  img: ({ src, alt }) => <Picture src={src} alt={alt ?? ""} />,
  input: ({ checked }) => <TaskMark isDone={checked === true} />,
  pre: ({ children }) => <CodeBlock>{children}</CodeBlock>,
  table: ({ children }) => <Table>{children}</Table>,
};

export const MarkdownBlock = memo(function MarkdownBlock({
  text,
  extras,
}: {
  text: string;
  extras: Extras;
}): ReactElement {
  return (
    <Markdown
      remarkPlugins={[remarkGfm, remarkCjkFriendly, ...extras.remark]}
      rehypePlugins={extras.rehype}
      components={components}
      urlTransform={safeAddress}
    >
      {text}
    </Markdown>
  );
});

/** A link within the page: mostly a citation of a document. */
function PageLink({ address, children }: { address: string; children: ReactNode }): ReactElement {
  const t = useOfficeStrings();
  const cited = citationAt(address);
  if (cited === undefined) return <a href={address}>{children}</a>;
  const words = cited.isDoubtful ? t.citationDoubt : t.citationOf(String(cited.page));
  return (
    <a href={address} className={cited.isDoubtful ? "citation doubt" : "citation"} title={words}>
      {children}
    </a>
  );
}

function TaskMark({ isDone }: { isDone: boolean }): ReactElement {
  const t = useStrings();
  return <input type="checkbox" checked={isDone} disabled aria-label={isDone ? t.taskDone : t.taskOpen} />;
}

function Picture({ src, alt }: { src: string | Blob | undefined; alt: string }): ReactElement {
  const t = useStrings();
  if (typeof src === "string" && src !== "") return <img src={src} alt={alt} />;
  return <span className="blocked-image">{t.blockedImage(alt || "…")}</span>;
}

function CodeBlock({ children }: { children: ReactNode }): ReactElement {
  const t = useStrings();
  const block = useRef<HTMLPreElement>(null);
  const className = (children as { props?: { className?: string } } | undefined)?.props?.className ?? "";
  const name = /language-([\w+#.-]+)/.exec(className)?.[1] ?? t.plainText;
  return (
    <div className="code-block">
      <div className="code-head">
        <span>{name}</span>
        <CopyButton
          label={t.copyCode}
          content={() => ({ text: (block.current?.textContent ?? "").replace(/\n$/, "") })}
        />
      </div>
      {/* biome-ignore lint/a11y/noNoninteractiveTabindex: long lines scroll, and the keyboard must reach them */}
      <pre ref={block} tabIndex={0}>
        {children}
      </pre>
    </div>
  );
}

function Table({ children }: { children: ReactNode }): ReactElement {
  const t = useStrings();
  const table = useRef<HTMLTableElement>(null);
  // Tab-separated for plain places, HTML for spreadsheets and documents.
  const content = (): { text: string; html: string } => {
    const rows = [...(table.current?.rows ?? [])];
    const text = rows.map((row) => [...row.cells].map((cell) => cell.innerText.trim()).join("\t")).join("\n");
    return { text, html: table.current?.outerHTML ?? "" };
  };
  return (
    <div className="table-block">
      {/* biome-ignore lint/a11y/noNoninteractiveTabindex: wide tables scroll, and the keyboard must reach them */}
      <div className="table-scroll" tabIndex={0}>
        <table ref={table}>{children}</table>
      </div>
      <CopyButton label={t.copyTable} content={content} />
    </div>
  );
}
