import { abortable, type Clock, systemClock } from "./clock.js";
import { fail } from "./errors.js";
import { type Answer, createPost, read, refusal } from "./http.js";
import { type Events, type Grant, type SessionOptions, type User, createSession, grantOf } from "./session.js";
import { type TokenStorage, defaultStorage } from "./storage.js";
import type { components } from "./wire.js";

type Schemas = components["schemas"];
type Optional<T> = T | undefined;

/** What a refused call asks for (RFC 9470). */
export interface StepUp {
  /** How many seconds ago the login may be. */
  maxAge?: number;
  /** Methods of authentication that would do. */
  acrValues?: string;
}

export interface ClientOptions {
  /** The address of keyturn, such as `https://auth.example.com`. */
  baseUrl: string;
  /**
   * `bearer` (the default) keeps tokens in `storage`. `cookie` keeps them where no script can read them, and needs
   * keyturn on the site of the page, with the page's origin in `ALLOWED_ORIGINS`.
   */
  transport?: "bearer" | "cookie";
  /** `localStorage` by default, and memory where there is none. With cookies it holds no token. */
  storage?: TokenStorage;
  /** The origins that get the access token: keyturn's alone by default. */
  origins?: string[];
  /** Has the person authenticate again, by `reauthenticate`. Afterwards the refused call is repeated, once. */
  onStepUp?: (required: StepUp) => unknown;
  /** Whether to ask every 1.5 seconds, while the page is visible, if the session still exists. */
  live?: boolean;
  /** How many milliseconds keyturn may take for an answer: 10000 by default. */
  timeout?: number;
  /** How many milliseconds a call waits while keyturn cannot be reached: 30000 by default. */
  patience?: number;
  fetch?: typeof globalThis.fetch;
  clock?: Clock;
  /** Random bytes, where there is no `crypto.getRandomValues`. */
  random?: (length: number) => Uint8Array;
}

/** A login that is done, or what it still needs. */
export type SignIn =
  | { status: "signed_in"; user: User; session_id: string; trusted_device?: string }
  | ({ status: "mfa_required" } & Schemas["SecondFactorRequired"]);
export type SignUp =
  | { status: "signed_in"; user: User; session_id: string }
  | { status: "verification_required" };

export interface CallOptions {
  signal?: AbortSignal;
}

export interface Client {
  /** What the client was made with. */
  readonly options: Readonly<ClientOptions>;
  login(body: Omit<Schemas["LoginRequest"], "transport">, options?: CallOptions): Promise<SignIn>;
  register(body: Omit<Schemas["RegisterRequest"], "transport">, options?: CallOptions): Promise<SignUp>;
  /** Logs out: here and in all tabs at once, then at keyturn. */
  logout(): Promise<void>;
  /** Makes the login a recent one. */
  reauthenticate(body: Schemas["ReauthenticateRequest"], options?: CallOptions): Promise<void>;
  /** Returns an access token that is valid for all that is known. Not with cookies, which no script can read. */
  accessToken(options?: CallOptions): Promise<string>;
  /** `fetch` with the access token, for the listed origins; others get none. */
  fetch: typeof globalThis.fetch;
  me(options?: CallOptions): Promise<Schemas["Me"]>;
  readonly mfa: {
    /** Completes a login that needs a second factor. */
    complete(body: Schemas["SecondFactorRequest"], options?: CallOptions): Promise<SignIn & { status: "signed_in" }>;
    /** Begins two-step login. */
    begin(options?: CallOptions): Promise<Schemas["TotpEnrolment"]>;
    confirm(body: Schemas["ConfirmTotpRequest"], options?: CallOptions): Promise<Schemas["RecoveryCodes"]>;
    disable(options?: CallOptions): Promise<void>;
    recoveryCodes(options?: CallOptions): Promise<Schemas["RecoveryCodes"]>;
  };
  readonly sessions: {
    list(options?: CallOptions & { includeExpired?: boolean }): Promise<Schemas["Session"][]>;
    end(id: string, options?: CallOptions): Promise<void>;
    endOthers(options?: CallOptions): Promise<Schemas["SessionsRevoked"]>;
    rename(id: string, name: string | null, options?: CallOptions): Promise<Schemas["Session"]>;
  };
  /** Calls back at an event. Returns what ends it. */
  on<E extends keyof Events>(name: E, handler: (event: Events[E]) => void): () => void;
  /** Looks after the session when an app comes to the foreground. Pages need not call it. */
  wake(): void;
  /** Leaves no listener, timer and channel. The session goes on. */
  dispose(): void;
}

const auth = "/api/v1/auth";
const all = "/api/v1/sessions";
const LIVE = 1500;
// How long an origin that refuses fresh tokens gets no other ones.
const DEAF = 300_000;

/** Returns the origin of a URL, and nothing for one that is not plainly of http. */
function originOf(url: string): Optional<string> {
  try {
    const { origin, protocol } = new URL(url, globalThis.location?.href);
    if (origin) return /^https?:$/.test(protocol) ? origin : undefined;
  } catch {
    // React Native has a part of URL only.
  }
  const found = /^(https?:\/\/[a-z0-9.-]+(?::\d+)?)(?:[/?#]|$)/i.exec(url)?.[1]?.toLowerCase();
  return found?.replace(/^(http:.*):80$|^(https:.*):443$/, "$1$2");
}

/** Throws if a page cannot use cookies of this server, because they are of different sites. */
function checkSite(baseUrl: string): void {
  const page = globalThis.location;
  if (!page) return;
  const site = (host: string) => (/^[\d.]+$|^\[/.test(host) ? host : host.split(".").slice(-2).join("."));
  const { protocol, hostname } = new URL(baseUrl);
  if (page.protocol === protocol && site(page.hostname) === site(hostname)) return;
  const hint = "use one site, or bearer tokens";
  throw fail(`${page.origin} cannot use cookies of ${baseUrl}: ${hint}`, { kind: "configuration" });
}

function secureRandom(length: number): Uint8Array {
  if (typeof crypto !== "undefined") return crypto.getRandomValues(new Uint8Array(length));
  throw fail("no crypto.getRandomValues: createClient needs `random`", { kind: "configuration" });
}

// Challenges are of the form `Bearer error="invalid_token", max_age=600` (RFC 6750 §3, RFC 9470 §3).
function challengeOf(response: Response): Optional<{ error?: Optional<string>; stepUp: StepUp }> {
  const text = response.status === 401 && response.headers.get("www-authenticate");
  if (!text || !/(^|[,\s])Bearer\b/i.test(text)) return undefined;
  const value = (name: string) => new RegExp(`\\b${name}="?([^",]*)`).exec(text)?.[1];
  const [maxAge, acrValues] = [value("max_age"), value("acr_values")];
  const stepUp = { ...(maxAge && { maxAge: Number(maxAge) }), ...(acrValues && { acrValues }) };
  return { error: value("error"), stepUp };
}

function isReplayable(body: unknown): boolean {
  return !body || typeof body !== "object" || !("getReader" in body || Symbol.asyncIterator in body);
}

/** Makes a client of keyturn. */
export function createClient(options: ClientOptions): Client {
  return make(options);
}

/** Makes a client, with what only adapters know of its session. */
export function make(options: ClientOptions, more: Pick<SessionOptions, "ahead" | "isReadOnly"> = {}): Client {
  const baseUrl = options.baseUrl.replace(/\/+$/, "");
  const home = originOf(baseUrl);
  if (!home) throw fail("baseUrl is no http(s) address", { kind: "configuration" });
  const cookies = options.transport === "cookie";
  if (cookies) checkSite(baseUrl);
  const bare: typeof fetch = (input, init) => (options.fetch ?? globalThis.fetch)(input, init);
  const { clock = systemClock, timeout = 10_000, patience = 30_000, random = secureRandom } = options;
  const post = createPost(baseUrl, bare, clock, timeout, cookies);
  const storage = options.storage ?? defaultStorage();
  const session = createSession({ name: baseUrl, post, cookies, storage, clock, patience, random, ...more });
  const origins = new Set([home, ...(options.origins ?? []).map(originOf)]);
  const disposal = new AbortController();
  const deaf = new Map<string, number>();
  let steppingUp: Optional<Promise<unknown>>;

  function stepUp(required: StepUp): Promise<unknown> {
    return (steppingUp ??= Promise.resolve(options.onStepUp?.(required)).finally(() => (steppingUp = undefined)));
  }

  async function authorized(input: RequestInfo | URL, init?: RequestInit): Promise<Response> {
    const request = typeof input === "object" && "url" in input ? input : undefined;
    const origin = originOf(request?.url ?? String(input));
    const headers = new Headers(init?.headers ?? request?.headers);
    if (!origin || !origins.has(origin) || headers.has("authorization")) return bare(input, init);
    const signal = init?.signal ?? request?.signal;
    const isRepeatable = isReplayable(init?.body);
    const send = () => {
      if (!cookies) headers.set("authorization", `Bearer ${entry?.a}`);
      const whole = { ...init, headers, ...(cookies && { credentials: "include" as const }) };
      return bare(request && isRepeatable ? request.clone() : input, whole);
    };
    let entry = await session.current(signal);
    let response = await send();
    let isRenewed = false;
    let isSteppedUp = false;
    for (;;) {
      const challenge = challengeOf(response);
      // An access token's cookie is gone when the token has expired.
      const isStale = challenge?.error === "invalid_token" || (cookies && challenge && !challenge.error);
      const isStepUp = challenge?.error === "insufficient_user_authentication";
      if (isStale && isRenewed) {
        // Either the session has just ended, or nothing is fresh enough for this origin.
        await session.after(entry, signal);
        deaf.set(origin, clock.now() + DEAF);
      }
      const mayRenew = isStale && !isRenewed && !(clock.now() < (deaf.get(origin) ?? -Infinity));
      const mayStepUp = isStepUp && !isSteppedUp && options.onStepUp;
      if (!isRepeatable || !(mayRenew || mayStepUp)) return response;
      void response.body?.cancel?.().catch(() => {});
      if (mayRenew) {
        isRenewed = true;
        entry = await session.after(entry, signal);
      } else {
        isSteppedUp = true;
        await abortable(stepUp(challenge!.stepUp), signal);
        entry = await session.current(signal);
      }
      response = await send();
    }
  }

  async function call<T>(method: string, path: string, body?: object, { signal }: CallOptions = {}): Promise<T> {
    let answer: Answer;
    try {
      const headers = body ? { "content-type": "application/json" } : {};
      const init = { method, headers, body: body ? JSON.stringify(body) : null, ...(signal && { signal }) };
      answer = await read(await authorized(baseUrl + path, init));
    } catch (error) {
      // That of the platform's fetch, in whatever realm. Others are keyturn's own, the signal's or those of `onStepUp`.
      if (signal?.aborted || (error as Error | undefined)?.name !== "TypeError") throw error;
      throw fail("keyturn cannot be reached", { kind: "unavailable" }, error);
    }
    if (answer.status >= 200 && answer.status < 300 && answer.body !== null) return answer.body as T;
    throw refusal(answer);
  }

  // A browser that keeps no cookies is found out here, and not in a circle of refreshes.
  async function checkCookies(): Promise<void> {
    const response = await bare(`${baseUrl}${auth}/me`, { credentials: "include" }).catch(() => undefined);
    if (response?.status !== 401) return;
    throw fail("the browser keeps no cookies of keyturn", { kind: "cookies_blocked" });
  }

  async function enter(path: string, body: object, { signal }: CallOptions = {}): Promise<SignIn | SignUp> {
    const began = session.start();
    const sent = clock.now();
    const transport = cookies && !("mfa_token" in body) ? { transport: "cookie" } : {};
    const posted = post(path, { ...body, ...transport }, { signals: [signal, disposal.signal] });
    const answer = await abortable(posted, signal);
    const grant = grantOf(answer, (grant) => cookies || (grant.access_token && grant.refresh_token));
    if (grant) {
      if (cookies) await checkCookies();
      await session.begin(grant, began, sent);
      const { user, session_id, trusted_device } = grant;
      return { status: "signed_in", user, session_id, ...(trusted_device && { trusted_device }) };
    }
    const waiting = answer.status < 300 ? (answer.body as Record<string, unknown> | null) : null;
    if (waiting?.["mfa_required"] === true) {
      return { ...(waiting as Schemas["SecondFactorRequired"]), status: "mfa_required" };
    }
    if (waiting?.["email_verification_required"] === true) return { status: "verification_required" };
    throw refusal(answer);
  }

  async function reauthenticate(body: Schemas["ReauthenticateRequest"], given?: CallOptions): Promise<void> {
    const entry = await session.current(given?.signal);
    const sent = clock.now();
    const grant = await call<Grant>("POST", `${auth}/reauthenticate`, body, given);
    if (entry && grant.access_token) await session.renew(grant, entry, sent);
  }

  let stopLive = () => {};
  function live(): void {
    stopLive = clock.after(LIVE, async () => {
      if (globalThis.document?.visibilityState !== "hidden") await me().catch(() => {});
      if (!disposal.signal.aborted) live();
    });
  }
  if (options.live) live();

  const me = (given?: CallOptions) => call<Schemas["Me"]>("GET", `${auth}/me`, undefined, given);
  return {
    options,
    login: (body, given) => enter(`${auth}/login`, body, given) as Promise<SignIn>,
    register: (body, given) => enter(`${auth}/register`, body, given) as Promise<SignUp>,
    logout: () => session.end(),
    reauthenticate,
    async accessToken({ signal } = {}) {
      if (cookies) throw fail("no script can read the tokens in cookies", { kind: "configuration" });
      return (await session.current(signal, true))!.a!;
    },
    fetch: authorized,
    me,
    mfa: {
      complete: (body, given) => enter(`${auth}/mfa`, body, given) as Promise<SignIn & { status: "signed_in" }>,
      begin: (given) => call("POST", `${auth}/mfa/totp`, undefined, given),
      confirm: (body, given) => call("POST", `${auth}/mfa/totp/confirm`, body, given),
      disable: (given) => call("DELETE", `${auth}/mfa/totp`, undefined, given),
      recoveryCodes: (given) => call("POST", `${auth}/mfa/recovery-codes`, undefined, given),
    },
    sessions: {
      async list(given = {}) {
        const query = given.includeExpired ? "?include_expired=true" : "";
        return (await call<Schemas["SessionList"]>("GET", all + query, undefined, given)).sessions;
      },
      end: (id, given) => call("DELETE", `${all}/${encodeURIComponent(id)}`, undefined, given),
      endOthers: (given) => call("DELETE", all, undefined, given),
      rename: (id, name, given) => call("PATCH", `${all}/${encodeURIComponent(id)}`, { name }, given),
    },
    on: (name, handler) => session.on(name, handler),
    wake: () => session.wake(),
    dispose() {
      disposal.abort();
      stopLive();
      session.dispose();
    },
  };
}
