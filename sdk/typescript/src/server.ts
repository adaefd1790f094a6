import { type Client, type ClientOptions, make } from "./client.js";
import { systemClock } from "./clock.js";
import type { TokenStorage } from "./storage.js";

/** The attributes of a cookie, as frameworks take them. */
export interface CookieAttributes {
  httpOnly: boolean;
  secure: boolean;
  sameSite: "lax";
  path: string;
  /** In seconds. Express's own `res.cookie` takes milliseconds: `cookiesOf(request, response)` is for Express. */
  maxAge: number;
}

/**
 * The cookies of a request and its response, as frameworks have them. Where cookies cannot be set, `set` is missing, or
 * throws.
 */
export interface Cookies {
  get(name: string): string | { value: string } | null | undefined;
  set?(name: string, value: string, attributes: CookieAttributes): unknown;
}

export interface ServerClientOptions extends Omit<ClientOptions, "transport" | "storage" | "live"> {
  cookies: Cookies;
  /** The name of the cookie that holds the session: `keyturn` by default, with `__Host-` before it if it is secure. */
  name?: string;
  /** Whether the cookie goes over https only: by default, unless `baseUrl` is of http. */
  secure?: boolean;
  /**
   * The headers of the browser's request. keyturn then knows its device and language, and its IP address if this server
   * is one of keyturn's `TRUSTED_PROXIES`.
   */
  headers?: RequestHeaders;
}

/** The headers of a request, as browsers and most frameworks have them, or as Node has them. */
export type RequestHeaders = { get(name: string): string | null } | Record<string, string | string[] | undefined>;

/** A response of Node's, which Express, Koa (`ctx.res`) and Fastify (`reply.raw`) have. */
export interface NodeResponse {
  getHeader(name: string): number | string | string[] | undefined;
  setHeader(name: string, value: string[]): unknown;
}

// Longer than any session. What counts is what keyturn says.
const MAX_AGE = 90 * 86_400;
// How long it is known in this process what has become of a session whose cookie a browser still sends.
const KNOWN = 60_000;
const FIELDS = ["r", "k", "s", "x", "f", "a"] as const;

interface Known {
  /** What has replaced a cookie. */
  successors: Map<string, { value: string; until: number }>;
  /** The cookie that a refresh token is in. */
  homes: Map<string, { value: string; until: number }>;
  /** The answer to a refresh token. */
  answers: Map<string, { answer: Promise<[number, Headers, string]>; until: number }>;
  /** How far the servers' clocks are ahead of this one's. */
  skews: Map<string, number>;
}

// One for the process, in which there may be several copies of this module: Next has one in its proxy, and others in its
// routes.
const SHARED: unique symbol = Symbol.for("@keyturn/client/server 1");
const { successors, homes, answers, skews } = ((globalThis as { [SHARED]?: Known })[SHARED] ??= {
  successors: new Map(),
  homes: new Map(),
  answers: new Map(),
  skews: new Map(),
});
const probed = new WeakMap<Cookies, boolean>();
const written = new WeakMap<Cookies, string>();

function forget<T extends { until: number }>(map: Map<string, T>): void {
  for (const [key, { until }] of map) if (until < systemClock.now()) map.delete(key);
}

function latest(value: string): string {
  const next = successors.get(value);
  return next && next.until > systemClock.now() ? latest(next.value) : value;
}

// Entries are JSON, which cookies are not.
function encode(text: string): string {
  const entry = JSON.parse(text);
  return FIELDS.map((field) => entry[field] ?? "").join("!");
}

function decode(value: string): string | undefined {
  const [r = "", k = "", s, x, f, a] = value.split("!");
  // Anybody can write a cookie, and what keyturn would refuse is none.
  const isWhole = /^ktr_[\w-]+$/.test(r) && /^[\w-]{16,255}$/.test(k);
  return isWhole && s ? JSON.stringify({ r, k, s, ...(a && { x: Number(x), f: Number(f), a }) }) : undefined;
}

// Has one refresh answer all who ask with one token, in this process.
function sharing(baseUrl: string, fetch: typeof globalThis.fetch): typeof globalThis.fetch {
  return async (input, init) => {
    if (!String(input).endsWith("/api/v1/sessions/refresh")) return fetch(input, init);
    forget(answers);
    const key = `${baseUrl} ${init?.body}`;
    let known = answers.get(key);
    if (!known) {
      const read = async (response: Response): Promise<[number, Headers, string]> => {
        const text = await response.text();
        const { server_time } = response.ok ? JSON.parse(text) : {};
        if (server_time) skews.set(baseUrl, Date.parse(server_time) - Date.now());
        return [response.status, response.headers, text];
      };
      known = { answer: fetch(input, init).then(read), until: systemClock.now() + KNOWN };
      answers.set(key, known);
      const drop = () => answers.delete(key);
      known.answer.then(([status]) => status === 200 || drop(), drop);
    }
    const [status, headers, text] = await known.answer;
    return new Response(text, { status, headers });
  };
}

function headerOf(headers: RequestHeaders | undefined, name: string): string | undefined {
  const value = typeof headers?.get === "function" ? headers.get(name) : headers?.[name as "get"];
  return value ? String(value) : undefined;
}

// Has the server's own calls be those of the browser.
function onBehalf(baseUrl: string, headers: RequestHeaders | undefined, fetch: typeof globalThis.fetch) {
  const own: typeof fetch = (input, init) => {
    if (!String(input).startsWith(`${baseUrl}/`)) return fetch(input, init);
    const all = new Headers(init?.headers);
    for (const name of ["user-agent", "accept-language", "x-forwarded-for"]) {
      const value = headerOf(headers, name);
      if (value) all.set(name, value);
    }
    return fetch(input, { ...init, headers: all });
  };
  return own;
}

function cookieStorage(cookies: Cookies, name: string, secure: boolean): TokenStorage & { isReadOnly: () => boolean } {
  const attributes: CookieAttributes = { httpOnly: true, secure, sameSite: "lax", path: "/", maxAge: MAX_AGE };
  const found = cookies.get(name);
  const sent = (typeof found === "string" ? found : found?.value) ?? "";
  let own = sent;
  const write = (value: string) => {
    if (written.get(cookies) === value) return;
    written.set(cookies, value);
    try {
      cookies.set?.(name, value, value ? attributes : { ...attributes, maxAge: 0 });
    } catch {
      // The response has begun. This process knows what has become of the session.
    }
  };
  const replace = (value: string) => {
    forget(successors);
    if (own && own !== value) successors.set(own, { value, until: systemClock.now() + KNOWN });
    own = value;
    write(value);
  };
  // Of those who store the answer to one refresh, the first gives the generation its name.
  const settle = (value: string) => {
    forget(homes);
    const [token = "", key] = value.split("!");
    const home = homes.get(token)?.value;
    if (home && home.split("!")[1] !== key) return home;
    homes.set(token, { value, until: systemClock.now() + KNOWN });
    return value;
  };
  return {
    shared: true,
    get() {
      const value = latest(own);
      if (value !== own) write((own = value));
      return decode(value);
    },
    set: (text) => replace(settle(encode(text))),
    remove: () => own && replace(""),
    // Asks the framework by having it set what is there already.
    isReadOnly() {
      let isWritable = probed.get(cookies);
      if (isWritable === undefined) {
        try {
          cookies.set?.(name, own, attributes);
          isWritable = Boolean(cookies.set);
        } catch {
          isWritable = false;
        }
        probed.set(cookies, isWritable);
      }
      return !isWritable;
    },
  };
}

/**
 * Makes a client for one request of a browser to a server of yours. The session is in a cookie of your server's, which
 * scripts cannot read. However many clients are made for a request, or for several with one cookie, refresh once. Where
 * cookies cannot be set, the access token is used until it expires.
 */
export function createServerClient({ cookies, name, secure, headers, ...options }: ServerClientOptions): Client {
  const { clock = systemClock, fetch: bare = (input, init) => globalThis.fetch(input, init) } = options;
  const baseUrl = options.baseUrl.replace(/\/+$/, "");
  const fetch = onBehalf(baseUrl, headers, bare);
  const isSecure = secure ?? !baseUrl.startsWith("http:");
  const storage = cookieStorage(cookies, name ?? (isSecure ? "__Host-keyturn" : "keyturn"), isSecure);
  const ahead = Date.now() + (skews.get(baseUrl) ?? 0) - clock.now();
  const waiting = { patience: 5000, timeout: 5000 };
  const own = { ...waiting, ...options, baseUrl, fetch: sharing(baseUrl, fetch), storage };
  return make(own, { ahead, isReadOnly: storage.isReadOnly });
}

/**
 * Collects the cookies of a request and its response, for frameworks that know requests and responses only. A response of
 * Node's is given the cookies at once, those of others are to be given what `setCookie` returns.
 */
export function cookiesOf(
  request: { headers: RequestHeaders },
  response?: NodeResponse,
): Cookies & { setCookie(): string[]; headers(): Headers } {
  const own = new Map<string, string>();
  const lines = new Map<string, string>();
  for (const pair of (headerOf(request.headers, "cookie") ?? "").split(";")) {
    const at = pair.indexOf("=");
    if (at > 0) own.set(pair.slice(0, at).trim(), pair.slice(at + 1).trim());
  }
  return {
    get: (name) => own.get(name),
    set(name, value, { maxAge, secure }) {
      const line = `${name}=${value}; Path=/; Max-Age=${maxAge}; HttpOnly; SameSite=Lax${secure ? "; Secure" : ""}`;
      const others = [response?.getHeader("set-cookie") ?? []].flat().map(String);
      response?.setHeader("set-cookie", [...others.filter((other) => !other.startsWith(`${name}=`)), line]);
      own.set(name, value);
      lines.set(name, line);
    },
    /** Returns the values of `Set-Cookie` for the response. */
    setCookie: () => [...lines.values()],
    /** Returns the headers of the request with the cookies that were set, for those who handle it next. */
    headers() {
      const { headers: given } = request;
      const isPlain = typeof given.get !== "function";
      const pairs = Object.entries(given).flatMap(([name, value]) => (value ? [[name, String(value)]] : []));
      const headers = new Headers((isPlain ? pairs : given) as HeadersInit);
      if (lines.size > 0) headers.set("cookie", Array.from(own, ([name, value]) => `${name}=${value}`).join("; "));
      return headers;
    },
  };
}
