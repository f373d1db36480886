// The left column: brand, new chat, search, the conversations by age, and the engine's live state below them.
import { type ReactElement, type RefObject, useEffect, useMemo, useRef, useState } from "react";
import type { ConversationHead } from "./conversation.ts";
import { EnginePanel } from "./engine-panel.tsx";
import { exportJson, exportMarkdown } from "./export.ts";
import { useStrings } from "./preferences.ts";
import { useSignal } from "./signal.ts";
import type { SearchHit } from "./store-server.ts";
import type { Strings } from "./strings.ts";
import { IconButton, Menu } from "./ui/controls.tsx";
import { Icon, Logo } from "./ui/icons.tsx";
import { showToast } from "./ui/toasts.tsx";
import type { Workbench } from "./workbench.ts";

const searchLimit = 50;

export function Sidebar({
  workbench,
  searchField,
  onClose,
  onChosen,
  onModels,
}: {
  workbench: Workbench;
  searchField: RefObject<HTMLInputElement | null>;
  onClose: () => void;
  onChosen: () => void;
  onModels: () => void;
}): ReactElement {
  const t = useStrings();
  const heads = useSignal(workbench.heads);
  const [words, setWords] = useState("");
  const hits = useSearch(workbench, words);
  const newChat = (): void => {
    workbench.startConversation();
    onChosen();
  };
  return (
    <nav className="sidebar" aria-label={t.chats}>
      <div className="brand">
        <Logo />
        <span className="brand-name">Quern</span>
        <IconButton icon="sidebar" label={t.closeSidebar} onClick={onClose} />
      </div>
      <button type="button" className="new-chat" onClick={newChat}>
        <Icon name="plus" />
        {t.newChat}
      </button>
      <div className="search">
        <Icon name="search" />
        <input
          ref={searchField}
          type="search"
          value={words}
          placeholder={t.searchChats}
          aria-label={t.searchChats}
          onChange={(event) => setWords(event.target.value)}
          onKeyDown={(event) => event.key === "Escape" && setWords("")}
        />
      </div>
      <div className="chat-list">
        {hits === undefined ? (
          <ByAge workbench={workbench} heads={heads} onChosen={onChosen} />
        ) : (
          <Found workbench={workbench} heads={heads} hits={hits} words={words} onChosen={onChosen} />
        )}
      </div>
      <EnginePanel workbench={workbench} onModels={onModels} />
    </nav>
  );
}

/** Hits for the words, or nothing while there are no words. Searches when the typing pauses. */
function useSearch(workbench: Workbench, words: string): readonly SearchHit[] | undefined {
  const [hits, setHits] = useState<readonly SearchHit[]>();
  const heads = useSignal(workbench.heads);
  // biome-ignore lint/correctness/useExhaustiveDependencies: a changed list changes what is found
  useEffect(() => {
    const wanted = words.trim();
    if (wanted === "") {
      setHits(undefined);
      return;
    }
    const abort = new AbortController();
    const timer = setTimeout(async () => {
      await workbench.guard(async () => {
        const found = await workbench.store.search(wanted, { limit: searchLimit, signal: abort.signal });
        if (!abort.signal.aborted) setHits(firstOfEach(found));
      }, abort.signal);
    }, 120);
    return () => {
      abort.abort();
      clearTimeout(timer);
    };
  }, [words, workbench, heads]);
  return hits;
}

/** One line a conversation: its first message that holds the words, else its title. */
function firstOfEach(hits: readonly SearchHit[]): SearchHit[] {
  const found = new Map<string, SearchHit>();
  for (const hit of hits) {
    if (found.get(hit.conversationId)?.messageId === undefined) found.set(hit.conversationId, hit);
  }
  return [...found.values()];
}

function ByAge({
  workbench,
  heads,
  onChosen,
}: {
  workbench: Workbench;
  heads: readonly ConversationHead[];
  onChosen: () => void;
}): ReactElement {
  const t = useStrings();
  const groups = useMemo(() => groupByAge(heads, t), [heads, t]);
  if (heads.length === 0) return <p className="list-empty">{t.noChats}</p>;
  return (
    <>
      {groups.map(([title, members]) => (
        <section key={title} aria-label={title}>
          <h2>{title}</h2>
          <ul>
            {members.map((head) => (
              <Row key={head.id} workbench={workbench} head={head} onChosen={onChosen} />
            ))}
          </ul>
        </section>
      ))}
    </>
  );
}

function Found({
  workbench,
  heads,
  hits,
  words,
  onChosen,
}: {
  workbench: Workbench;
  heads: readonly ConversationHead[];
  hits: readonly SearchHit[];
  words: string;
  onChosen: () => void;
}): ReactElement {
  const t = useStrings();
  if (hits.length === 0) return <p className="list-empty">{t.searchNothing(words.trim())}</p>;
  return (
    <ul>
      {hits.map((hit) => {
        const head = heads.find(({ id }) => id === hit.conversationId);
        return head && <Row key={head.id} workbench={workbench} head={head} hit={hit} onChosen={onChosen} />;
      })}
    </ul>
  );
}

function Row({
  workbench,
  head,
  hit,
  onChosen,
}: {
  workbench: Workbench;
  head: ConversationHead;
  hit?: SearchHit;
  onChosen: () => void;
}): ReactElement {
  const t = useStrings();
  const isOpen = useSignal(workbench.open).head.id === head.id;
  const answers = useSignal(workbench.answers);
  const busy = useSignal(workbench.engine.busy);
  const isRunning = busy.has(head.id) || [...answers.values()].some(({ conversationId }) => conversationId === head.id);
  const [isRenaming, setRenaming] = useState(false);
  const title = head.title || t.untitled;

  const remove = async (): Promise<void> => {
    await workbench.remove(head.id);
    showToast({ text: t.removed(title), action: { label: t.undo, run: () => void workbench.restore(head.id) } });
  };
  if (isRenaming) {
    return (
      <li>
        <TitleField
          title={head.title}
          onDone={(next) => {
            setRenaming(false);
            if (next !== undefined && next !== head.title) void workbench.changeHead(head.id, { title: next });
          }}
        />
      </li>
    );
  }
  return (
    <li className={isOpen ? "chat-row open" : "chat-row"}>
      <button
        type="button"
        className="chat-name"
        aria-current={isOpen ? "page" : undefined}
        onDoubleClick={() => setRenaming(true)}
        onClick={() => {
          void workbench.openConversation(head.id, hit?.messageId);
          onChosen();
        }}
      >
        <span className="chat-title">
          {isRunning && <span className="running-dot" />}
          {title}
        </span>
        {hit?.messageId && <span className="chat-excerpt">{hit.excerpt}</span>}
      </button>
      <Menu
        label={`${t.more}: ${title}`}
        items={[
          { icon: "pencil", label: t.rename, onSelect: () => setRenaming(true) },
          {
            icon: "pin",
            label: head.isPinned ? t.unpin : t.pin,
            onSelect: () => void workbench.changeHead(head.id, { isPinned: !head.isPinned }),
          },
          {
            icon: "download",
            label: t.exportMarkdown,
            onSelect: () => void workbench.guard(() => exportMarkdown(workbench.store, head)),
          },
          {
            icon: "download",
            label: t.exportJson,
            onSelect: () => void workbench.guard(() => exportJson(workbench.store, head)),
          },
          { icon: "trash", label: t.remove, isDangerous: true, onSelect: () => void remove() },
        ]}
      />
    </li>
  );
}

function TitleField({ title, onDone }: { title: string; onDone: (title?: string) => void }): ReactElement {
  const t = useStrings();
  const field = useRef<HTMLInputElement>(null);
  useEffect(() => field.current?.select(), []);
  const save = (): void => onDone(field.current?.value.trim() || undefined);
  return (
    <input
      ref={field}
      className="title-field"
      defaultValue={title}
      maxLength={120}
      aria-label={t.renameLabel}
      onBlur={save}
      onKeyDown={(event) => {
        if (event.nativeEvent.isComposing) return;
        if (event.key === "Enter") save();
        if (event.key === "Escape") onDone();
      }}
    />
  );
}

function groupByAge(heads: readonly ConversationHead[], t: Strings): [string, ConversationHead[]][] {
  const midnight = new Date().setHours(0, 0, 0, 0);
  const dayMs = 86_400_000;
  const groups = new Map<string, ConversationHead[]>(
    [t.pinned, t.today, t.yesterday, t.thisWeek, t.older].map((title) => [title, []]),
  );
  for (const head of heads) {
    const at = head.updatedAt;
    const recent = at >= midnight ? t.today : at >= midnight - dayMs ? t.yesterday : undefined;
    const title = head.isPinned ? t.pinned : (recent ?? (at >= midnight - 7 * dayMs ? t.thisWeek : t.older));
    groups.get(title)?.push(head);
  }
  return [...groups].filter(([, members]) => members.length > 0);
}
