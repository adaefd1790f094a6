import type { components } from "../wire.js";
import { focusHeading, h, isolated } from "./dom.js";
import { type Host, KeyturnElement, type View } from "./element.js";
import { button, headline, question } from "./parts.js";
import { type Card, type CardContext, type FactContext, factsOf, headOf, hintOf, nameOf, sessionCard } from "./session_card.js";
import { timesOf } from "./times.js";

type Session = components["schemas"]["Session"];

// How often is asked what has changed, and without `live` how often the times are written anew, in milliseconds.
const LIVE = 1500;
const STILL = 30_000;
const LONGEST = 60_000;
const MOST_ENDED = 20;

// This device comes first, then what was used last. Sessions are below the one that they were opened within.
function inOrder(sessions: Session[]): Map<string | null, Session[]> {
  const groups = new Map<string | null, Session[]>();
  const parentOf = ({ parent_id }: Session) => sessions.find(({ id }) => id === parent_id)?.id ?? null;
  const current = sessions.find(({ is_current }) => is_current);
  const lastUsed = (session: Session) =>
    session === current || session.id === current?.parent_id ? Infinity : Date.parse(session.last_active_at);
  for (const session of [...sessions].sort((a, b) => lastUsed(b) - lastUsed(a))) {
    const parent = parentOf(session);
    groups.set(parent, [...(groups.get(parent) ?? []), session]);
  }
  return groups;
}

/** Makes the list of the sessions that have ended, which is loaded when it is opened. */
function endedSessions(host: Host, context: FactContext) {
  const { client, texts } = host;
  const list = h("ul", { part: "list", role: "list" });
  const show = async () => {
    if (!root.open) return;
    const all = await client.sessions.list({ includeExpired: true });
    const ended = all.filter(({ is_expired }) => is_expired).slice(0, MOST_ENDED);
    const cards = ended.map((session) => {
      const head = headOf(session, h("h3", {}, nameOf(session)), host);
      return h("li", { part: "card session ended" }, head, hintOf(session, host), factsOf(session, context));
    });
    list.replaceChildren(...(cards.length ? cards : [h("li", {}, texts.noneEnded)]));
  };
  const load = () => void show().catch(() => {});
  const root: HTMLDetailsElement = h("details", { toggle: load }, h("summary", {}, texts.endedSessions), list);
  return { root, load };
}

function sessionsView(host: Host): View {
  const { client, root, texts } = host;
  const cards = new Map<string, Card>();
  const lead = h("p", { part: "text" });
  const list = h("ul", { part: "list", role: "list" });
  const others = h("div", { part: "others" });
  // What was ended here. An answer that was on its way does not bring it back.
  const over = new Set<string>();
  let sessions: Session[] = [];
  // The server's time less that of this device.
  let ahead = 0;
  const now = () => Date.now() + ahead;
  const context: CardContext = { host, times: timesOf(host.language), now, renamed, ended };
  const former = endedSessions(host, context);
  const heading = h("slot", { name: "heading" }, headline(texts.sessionsTitle));
  const content = h("div", { part: "content" }, heading, lead, others, list, former.root);

  // Puts cards into a list, and those of the sessions that were opened within each into its own.
  function arrange(place: HTMLElement, groups: Map<string | null, Session[]>, parent: string | null): void {
    for (const [index, session] of (groups.get(parent) ?? []).entries()) {
      let card = cards.get(session.id);
      if (!card) cards.set(session.id, (card = sessionCard(session, context)));
      card.show(session, groups.has(session.id));
      if (place.children[index] !== card.root) place.insertBefore(card.root, place.children[index] ?? null);
      arrange(card.within, groups, session.id);
    }
  }

  // Removes the cards of sessions that have gone. Returns what has the focus now, if it was in one of them.
  function remove(gone: string[]): HTMLElement | null | undefined {
    const removed = gone.map((id) => cards.get(id)!.root);
    const focused = removed.find((card) => card.contains(root.activeElement));
    const all: HTMLElement[] = [...list.querySelectorAll("li")];
    const left = all.filter((card) => !removed.some((other) => other.contains(card)));
    const next = focused && (left.find((card) => all.indexOf(card) > all.indexOf(focused)) ?? left.pop());
    for (const card of removed) card.remove();
    for (const id of gone) cards.delete(id);
    return next?.querySelector("h3");
  }

  function show(found: Session[]): void {
    const present = found.filter(({ id }) => !over.has(id));
    const gone = sessions.map(({ id }) => id).filter((id) => !present.some((kept) => kept.id === id));
    const isOther = gone.length > 0 || (sessions.length > 0 && present.length > sessions.length);
    const focused = remove(gone) ?? (root.activeElement as HTMLElement | null);
    sessions = present;
    arrange(list, inOrder(present), null);
    showOthers(present.filter(({ is_current }) => !is_current).length);
    // What was moved has lost it.
    if (focused?.isConnected) focused.focus({ preventScroll: true });
    else if (focused && !root.activeElement) focusHeading(root);
    if (isOther) {
      host.say(texts.listChanged);
      former.load();
    }
  }

  function showOthers(count: number): void {
    if (others.dataset["count"] === String(count)) return;
    others.dataset["count"] = String(count);
    const back = () => {
      others.replaceChildren(offer);
      offer.focus();
    };
    const act = async () => {
      const { sessions_revoked } = await client.sessions.endOthers();
      host.tell("keyturn-sessions-ended", { sessions_revoked });
      for (const { id, is_current } of sessions) if (!is_current) over.add(id);
      show(sessions);
      host.say(texts.othersEnded(sessions_revoked));
    };
    const ask = () => {
      const text = texts.endOthersQuestion(count);
      others.replaceChildren(question(texts, text, texts.end, act, back));
      (others.firstChild as HTMLElement).focus();
    };
    const offer = button(texts.endOthers(count), ask, "danger");
    const hadFocus = others.contains(root.activeElement);
    others.replaceChildren(count > 0 ? offer : h("p", { part: "hint" }, texts.onlyThis));
    if (hadFocus) offer.focus();
  }

  function renamed(session: Session): void {
    show(sessions.map((other) => (other.id === session.id ? session : other)));
  }

  function ended(session: Session): void {
    host.tell("keyturn-session-ended", { session_id: session.id });
    over.add(session.id);
    show(sessions);
    host.say(texts.hasEnded(isolated(nameOf(session))));
  }

  async function load(signal: AbortSignal, isNew: boolean): Promise<() => void> {
    const calls = [isNew ? client.me({ signal }) : undefined, client.sessions.list({ signal })] as const;
    const [me, present] = await Promise.all(calls);
    return () => {
      if (me) {
        ahead = Date.parse(me.server_time) - Date.now();
        lead.textContent = texts.sessionsOf(isolated(me.user.email));
      }
      show(present);
    };
  }

  function follow(signal: AbortSignal): void {
    const isLive = client.options.live === true;
    let timer: ReturnType<typeof setTimeout> | undefined;
    let isAsking = false;
    let pause = LIVE;

    async function ask(): Promise<void> {
      clearTimeout(timer);
      if (isAsking || signal.aborted || document.visibilityState === "hidden") return;
      isAsking = true;
      const error = await host.refresh();
      isAsking = false;
      const { retryAfter = 0 } = (error ?? {}) as { retryAfter?: number };
      pause = error ? Math.min(Math.max(pause * 2, retryAfter * 1000), LONGEST) : LIVE;
      wait();
    }

    function wait(): void {
      clearTimeout(timer);
      if (signal.aborted) return;
      timer = isLive ? setTimeout(ask, pause) : setTimeout(() => (show(sessions), wait()), STILL);
    }

    // A new password, and a second factor if that is wanted, ends other sessions.
    for (const type of ["visibilitychange", "keyturn-password-changed", "keyturn-two-step-changed"]) {
      document.addEventListener(type, ask, { signal });
    }
    window.addEventListener("focus", ask, { signal });
    signal.addEventListener("abort", () => clearTimeout(timer));
    wait();
  }

  return { content, load, follow };
}

/** `<keyturn-sessions>`: where somebody is logged in, to be renamed and ended. */
export class KeyturnSessions extends KeyturnElement {
  protected view(host: Host): View {
    return sessionsView(host);
  }
}
