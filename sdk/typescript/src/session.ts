import { abortable, type Clock } from "./clock.js";
import { type FinalCode, type KeyturnError, type SignedOutReason, fail, isFinal } from "./errors.js";
import { type Answer, type Post, refusal } from "./http.js";
import type { TokenStorage } from "./storage.js";
import { type Word, openTabs } from "./tabs.js";
import type { components } from "./wire.js";

export type Grant = components["schemas"]["TokenResponse"];
export type User = components["schemas"]["User"];

/** What `on` tells of. */
export interface Events {
  /** Somebody has logged in, here or in another tab, which does not tell who. */
  signedIn: { session_id: string; user?: User };
  signedOut: { reason: SignedOutReason };
  refreshed: { session_id: string; user: User };
}

/** A generation of a session, as it is stored. Times are the server's, in milliseconds. */
export interface Entry {
  /** The refresh token, unless it is in a cookie. */
  r?: string;
  /** The `Idempotency-Key` of the refresh that will replace this generation; it is also the generation's name. */
  k: string;
  /** The session's id; empty while only a cookie knows it. */
  s: string;
  /** The access token, when it expires, and when it is to be refreshed. */
  a?: string;
  x?: number;
  f?: number;
}

export interface SessionOptions {
  /** What tabs of one session have in common. */
  name: string;
  post: Post;
  cookies: boolean;
  storage: TokenStorage;
  clock: Clock;
  /** How many milliseconds a call waits for a refresh. */
  patience: number;
  random: (length: number) => Uint8Array;
  /** What `ahead` is to begin with. */
  ahead?: number | undefined;
  /** Returns whether the session can be used here, and not refreshed. */
  isReadOnly?: (() => boolean) | undefined;
}

const FIRST_PAUSE = 500;
const LONGEST_PAUSE = 60_000;
const LONGEST_RETRY_AFTER = 3_600_000;
// How long the store is looked at, before a token is presented again of which keyturn says that it was replaced.
const LOOKING = 7000;
const LOOK = 1000;
const ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

type Handler = (event: never) => void;

/** Returns the tokens of an answer, unless it is somebody else's page. */
export function grantOf({ status, body }: Answer, isComplete: (grant: Grant) => unknown): Grant | undefined {
  const grant = body as Grant | null | undefined;
  const isGrant =
    (status === 200 || status === 201) &&
    grant &&
    typeof grant.session_id === "string" &&
    grant.expires_in >= 0 &&
    grant.refresh_after >= 0 &&
    Date.parse(grant.server_time) > 0;
  return isGrant && isComplete(grant) ? grant : undefined;
}

function inBackground(task: Promise<unknown>): void {
  task.catch(() => {});
}

function signedOut(reason?: SignedOutReason): KeyturnError {
  return fail("nobody is logged in", { kind: "signed_out", ...(reason && { reason }) });
}

function notKept(): KeyturnError {
  return fail("the storage did not keep the session", { kind: "storage" });
}

// Returns how long to wait. Half of it is random, so that clients do not come in step.
function pauseAfter(failures: number, retryAfter = 0): number {
  const pause = Math.min(FIRST_PAUSE * 2 ** failures, LONGEST_PAUSE) * (0.5 + Math.random() / 2);
  return Math.max(pause, Math.min(retryAfter * 1000, LONGEST_RETRY_AFTER));
}

export type Session = ReturnType<typeof createSession>;

/**
 * Makes the session of a person on this device. It is refreshed without a lock: within a tab once at a time, and tabs
 * that ask at the same time get the same pair of tokens. A refresh token is stored before the access token that came with
 * it is used: whatever dies in between, keyturn sees a client whose answer was lost, and not a thief.
 */
export function createSession(options: SessionOptions) {
  const { name, post, cookies, storage, clock, patience, random } = options;
  let mine: Entry | undefined;
  let state: "unknown" | "in" | "out" = "unknown";
  // The session that ended last. Nothing brings it back.
  let ended: string | undefined;
  // Counts logins, logouts and ends. A refresh that began in an earlier era is void.
  let era = 0;
  // Counts logins and logouts: a login is not void because keyturn has said that the former session is over.
  let acts = 0;
  let flight: Promise<Entry> | undefined;
  let stop = new AbortController();
  let queue: Promise<unknown> = Promise.resolve();
  // The server's time less that of the clock.
  let { ahead } = options;
  let failures = 0;
  let notBefore = 0;
  let isTold = false;
  let isDisposed = false;
  const sleepers = new Set<() => void>();
  const handlers = new Set<[keyof Events, Handler]>();
  const hear = (word: Word) => inBackground(changed(word));
  const [tell, closeTabs] = openTabs(name, hear, wake);
  const unwatch = storage.watch?.((removed) => hear({ ended: parse(removed)?.s }));

  function on<E extends keyof Events>(name: E, handler: (event: Events[E]) => void): () => void {
    const entry: [E, Handler] = [name, handler];
    handlers.add(entry);
    return () => void handlers.delete(entry);
  }

  // Handlers are never waited for: one may call what waits for the one that tells it.
  function emit<E extends keyof Events>(name: E, event: Events[E]): void {
    for (const [wanted, handler] of handlers) {
      if (wanted === name) void Promise.resolve(event as never).then(handler);
    }
  }

  function dispose(): void {
    isDisposed = true;
    closeTabs();
    unwatch?.();
    handlers.clear();
    abandon();
  }

  // Throws if what began then is void.
  function check(began: number, now = era): void {
    if (isDisposed) throw fail("the client was disposed of", { kind: "disposed" });
    if (began !== now) throw signedOut("logout");
  }

  // --- Time ---

  function age({ a, x, f }: Entry): "fresh" | "due" | "over" | "unknown" {
    if (!a && !cookies) return "over";
    if (ahead === undefined || !x || !f) return "unknown";
    const now = clock.now() + ahead;
    return now < f ? "fresh" : now < x ? "due" : "over";
  }

  function sleep(milliseconds: number): Promise<void> {
    return new Promise((resolve) => {
      const wakeUp = () => {
        cancel();
        sleepers.delete(wakeUp);
        resolve();
      };
      const cancel = clock.after(milliseconds, wakeUp);
      sleepers.add(wakeUp);
    });
  }

  function wakeSleepers(): void {
    for (const wakeUp of sleepers) wakeUp();
  }

  // --- The store ---

  // Does one thing after another with the store. None of them waits for the network.
  function exclusive<T>(task: () => Promise<T>): Promise<T> {
    const done = queue.then(task);
    queue = done.catch(() => {});
    return done;
  }

  async function kept<T>(step: () => T | Promise<T>): Promise<T> {
    try {
      return await step();
    } catch (error) {
      throw fail("the storage failed", { kind: "storage" }, error);
    }
  }

  function parse(text: string | null | undefined): Entry | undefined {
    try {
      const entry = JSON.parse(text!) as Entry;
      const isWhole = typeof entry.k === "string" && typeof entry.s === "string";
      return isWhole && (cookies || typeof entry.r === "string") ? entry : undefined;
    } catch {
      return undefined;
    }
  }

  async function look(): Promise<Entry | undefined> {
    return parse(await kept(() => storage.get()));
  }

  function remove(): Promise<unknown> {
    return kept(() => storage.remove());
  }

  async function read(): Promise<Entry | undefined> {
    const entry = await look();
    if (!entry?.s || entry.s !== ended) return entry;
    // A refresh of another tab has written it after the end.
    await remove();
    return undefined;
  }

  // Stores an entry and reads it back. Returns what is there then: another tab's, if that was faster.
  async function write(entry: Entry): Promise<Entry | undefined> {
    const { r, k, s } = entry;
    await kept(() => storage.set(JSON.stringify(cookies || storage.shared ? entry : { r, k, s })));
    const back = await look();
    return back?.k === k ? entry : back;
  }

  function newKey(): string {
    return Array.from(random(22), (byte) => ALPHABET[byte & 63]).join("");
  }

  function entryOf(grant: Grant, sent: number): Entry {
    const server = Date.parse(grant.server_time);
    ahead = server - sent;
    const times = { x: server + grant.expires_in * 1000, f: server + grant.refresh_after * 1000 };
    const entry = { k: newKey(), s: grant.session_id, ...times };
    return cookies ? entry : { r: grant.refresh_token!, a: grant.access_token!, ...entry };
  }

  // --- Beginning and end ---

  // Makes void what is on its way.
  function abandon(): void {
    era += 1;
    stop.abort();
    stop = new AbortController();
    flight = undefined;
    failures = notBefore = 0;
    wakeSleepers();
  }

  function enter(entry: Entry, user?: User): Entry {
    const isNew = state !== "in" || mine?.s !== entry.s;
    mine = entry;
    state = "in";
    if (isNew) emit("signedIn", { session_id: entry.s, ...(user && { user }) });
    return entry;
  }

  function leave(reason: SignedOutReason, session: string | undefined): KeyturnError {
    abandon();
    if (reason === "logout") acts += 1;
    ended = session || ended;
    mine = undefined;
    if (state !== "out") {
      state = "out";
      emit("signedOut", { reason });
      tell({ ended: session, reason });
    }
    return signedOut(reason);
  }

  /** Returns what `begin` tells by whether somebody has logged in or out since. */
  function start(): number {
    check(era);
    return acts;
  }

  /** Takes over the session of a login that began then, and was sent at a moment of the clock. */
  async function begin(grant: Grant, began: number, sent: number): Promise<void> {
    try {
      await exclusive(async () => {
        check(began, acts);
        acts += 1;
        abandon();
        const own = era;
        const entry = entryOf(grant, sent);
        const back = await write(entry);
        check(own);
        if (back !== entry) throw notKept();
        enter(entry, grant.user);
        tell({});
      });
    } catch (error) {
      // Nobody has this session.
      if (!isDisposed) inBackground(tellServer(grant.refresh_token!));
      throw error;
    }
  }

  /** Takes over a further access token of a generation. */
  async function renew(grant: Grant, entry: Entry, sent: number): Promise<void> {
    await exclusive(async () => {
      const { r, k } = entry;
      if (cookies || mine?.k !== k || (await read())?.k !== k) return;
      const back = await write({ ...entryOf(grant, sent), r: r!, k });
      if (back && mine?.k === k) mine = back;
      tell({});
    });
  }

  /** Logs out: here at once, whatever is on its way, and then at the server. */
  async function end(): Promise<void> {
    check(era);
    const former = mine;
    leave("logout", former?.s);
    const stored = await exclusive(async () => {
      const found = await look();
      await remove();
      return found;
    });
    ended = stored?.s || ended;
    const token = (stored ?? former)?.r;
    if (token || cookies) await tellServer(token);
  }

  // A refresh token ends its session, even one that was replaced.
  async function tellServer(token: string | undefined): Promise<void> {
    const until = clock.now() + patience;
    for (let failed = 0; ; failed += 1) {
      const form = `token=${encodeURIComponent(token!)}`;
      const asked = cookies ? post("/api/v1/auth/logout") : post("/oauth/revoke", form);
      const answer = await asked.catch((error: KeyturnError) => error);
      // 401: the session has ended already.
      if ("body" in answer && (answer.status < 300 || (answer.status === 401 && answer.problem))) return;
      const error = "body" in answer ? refusal(answer) : answer;
      const pause = pauseAfter(failed, (answer as Answer).retryAfter);
      if (error.kind !== "unavailable" || isDisposed || clock.now() + pause > until) throw error;
      await sleep(pause);
    }
  }

  // --- Other tabs ---

  async function changed({ ended: session, reason = "logout" }: Word): Promise<void> {
    await exclusive(async () => {
      if (isDisposed) return;
      ended = session || ended;
      const stored = await read();
      if (!stored) {
        if (mine) leave(reason, mine.s);
      } else if (stored.s && stored.k !== mine?.k) {
        if (mine && mine.s !== stored.s) abandon();
        enter(stored);
      }
    });
    wakeSleepers();
  }

  /** Looks after the session when the page or the app is used again. */
  function wake(): void {
    // A server that has named a time is asked then.
    if (!isTold) notBefore = 0;
    inBackground(changed({}).then(() => mine && current()));
  }

  // --- Access ---

  /** Returns the generation to call with, if need be after a refresh; nothing if only a cookie can know. */
  async function current(signal?: AbortSignal | null, isKnown = false): Promise<Entry | undefined> {
    check(era);
    const entry = mine ?? (await abortable(exclusive(load), signal));
    const how = entry && age(entry);
    if (how === "over" || (how === "unknown" && isKnown)) return abortable(refresh(), signal);
    if (how === "due") inBackground(refresh());
    return entry;
  }

  async function load(): Promise<Entry | undefined> {
    const began = era;
    const stored = await read();
    check(began);
    if (stored && !mine) {
      mine = stored;
      if (stored.s) state = "in";
    }
    if (!mine && (!cookies || state === "out")) {
      state = "out";
      throw signedOut();
    }
    return mine;
  }

  /** Returns another generation than this one, which was refused. */
  async function after(refused: Entry | undefined, signal?: AbortSignal | null): Promise<Entry> {
    return mine && mine.k !== refused?.k ? mine : abortable(refresh(), signal);
  }

  async function refresh(): Promise<Entry> {
    if (options.isReadOnly?.()) throw fail("the session cannot be refreshed here", { kind: "read_only" });
    if (!flight) {
      const own = fly(era).finally(() => {
        if (flight === own) flight = undefined;
      });
      flight = own;
    }
    return flight;
  }

  async function fly(began: number): Promise<Entry> {
    const until = clock.now() + patience;
    let stale = mine;
    let replaced: string | undefined;
    let looksUntil = 0;
    for (;;) {
      const isGivenUp = replaced && clock.now() >= looksUntil ? replaced : undefined;
      const [entry, isNewer] = await exclusive(() => prepare(stale, began, isGivenUp));
      check(began);
      if (isNewer) return entry;
      const wait = entry.k === replaced ? LOOK : notBefore - clock.now();
      if (wait > 0) {
        if (clock.now() + wait > until) {
          throw fail("keyturn cannot be asked now", { kind: "unavailable", retryAfter: Math.ceil(wait / 1000) });
        }
        await sleep(wait);
        continue;
      }
      const sent = clock.now();
      const answer = await ask(entry);
      const next = await exclusive(() => judge(answer, entry, began, sent));
      if (typeof next === "object") return next;
      stale = mine;
      replaced = next;
      looksUntil = clock.now() + LOOKING;
    }
  }

  // Returns the stored generation, and whether it is newer than the stale one, so that nobody needs to ask.
  async function prepare(stale: Entry | undefined, began: number, givenUp?: string): Promise<[Entry, boolean]> {
    check(began);
    const stored = await read();
    check(began);
    if (stored && stored.k !== givenUp) {
      const isNewer = stored.s && stored.k !== stale?.k && age(stored) !== "over";
      return isNewer ? [enter(stored), true] : [stored, false];
    }
    if (!stored && (!cookies || stale?.s)) throw leave("logout", stale?.s);
    // Only a cookie can know, or nobody here has the answer, and the server is to say what becomes of the session.
    const again = { s: "", ...stored, k: newKey() };
    return [(await write(again)) ?? again, false];
  }

  function ask({ r, k }: Entry): Promise<Answer | KeyturnError> {
    const options = { headers: { "idempotency-key": k }, signals: [stop.signal] };
    const asked = post("/api/v1/sessions/refresh", cookies ? undefined : { refresh_token: r }, options);
    return asked.catch((error: KeyturnError) => error);
  }

  // Returns the next generation, or the name of the presented one if it was replaced. After neither, the store is to be
  // read again.
  async function judge(answer: Answer | KeyturnError, asked: Entry, began: number, sent: number) {
    check(began);
    // Until it is known to have gone well.
    const { retryAfter } = answer as Answer;
    isTold = retryAfter !== undefined;
    notBefore = clock.now() + pauseAfter(failures, retryAfter);
    failures += 1;
    if ("body" in answer) {
      const grant = grantOf(answer, (grant) => cookies || (grant.access_token && grant.refresh_token));
      if (grant) return commit(grant, asked, began, sent);
      const { status, problem } = answer;
      if (status === 401 && isFinal(problem?.code)) return finish(problem!.code as FinalCode, asked, began);
      if (problem?.code === "already_refreshed" || problem?.code === "refresh_token_replaced") return asked.k;
    }
    const error = "body" in answer ? refusal(answer) : answer;
    if (error.kind === "refused" && !error.problem.retryable) throw error;
    return undefined;
  }

  async function commit(grant: Grant, asked: Entry, began: number, sent: number): Promise<Entry | undefined> {
    const stored = await read();
    check(began);
    const back = stored?.k === asked.k ? await write(entryOf(grant, sent)) : stored;
    // A logout that came meanwhile removes it next.
    check(began);
    if (!back) throw leave("logout", asked.s);
    if (back.k === asked.k) throw notKept();
    // Another tab was faster, and has left no access token that is of use.
    if (age(back) === "over") return undefined;
    failures = notBefore = 0;
    enter(back, grant.user);
    if (back !== stored) {
      emit("refreshed", { session_id: back.s, user: grant.user });
      tell({});
    }
    return back;
  }

  async function finish(reason: FinalCode, asked: Entry, began: number): Promise<undefined> {
    const stored = await read();
    check(began);
    // Of another generation or session, which another tab has stored, this says nothing.
    if (stored && stored.k !== asked.k) return undefined;
    await remove();
    check(began);
    throw leave(reason, asked.s);
  }

  return { on, dispose, start, begin, renew, end, wake, current, after };
}
