import type { SignedOutReason } from "./errors.js";

/** What tabs tell each other: that the session has changed, or has ended. */
export interface Word {
  ended?: string | undefined;
  reason?: SignedOutReason;
}

/**
 * Hears of other tabs and of the page's return, where there is a page. Returns what tells other tabs, and what ends it.
 */
export function openTabs(
  name: string,
  told: (word: Word) => void,
  back: () => void,
): [tell: (word: Word) => void, close: () => void] {
  if (typeof document === "undefined") return [() => {}, () => {}];
  const closing = new AbortController();
  const { signal } = closing;
  for (const type of ["visibilitychange", "resume"]) {
    document.addEventListener(type, () => document.visibilityState !== "hidden" && back(), { signal });
  }
  for (const type of ["pageshow", "online"]) window.addEventListener(type, back, { signal });
  const channel = typeof BroadcastChannel === "undefined" ? undefined : new BroadcastChannel(`keyturn ${name}`);
  channel?.addEventListener("message", (event: MessageEvent<Word>) => told(event.data), { signal });
  const close = () => {
    closing.abort();
    channel?.close();
  };
  return [(word) => signal.aborted || channel?.postMessage(word), close];
}
