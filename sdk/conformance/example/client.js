// A small client that follows docs/clients.md: it keeps somebody logged in, and passes all scenarios.
import { randomUUID } from "node:crypto";
import { closeSync, fsyncSync, openSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";

const OVER = ["invalid_refresh_token", "refresh_token_reused", "session_revoked", "session_expired"];
const ELSEWHERE = ["already_refreshed", "refresh_token_replaced"];
const TIMEOUT = 10_000;
const PATIENCE = 30_000;
// How long the store is looked at before a token is presented again that somebody has replaced.
const LOOKING = 5000;

const sleep = (milliseconds) => new Promise((resolve) => setTimeout(resolve, milliseconds));

export class SignedOut extends Error {}
export class Unavailable extends Error {}

/** The refresh token and the key of its refresh, in a file. All of it is synchronous, so that nothing comes between. */
export class Store {
  constructor(folder) {
    this.path = join(folder, "session.json");
  }

  read() {
    try {
      return JSON.parse(readFileSync(this.path, "utf8"));
    } catch {
      return undefined;
    }
  }

  write(entry) {
    const draft = `${this.path}.${process.pid}`;
    const file = openSync(draft, "w", 0o600);
    writeFileSync(file, JSON.stringify(entry));
    fsyncSync(file);
    closeSync(file);
    renameSync(draft, this.path);
    if (this.read()?.token !== entry.token) throw new Error("the store did not keep the session");
  }

  clear() {
    rmSync(this.path, { force: true });
  }
}

export class Client {
  // The access token with the moments from which it is to be refreshed and is no longer valid.
  access;
  #logins = 0;
  #refreshing;
  #notBefore = 0;

  constructor(url, store, signedOut) {
    Object.assign(this, { url, store, signedOut });
  }

  async login(email, password) {
    const sent = performance.now();
    const answer = await this.post("/api/v1/auth/login", JSON.stringify({ email, password }));
    if (!isGrant(answer)) throw new Error(`refused with ${answer.status}`);
    this.#logins += 1;
    this.keep(answer.body, sent);
  }

  /** Calls keyturn, or another server that takes its tokens; others get none. */
  async fetch(url, init = {}) {
    if (new URL(url).origin !== new URL(this.url).origin) return fetch(url, init);
    const access = await this.#current();
    const response = await this.send(url, init, access);
    if (!/^Bearer .*error="invalid_token"/.test(response.headers.get("www-authenticate"))) return response;
    // Once. Another call may have refreshed meanwhile.
    return this.send(url, init, this.access === access ? await this.refresh() : await this.#current());
  }

  /** Forgets the tokens, whatever is on its way, and tells the server if it can be reached. */
  async logout() {
    const token = this.store.read()?.token;
    this.#leave("logout");
    if (token) await this.post("/oauth/revoke", new URLSearchParams({ token })).catch(() => {});
  }

  refresh() {
    this.#refreshing ??= this.#refresh(this.#logins).finally(() => (this.#refreshing = undefined));
    return this.#refreshing;
  }

  async #current() {
    return this.access && performance.now() < this.access.refreshAt ? this.access : this.refresh();
  }

  async #refresh(logins) {
    const until = performance.now() + PATIENCE;
    let replaced;
    for (let failures = 0; ; failures += 1) {
      const wait = this.#notBefore - performance.now();
      if (performance.now() + wait > until) throw new Unavailable("keyturn cannot be reached");
      await sleep(wait);
      const stored = this.store.read();
      if (logins !== this.#logins || !stored) throw new SignedOut("nobody is logged in");
      const isReplaced = stored.token === replaced?.token;
      if (isReplaced && performance.now() < replaced.until) {
        await sleep(500);
        continue;
      }
      const key = this.keyFor(stored, isReplaced);
      const sent = performance.now();
      const answer = await this.post("/api/v1/sessions/refresh", JSON.stringify({ refresh_token: stored.token }), {
        "idempotency-key": key,
      }).catch(() => ({}));
      if (logins !== this.#logins) throw new SignedOut("somebody has logged out");
      // Another process was faster: go on with what it has stored.
      if (this.store.read()?.token !== stored.token) continue;
      if (isGrant(answer)) return this.keep(answer.body, sent);
      if (this.isOver(answer)) throw this.#leave(answer.code ?? "unknown");
      if (ELSEWHERE.includes(answer.code)) replaced = { ...stored, until: performance.now() + LOOKING };
      this.#notBefore = performance.now() + this.pauseAfter(failures, answer);
    }
  }

  /** Returns the key of the refresh of a stored token, which is stored before it is sent. */
  keyFor(stored, isReplaced) {
    // The answer to the former key is nowhere: what becomes of the session is for the server to say.
    if (!stored.key || isReplaced) {
      stored.key = randomUUID();
      this.store.write(stored);
    }
    return stored.key;
  }

  isOver({ status, code }) {
    return status === 401 && OVER.includes(code);
  }

  pauseAfter(failures, { retryAfter = 0 }) {
    const pause = Math.min(250 * 2 ** failures, 60_000) * (0.5 + Math.random() / 2);
    return Math.max(pause, retryAfter * 1000);
  }

  /** Stores the refresh token, and only then lets the access token be used. */
  keep(grant, sent) {
    this.store.write({ token: grant.refresh_token });
    this.#notBefore = 0;
    this.access = { text: grant.access_token, refreshAt: sent + grant.refresh_after * 1000 };
    return this.access;
  }

  #leave(reason) {
    this.store.clear();
    this.#logins += 1;
    this.#refreshing = this.access = undefined;
    this.#notBefore = 0;
    this.signedOut(reason);
    return new SignedOut(reason);
  }

  send(url, init, { text }) {
    const headers = { ...init.headers, authorization: `Bearer ${text}` };
    return fetch(url, { ...init, headers, redirect: "manual" });
  }

  async post(path, body, headers = {}) {
    const type = typeof body === "string" ? { "content-type": "application/json" } : {};
    const init = { method: "POST", headers: { ...type, ...headers }, body, redirect: "error" };
    const answered = fetch(this.url + path, init).then(async (response) => {
      return { status: response.status, retryAfter: retryAfterOf(response.headers), ...read(await response.text()) };
    });
    // For the whole answer: a body may stall, too.
    return Promise.race([answered, timeout()]);
  }
}

function timeout() {
  return new Promise((_, reject) => setTimeout(reject, TIMEOUT, new Unavailable("no answer came in time")).unref());
}

// Reads a body. It has a code only if it is a problem of keyturn's.
function read(text) {
  try {
    const body = JSON.parse(text);
    return body?.type === `urn:keyturn:problem:${body?.code}` ? { body, code: body.code } : { body };
  } catch {
    return {};
  }
}

function isGrant({ status, body }) {
  const isWhole = typeof body?.access_token === "string" && typeof body.refresh_token === "string";
  return status === 200 && isWhole && body.refresh_after >= 0;
}

// Returns for how many seconds to wait. A date is compared with the server's own: this device's clock may be wrong.
function retryAfterOf(headers) {
  const text = headers.get("retry-after");
  const seconds = /^\d+$/.test(text) ? Number(text) : (Date.parse(text) - Date.parse(headers.get("date"))) / 1000;
  return seconds >= 0 ? seconds : undefined;
}
