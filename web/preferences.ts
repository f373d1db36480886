// What the reader chose for the whole page: language, theme, sidebar, settings of new chats. Kept in localStorage, applied to the
// document at once. A browser without storage keeps them until the tab closes.
import { type ChatSettings, defaultSettings } from "./conversation.ts";
import { Signal, useSignal } from "./signal.ts";
import { type Language, type Strings, strings } from "./strings.ts";

export type Theme = "system" | "light" | "dark";

export interface Preferences {
  language: Language;
  theme: Theme;
  isSidebarOpen: boolean;
  isEngineOpen: boolean;
  /** Absent until the reader opened or closed it: open on the empty page, closed above a conversation. */
  isDemoNoticeOpen?: boolean;
  newChatSettings: ChatSettings;
  /** The engine reads the draft ahead. */
  isDraftPrefilled: boolean;
  /** Messages may go without their politeness. */
  isSlimming: boolean;
  /** Questions to ask next are shown after an answer. */
  hasSuggestions: boolean;
}

const key = "quern.preferences";

function initial(): Preferences {
  const defaults: Preferences = {
    language: navigator.languages
      .find((each) => /^(zh|en)\b/i.test(each))
      ?.toLowerCase()
      .startsWith("zh")
      ? "zh"
      : "en",
    theme: "system",
    isSidebarOpen: true,
    isEngineOpen: true,
    newChatSettings: defaultSettings,
    isDraftPrefilled: true,
    isSlimming: true,
    hasSuggestions: true,
  };
  try {
    const saved = JSON.parse(localStorage.getItem(key) ?? "{}") as Partial<Preferences>;
    const merged = { ...defaults, ...saved };
    return merged.language in strings ? merged : { ...merged, language: defaults.language };
  } catch {
    return defaults; // unreadable or forbidden: the defaults are always a working page
  }
}

export const preferences = new Signal<Preferences>(initial());

export function setPreferences(change: Partial<Preferences>): void {
  preferences.value = { ...preferences.value, ...change };
  apply();
  try {
    localStorage.setItem(key, JSON.stringify(preferences.value));
  } catch {
    // Storage is full or forbidden: the choice holds until the tab closes.
  }
}

/** Brings the document in line: language for fonts and screen readers, theme for the colours. */
export function apply(): void {
  const { language, theme } = preferences.value;
  const root = document.documentElement;
  root.lang = language === "zh" ? "zh-CN" : "en";
  if (theme === "system") delete root.dataset.theme;
  else root.dataset.theme = theme;
}

export function usePreferences(): Preferences {
  return useSignal(preferences);
}

export function useStrings(): Strings {
  return strings[useSignal(preferences).language];
}
