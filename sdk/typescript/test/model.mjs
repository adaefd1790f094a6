// A model of keyturn's sessions in memory, judged as docs/architecture.md says: for tests that decide what happens when.
import { randomUUID } from "node:crypto";

const WINDOW = 10_000;
const DOUBT = 300_000;
const TTL = 900_000;
const RECOVERIES = 16;

const reply = (status, body, headers = {}) =>
  new Response(body === undefined ? null : JSON.stringify(body), { status, headers });

export function problem(status, code, headers) {
  const about = { type: `urn:keyturn:problem:${code}`, title: code, detail: code, code, request_id: randomUUID() };
  return reply(status, { ...about, status, retryable: status === 429 || status === 503 }, headers);
}

const refused = (error) => ({ "www-authenticate": `Bearer error="${error}", error_description="no"` });

export class Model {
  sessions = new Map();
  refreshes = 0;

  // `now` is the time of the server, in milliseconds.
  constructor(now) {
    this.now = now;
  }

  open() {
    const session = { id: randomUUID(), tokens: [], keys: [], at: this.now(), seen: -1, debt: 0 };
    this.sessions.set(session.id, session);
    this.#rotate(session, undefined);
    return this.grant(session);
  }

  #rotate(session, key) {
    const generation = session.tokens.length;
    session.tokens.push(`ktr_${session.id}_${generation}`);
    session.keys.push(key);
    session.at = this.now();
    session.access = { token: `${session.id}.${generation}.${randomUUID()}`, until: this.now() + TTL };
  }

  grant(session) {
    const left = Math.floor((session.access.until - this.now()) / 1000);
    return {
      access_token: session.access.token,
      token_type: "Bearer",
      expires_in: Math.max(left, 0),
      refresh_token: session.tokens.at(-1),
      refresh_token_expires_in: 604_800,
      refresh_after: Math.max(Math.floor(left * 0.66), 0),
      session_id: session.id,
      server_time: new Date(this.now()).toISOString(),
      user: { id: session.id, email: "ada@example.com", name: null, roles: ["user"], email_verified: true },
    };
  }

  end(session, reason = "session_revoked") {
    session.ended ??= reason;
  }

  find(token) {
    return this.sessions.get(/^ktr_(.{36})_/.exec(token)?.[1]);
  }

  refresh(token, key) {
    this.refreshes += 1;
    const session = this.find(token);
    if (!session) return problem(401, "invalid_refresh_token");
    const generation = session.tokens.indexOf(token);
    const behind = session.tokens.length - 1 - generation;
    if (behind === 0) {
      if (session.ended) return problem(401, session.ended);
      this.#rotate(session, key);
      session.debt = Math.max(session.debt - 1, 0);
      return reply(200, this.grant(session));
    }
    if (session.ended) return problem(401, behind === 1 ? session.ended : "refresh_token_reused");
    const isEcho = key && session.keys.indexOf(key) === generation + 1 && behind <= 2;
    const isUnseen = session.seen < session.tokens.length - 1;
    if (behind === 1 && this.now() - session.at < WINDOW) return reply(200, this.grant(session));
    if (behind === 1 && isUnseen) {
      const cost = session.paid === generation ? 0 : isEcho ? 1 : 8;
      if (session.debt + cost <= RECOVERIES) {
        session.debt += cost;
        session.paid = generation;
        const until = this.now() + TTL;
        session.access = { token: `${session.id}.${generation + 1}.${randomUUID()}`, until };
        return reply(200, this.grant(session));
      }
    }
    if (isEcho) return problem(409, "already_refreshed");
    const { doubt } = session;
    if (doubt === undefined && this.now() - session.at < DOUBT) {
      session.doubt = this.now();
      return problem(503, "refresh_token_replaced", { "retry-after": "1" });
    }
    if (doubt !== undefined && this.now() - doubt < 1000) return problem(503, "refresh_token_replaced", { "retry-after": "1" });
    this.end(session, "refresh_token_reused");
    return problem(401, "refresh_token_reused");
  }

  // Answers a call with an access token.
  use(authorization) {
    const token = /^Bearer (.+)$/.exec(authorization ?? "")?.[1];
    if (!token) return problem(401, "missing_token", { "www-authenticate": "Bearer" });
    const session = this.sessions.get(token.slice(0, 36));
    const isCurrent = session?.access.token === token && this.now() < session.access.until;
    const isFormer = session && +token.split(".")[1] === session.tokens.length - 2 && this.now() - session.at < WINDOW;
    if (!session || session.ended || !(isCurrent || isFormer)) return problem(401, "invalid_token", refused("invalid_token"));
    session.seen = Math.max(session.seen, +token.split(".")[1]);
    return reply(200, { session_id: session.id });
  }

  async answer(url, init = {}) {
    const { pathname } = new URL(url);
    const headers = new Headers(init.headers);
    if (pathname === "/api/v1/auth/login") return reply(200, this.open());
    if (pathname === "/api/v1/sessions/refresh") {
      return this.refresh(JSON.parse(init.body).refresh_token, headers.get("idempotency-key"));
    }
    if (pathname === "/oauth/revoke") {
      const session = this.find(new URLSearchParams(init.body).get("token"));
      if (session) this.end(session);
      return reply(200);
    }
    return this.use(headers.get("authorization"));
  }
}
