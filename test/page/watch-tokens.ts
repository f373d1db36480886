// Watches, from within the page, when each piece of an answer arrives and when its words are in the document: in frames and in milliseconds.
// The pieces are words with running numbers (w0 w1 …), so that what is shown tells which piece it came from.
import type { Page } from "playwright-core";

export interface SeenWord {
  /** Frames that began between arrival and the change of the document: 0 within the same, 1 in the next. */
  frames: number;
  ms: number;
}

const script = `{
  const arrived = new Map();
  const seen = [];
  let frame = 0;
  const tick = () => { frame++; requestAnimationFrame(tick); };
  requestAnimationFrame(tick);
  const parse = JSON.parse;
  JSON.parse = (text, reviver) => {
    const value = parse(text, reviver);
    if (value !== null && typeof value === "object" && value.type === "text") {
      for (const word of String(value.text).match(/w\\d+(?=\\s)/g) ?? []) {
        if (!arrived.has(word)) arrived.set(word, { frame, at: performance.now() });
      }
    }
    return value;
  };
  const look = () => {
    const text = [...document.querySelectorAll(".message.assistant .md")].at(-1)?.textContent ?? "";
    const shown = new Set(text.match(/w\\d+/g));
    for (const [word, from] of arrived) {
      if (!shown.has(word)) continue;
      arrived.delete(word);
      seen.push({ frames: frame - from.frame, ms: performance.now() - from.at });
    }
  };
  addEventListener("DOMContentLoaded", () =>
    new MutationObserver(look).observe(document.body, { subtree: true, childList: true, characterData: true }));
  globalThis.seenWords = seen;
}`;

/** Frames that begin only when the page has done all that it had to do: what is left for a later frame then is so by design, on a machine however busy. */
const unhurriedFrames = `{
  const askFrame = requestAnimationFrame;
  let asked = [];
  globalThis.requestAnimationFrame = (callback) => {
    asked.push(callback);
    if (asked.length === 1) askFrame(() => requestIdleCallback(begin));
    return asked.length;
  };
  const begin = () => {
    const now = performance.now();
    const callbacks = asked;
    asked = [];
    for (const callback of callbacks) callback(now);
  };
}`;

/** Loads the page again with the watch in it. Frames are the browser's own, or with `isUnhurried` such that only counting them says something. */
export async function watchTokens(page: Page, { isUnhurried = false } = {}): Promise<void> {
  if (isUnhurried) await page.addInitScript(unhurriedFrames);
  await page.addInitScript(script);
  await page.reload();
  await page.locator(".composer textarea").waitFor();
}

export const seenWords = (page: Page): Promise<SeenWord[]> => page.evaluate("globalThis.seenWords");

export const numberedWords = (count: number): string[] => Array.from({ length: count }, (_, n) => `w${n} `);
