// The page's frame: sidebar, conversation, composer, dialogs, and the keys that work everywhere.
import { lazy, type ReactElement, Suspense, useEffect, useMemo, useRef, useState } from "react";
import { Announcer } from "./announcer.tsx";
import { Composer } from "./chat/composer.tsx";
import { draftOf } from "./chat/draft.ts";
import { MessageList } from "./chat/message-list.tsx";
import type { SlashCommand } from "./chat/slash-menu.tsx";
import { Suggestions } from "./chat/suggestions.tsx";
import { pathTo } from "./conversation.ts";
import { ModelsDialog } from "./dialogs/models-dialog.tsx";
import { Palette, type PaletteEntry } from "./dialogs/palette.tsx";
import { SettingsDialog } from "./dialogs/settings-dialog.tsx";
import { ShortcutsDialog } from "./dialogs/shortcuts-dialog.tsx";
import { TemplateCards } from "./dialogs/template-choice.tsx";
import { TemplateDialog } from "./dialogs/template-dialog.tsx";
import { officeView } from "./documents/office-view.ts";
import { exportJson, exportMarkdown, importFiles } from "./export.ts";
import { Notices } from "./notices.tsx";
import { setPreferences, type Theme, usePreferences, useStrings } from "./preferences.ts";
import { Sidebar } from "./sidebar.tsx";
import { useSignal } from "./signal.ts";
import { Button, IconButton } from "./ui/controls.tsx";
import { Logo } from "./ui/icons.tsx";
import { Toasts } from "./ui/toasts.tsx";
import type { Workbench } from "./workbench.ts";

const OfficePane = lazy(async () => ({ default: (await import("./documents/office-pane.tsx")).OfficePane }));

type OpenDialog =
  | { kind: "settings" | "shortcuts" | "models" | "palette" }
  | { kind: "template"; id: string | undefined };

/** Below this width the sidebar lies over the conversation and closes after a choice. */
const narrow = matchMedia("(max-width: 820px)");

export function App({ workbench }: { workbench: Workbench }): ReactElement {
  const t = useStrings();
  const { isSidebarOpen: isOpenWide, theme, language } = usePreferences();
  const open = useSignal(workbench.open);
  const beside = useSignal(officeView);
  const [isDrawerOpen, setDrawerOpen] = useState(false);
  const [isNarrow, setNarrow] = useState(narrow.matches);
  const [dialog, setDialog] = useState<OpenDialog>();
  const [editingId, setEditingId] = useState<string>();
  const field = useRef<HTMLTextAreaElement>(null);
  const searchField = useRef<HTMLInputElement>(null);
  const isSidebarOpen = isNarrow ? isDrawerOpen : isOpenWide;
  const isEmpty = open.head.leafId === undefined;

  const actions = useMemo(() => {
    const showSidebar = (isShown: boolean): void => {
      if (narrow.matches) setDrawerOpen(isShown);
      else setPreferences({ isSidebarOpen: isShown });
    };
    const focusField = (): void => requestAnimationFrame(() => field.current?.focus()) as unknown as undefined;
    return {
      showSidebar,
      focusField,
      newChat(): void {
        workbench.startConversation();
        focusField();
      },
      search(): void {
        showSidebar(true);
        requestAnimationFrame(() => searchField.current?.focus());
      },
      editLast(): void {
        const { head, messages } = workbench.open.value;
        const last = pathTo(messages, head.leafId).findLast(({ role }) => role === "user");
        if (last !== undefined) setEditingId(last.id);
      },
      command(command: SlashCommand): void {
        if (command === "new") this.newChat();
        else setDialog({ kind: command });
      },
    };
  }, [workbench]);

  useEffect(() => {
    const changed = (): void => setNarrow(narrow.matches);
    narrow.addEventListener("change", changed);
    return () => narrow.removeEventListener("change", changed);
  }, []);
  // biome-ignore lint/correctness/useExhaustiveDependencies: another conversation is edited and written in afresh
  useEffect(() => {
    setEditingId(undefined);
    officeView.value = undefined;
    if (!matchMedia("(pointer: coarse)").matches) field.current?.focus();
  }, [open.head.id]);
  useEffect(() => {
    document.title = open.head.title === "" ? "Quern" : `${open.head.title} · Quern`;
  }, [open.head.title]);
  useShortcuts(workbench, { ...actions, isSidebarOpen, openDialog: setDialog, hasDialog: dialog !== undefined });

  const commands = (): PaletteEntry[] => {
    const show = (kind: "settings" | "shortcuts" | "models") => () => setDialog({ kind });
    const { head } = open;
    const ofChat: PaletteEntry[] = [
      {
        id: "markdown",
        icon: "download",
        name: t.exportMarkdown,
        run: () => void workbench.guard(() => exportMarkdown(workbench.store, head)),
      },
      {
        id: "json",
        icon: "download",
        name: t.exportJson,
        run: () => void workbench.guard(() => exportJson(workbench.store, head)),
      },
      {
        id: "pin",
        icon: "pin",
        name: head.isPinned ? t.unpin : t.pin,
        run: () => void workbench.changeHead(head.id, { isPinned: !head.isPinned }),
      },
    ];
    return [
      { id: "new", icon: "plus", name: t.newChat, run: actions.newChat },
      {
        id: "templates",
        icon: "template",
        name: t.templates,
        run: () => setDialog({ kind: "template", id: undefined }),
      },
      { id: "models", icon: "bolt", name: t.models, run: show("models") },
      { id: "settings", icon: "settings", name: t.settings, run: show("settings") },
      { id: "shortcuts", icon: "keyboard", name: t.shortcuts, run: show("shortcuts") },
      { id: "search", icon: "search", name: t.searchChats, run: actions.search },
      {
        id: "import",
        icon: "upload",
        name: t.importChats,
        run: () => importFiles(workbench.store, (work) => void workbench.guard(work), t),
      },
      {
        id: "sidebar",
        icon: "sidebar",
        name: isSidebarOpen ? t.closeSidebar : t.openSidebar,
        run: () => actions.showSidebar(!isSidebarOpen),
      },
      {
        id: "theme",
        icon: "moon",
        name: `${t.theme}: ${t.themes[isDark(theme) ? "light" : "dark"]}`,
        run: () => setPreferences({ theme: isDark(theme) ? "light" : "dark" }),
      },
      {
        id: "language",
        icon: "translate",
        name: language === "zh" ? "English" : "中文",
        run: () => setPreferences({ language: language === "zh" ? "en" : "zh" }),
      },
      ...(isEmpty ? [] : ofChat),
    ];
  };

  return (
    <div className={`app${isSidebarOpen ? " with-sidebar" : ""}${beside ? " with-office" : ""}`}>
      {isSidebarOpen && (
        <>
          {isNarrow && (
            <button type="button" className="scrim" aria-label={t.closeSidebar} onClick={() => setDrawerOpen(false)} />
          )}
          <Sidebar
            workbench={workbench}
            searchField={searchField}
            onClose={() => actions.showSidebar(false)}
            onChosen={() => setDrawerOpen(false)}
            onModels={() => setDialog({ kind: "models" })}
          />
        </>
      )}
      <main className="main">
        <header className="top">
          {!isSidebarOpen && (
            <>
              <IconButton icon="sidebar" label={t.openSidebar} onClick={() => actions.showSidebar(true)} />
              <IconButton icon="plus" label={t.newChat} onClick={actions.newChat} />
            </>
          )}
          <h1>{open.head.title || (isEmpty ? <span className="visually-hidden">Quern</span> : t.untitled)}</h1>
          <button
            type="button"
            className="button quiet"
            lang={language === "zh" ? "en" : "zh-CN"}
            aria-label={language === "zh" ? "EN: switch to English" : "切换到中文"}
            onClick={() => setPreferences({ language: language === "zh" ? "en" : "zh" })}
          >
            {language === "zh" ? "EN" : "中"}
          </button>
          <ThemeButton theme={theme} />
          <IconButton icon="settings" label={t.settings} onClick={() => setDialog({ kind: "settings" })} />
        </header>
        <Notices workbench={workbench} onModels={() => setDialog({ kind: "models" })} />
        {isEmpty ? (
          <Welcome workbench={workbench} onTemplate={(id) => setDialog({ kind: "template", id })} />
        ) : (
          <MessageList key={open.head.id} workbench={workbench} editingId={editingId} onEdit={setEditingId} />
        )}
        <Suggestions workbench={workbench} />
        <Composer
          workbench={workbench}
          field={field}
          onTemplate={(id) => setDialog({ kind: "template", id })}
          onCommand={(command) => actions.command(command)}
          onEditLast={actions.editLast}
        />
      </main>
      {beside && (
        <Suspense fallback={<div className="office" />}>
          <OfficePane view={beside} />
        </Suspense>
      )}
      {dialog?.kind === "settings" && <SettingsDialog workbench={workbench} onClose={() => setDialog(undefined)} />}
      {dialog?.kind === "shortcuts" && <ShortcutsDialog onClose={() => setDialog(undefined)} />}
      {dialog?.kind === "models" && <ModelsDialog workbench={workbench} onClose={() => setDialog(undefined)} />}
      {dialog?.kind === "palette" && (
        <Palette
          workbench={workbench}
          commands={commands()}
          onTemplate={(id) => setDialog({ kind: "template", id })}
          onClose={() => setDialog(undefined)}
        />
      )}
      {dialog?.kind === "template" && (
        <TemplateDialog
          workbench={workbench}
          initialId={dialog.id}
          onClose={() => setDialog(undefined)}
          onInsert={(draft, { isSent }) => {
            setDialog(undefined);
            if (isSent) void workbench.send(draft);
            else draftOf(workbench).value = draft;
            actions.focusField();
          }}
        />
      )}
      <Toasts />
      <Announcer workbench={workbench} />
    </div>
  );
}

const welcomeCards = 4;

function Welcome({
  workbench,
  onTemplate,
}: {
  workbench: Workbench;
  onTemplate: (id: string | undefined) => void;
}): ReactElement {
  const t = useStrings();
  const templates = useSignal(workbench.templates.list);
  return (
    <div className="welcome">
      <Logo size={56} />
      <h2>{t.greeting}</h2>
      <p>{t.greetingHint}</p>
      <TemplateCards templates={templates.slice(0, welcomeCards)} onChoose={onTemplate} />
      {templates.length > welcomeCards && (
        <Button look="quiet" icon="template" onClick={() => onTemplate(undefined)}>
          {t.allTemplates(templates.length)}
        </Button>
      )}
    </div>
  );
}

function ThemeButton({ theme }: { theme: "system" | "light" | "dark" }): ReactElement {
  const t = useStrings();
  const next = isDark(theme) ? "light" : "dark";
  return (
    <IconButton
      icon={next === "light" ? "sun" : "moon"}
      label={`${t.theme}: ${t.themes[next]}`}
      onClick={() => setPreferences({ theme: next })}
    />
  );
}

interface Actions {
  newChat: () => void;
  search: () => void;
  focusField: () => void;
  showSidebar: (isShown: boolean) => void;
  isSidebarOpen: boolean;
  hasDialog: boolean;
  openDialog: (dialog: OpenDialog) => void;
}

function useShortcuts(workbench: Workbench, actions: Actions): void {
  const latest = useRef(actions);
  latest.current = actions;
  useEffect(() => {
    const pressed = (event: KeyboardEvent): void => {
      const now = latest.current;
      if (event.isComposing || now.hasDialog) return;
      const hasMod = event.metaKey || event.ctrlKey;
      const key = event.key.toLowerCase();
      if (event.key === "Escape" && event.shiftKey) now.focusField();
      else if (event.key === "Escape") {
        // Where Escape has a meaning of its own (a field, a menu), it does not also stop the answer.
        const isTaken = event.target instanceof Element && event.target.closest("input, [popover], .edit-box, dialog");
        if (!event.defaultPrevented && !isTaken) workbench.stop();
        return;
      } else if (hasMod && event.shiftKey && key === "o") now.newChat();
      else if (hasMod && key === "k") now.openDialog({ kind: "palette" });
      else if (hasMod && event.shiftKey && key === "f") now.search();
      else if (event.key === "?" && !isTyping(event.target)) now.openDialog({ kind: "shortcuts" });
      else if (hasMod && key === "b") now.showSidebar(!now.isSidebarOpen);
      else if (hasMod && key === ",") now.openDialog({ kind: "settings" });
      else if (hasMod && key === "/") now.openDialog({ kind: "shortcuts" });
      else return;
      event.preventDefault();
    };
    addEventListener("keydown", pressed);
    return () => removeEventListener("keydown", pressed);
  }, [workbench]);
}

function isDark(theme: Theme): boolean {
  return theme === "dark" || (theme === "system" && matchMedia("(prefers-color-scheme: dark)").matches);
}

function isTyping(target: EventTarget | null): boolean {
  return target instanceof Element && target.closest("input, textarea, select, [contenteditable]") !== null;
}
