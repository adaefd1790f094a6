// A server that speaks keyturn's contract for a login, refreshes, a logout and two calls, unless a script interferes.
import { once } from "node:events";
import { createServer } from "node:http";
import { Sessions } from "./sessions.js";
import { challenge, empty, json, page, problem, send } from "./replies.js";

export const EMAIL = "ada@example.com";
export const PASSWORD = "seven ravens over the harbour";
export const REFRESH = "/api/v1/sessions/refresh";
const CALLS = ["/api/v1/auth/me", "/api/v1/sessions"];
const OUTCOME_STATUS = { already_refreshed: 409, refresh_token_replaced: 503 };

async function bodyOf(request) {
  const chunks = [];
  for await (const chunk of request) chunks.push(chunk);
  return Buffer.concat(chunks).toString();
}

function parse(text) {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

/** Returns the key of a refresh, or `null` if it is none (draft-ietf-httpapi-idempotency-key-header). */
export function keyOf(header) {
  if (header === undefined) return undefined;
  const key = /^"(.*)"$/.exec(header)?.[1] ?? header;
  return /^[!#-[\]-~]{16,255}$/.test(key) ? key : null;
}

export class Fake {
  /** Each refresh, in the order of arrival. */
  refreshes = [];
  /** Each call with an access token. */
  calls = [];
  /** What was sent to the other server, and URLs that were asked for here. */
  elsewhere = [];
  urls = [];
  #server;
  #other;

  /**
   * `script.onRefresh` and `script.onCall` may answer in place of the server: they then return true. `ahead` is the
   * time by which the server's clock is ahead of this machine's, in milliseconds.
   */
  constructor({ script = {}, host = "127.0.0.1", port = 0, ahead = 0, accessTtl }) {
    Object.assign(this, { script, host, port, ahead });
    this.sessions = new Sessions(() => Date.now() + this.ahead, accessTtl);
  }

  get url() {
    return `http://${this.host}:${this.port}`;
  }

  get elsewhereUrl() {
    return `http://${this.host}:${this.#other.address().port}`;
  }

  async listen() {
    this.#other = createServer(async (request, response) => {
      this.elsewhere.push(JSON.stringify([request.url, request.headers, await bodyOf(request)]));
      send(response, page(200));
    });
    await once(this.#other.listen(0, this.host), "listening");
    await this.open();
  }

  /** Listens, after `shut` at the same port as before. */
  async open() {
    this.#server = createServer((request, response) => {
      this.#serve(request, response).catch((error) => response.destroy(error));
    });
    await once(this.#server.listen(this.port, this.host), "listening");
    this.port = this.#server.address().port;
  }

  /** Closes the port and all connections. */
  async shut() {
    const closed = once(this.#server, "close");
    this.#server.close();
    this.#server.closeAllConnections();
    await closed;
  }

  async close() {
    this.#other.close();
    this.#other.closeAllConnections();
    await this.shut();
  }

  async #serve(request, response) {
    response.sendDate = false;
    response.setHeader("date", new Date(this.sessions.now()).toUTCString());
    const arrived = this.sessions.now();
    const body = await bodyOf(request);
    this.urls.push(request.url);
    const { pathname } = new URL(request.url, this.url);
    const given = { fake: this, request, response, body, arrived, at: performance.now() };
    if (pathname === REFRESH && request.method === "POST") return this.#refresh(given);
    if (CALLS.includes(pathname) && request.method === "GET") return this.#call(given, pathname);
    if (this.script.isAway?.(this)) return send(response, page(503));
    return send(response, this.#answer(request, pathname, body));
  }

  #answer(request, pathname, body) {
    if (request.method !== "POST") return problem(404, "not_found");
    switch (pathname) {
      case "/api/v1/auth/login": {
        const { email, password } = parse(body) ?? {};
        if (email !== EMAIL || password !== PASSWORD) return problem(401, "invalid_credentials");
        return json(200, this.sessions.grant(this.sessions.open()));
      }
      case "/api/v1/auth/logout": {
        const session = this.sessions.use(bearerOf(request));
        if (!session) return this.#refused(request);
        this.sessions.end(session);
        return empty(204);
      }
      case "/oauth/revoke": {
        const token = new URLSearchParams(body).get("token") ?? "";
        const session = this.sessions.find(token);
        if (session) this.sessions.end(session);
        else this.sessions.revokeAccess(token);
        return empty(200);
      }
      default:
        return problem(404, "not_found");
    }
  }

  #refused(request) {
    if (!request.headers.authorization) return problem(401, "missing_token", { "www-authenticate": "Bearer" });
    return problem(401, "invalid_token", challenge("invalid_token"));
  }

  async #refresh(given) {
    const { request, response, body, arrived, at } = given;
    const token = parse(body)?.refresh_token;
    const key = keyOf(request.headers["idempotency-key"]);
    const entry = { at, token, key, number: this.refreshes.length + 1 };
    this.refreshes.push(entry);
    response.on("close", () => (entry.closedAt = performance.now()));
    // What the server itself would answer.
    const answer = (when = arrived) => {
      if (key === null) return problem(400, "invalid_idempotency_key");
      const { outcome, session } = this.sessions.refresh(token, key, when);
      entry.outcome = outcome;
      if (session) return json(200, this.sessions.grant(session));
      const status = OUTCOME_STATUS[outcome] ?? 401;
      return problem(status, outcome, status === 503 ? { "retry-after": "1" } : {});
    };
    if (await this.script.onRefresh?.({ ...given, token, key, entry, answer })) return;
    send(response, answer());
  }

  async #call(given, pathname) {
    const token = bearerOf(given.request);
    const session = this.sessions.use(token);
    const entry = { at: given.at, token, session, number: this.calls.length + 1 };
    this.calls.push(entry);
    if (await this.script.onCall?.({ ...given, session, token, entry })) return;
    const me = { user: session && this.sessions.grant(session).user, session_id: session?.id };
    const body = pathname === CALLS[0] ? me : { sessions: [], count: 0, active_count: 0 };
    entry.isServed = session !== undefined;
    send(given.response, session ? json(200, body) : this.#refused(given.request));
    this.script.afterCall?.({ fake: this, session, entry });
  }
}

function bearerOf({ headers }) {
  return /^Bearer (.+)$/i.exec(headers.authorization ?? "")?.[1];
}
