// Sessions in memory, judged as keyturn judges them (docs/architecture.md, "A refresh"). Times are in milliseconds.
import { randomBytes, randomUUID } from "node:crypto";

const REPLAY_WINDOW = 10_000;
const ECHO_HORIZON = 300_000;
const DOUBT_INTERVAL = 1000;
const RECOVERIES = 2;
// A recovery costs so many eighths, of which each rotation gives one back. With the key of the rotation it costs one.
const RECOVERY_COST = 8;
const RECOVERY_COST_WITH_KEY = 1;
const REFRESH_TTL = 604_800_000;
const MAX_LIFETIME = 2_592_000_000;

/** The answers to a refresh that mean that a session is over. */
export const FINAL = ["invalid_refresh_token", "refresh_token_reused", "session_revoked", "session_expired"];

const encode = (value) => Buffer.from(JSON.stringify(value)).toString("base64url");

export class Sessions {
  #sessions = new Map();
  #access = new Map();

  // `now` tells the time, `accessTtl` is the lifetime of access tokens in seconds.
  constructor(now, accessTtl = 900) {
    this.now = now;
    this.accessTtl = accessTtl;
  }

  /** Opens a session and returns it. */
  open() {
    const session = { id: randomUUID(), tokens: [newRefreshToken()], began: this.now(), debt: 0 };
    this.#sessions.set(session.id, session);
    this.#issue(session);
    return session;
  }

  all() {
    return [...this.#sessions.values()];
  }

  // A new pair of a generation: nobody has seen its access token.
  #issue(session) {
    const now = this.now();
    session.issuedAt = now;
    session.expiresAt = now + REFRESH_TTL;
    session.seen = session.recovered = false;
    this.#issueAccess(session);
  }

  #issueAccess(session) {
    const now = this.now();
    const seconds = Math.floor(now / 1000);
    const times = { iat: seconds, nbf: seconds, exp: seconds + this.accessTtl };
    const who = { iss: "fake", sub: session.id, aud: "keyturn", client_id: "keyturn", roles: ["user"] };
    const header = { typ: "at+jwt", alg: "ES256", kid: "fake" };
    const body = `${encode(header)}.${encode({ ...who, ...times, jti: randomUUID(), sid: session.id })}`;
    const text = `${body}.${randomBytes(64).toString("base64url")}`;
    // The former one is valid for the window.
    if (session.access) session.access.until = Math.min(session.access.until, now + REPLAY_WINDOW);
    const until = now + this.accessTtl * 1000;
    session.access = { text, session, generation: session.tokens.length, until };
    this.#access.set(text, session.access);
  }

  /** Returns the session of a refresh token. */
  find(token) {
    return this.all().find(({ tokens }) => tokens.includes(token));
  }

  isLive(session) {
    return !session.endedBy && this.now() < Math.min(session.expiresAt, session.began + MAX_LIFETIME);
  }

  /** Revokes a session. */
  end(session, reason = "session_revoked") {
    session.endedBy ??= reason;
  }

  /** Refuses all access tokens of a session from now on. */
  expireAccess(session) {
    for (const access of this.#access.values()) if (access.session === session) access.until = this.now();
  }

  /** Forgets the session of a refresh token, as if it was another server's. */
  forget(token) {
    const session = this.find(token);
    if (session) this.#sessions.delete(session.id);
  }

  /** Judges an access token; returns its session or nothing. */
  use(text) {
    const access = this.#access.get(text);
    if (!access || this.now() >= access.until) return undefined;
    const { session } = access;
    if (!this.#sessions.has(session.id) || !this.isLive(session)) return undefined;
    if (session.tokens.length === access.generation) session.seen = true;
    return session;
  }

  /** Revokes an access token alone. */
  revokeAccess(text) {
    this.#access.delete(text);
  }

  /**
   * Judges a refresh that arrived at a moment. Returns its outcome and, where tokens are handed out, the session. The
   * outcome is a code of a problem or `rotation`, `replay`, `recovery`.
   */
  refresh(token, key, arrived = this.now()) {
    const session = this.find(token);
    if (!session) return { outcome: "invalid_refresh_token" };
    const { tokens } = session;
    const generation = tokens.indexOf(token);
    const behind = tokens.length - 1 - generation;
    const isEcho = key !== undefined && key === [undefined, session.key, session.formerKey][behind];
    if (!this.isLive(session)) {
      const isKnown = behind <= 1 || isEcho;
      return { outcome: isKnown ? (session.endedBy ? "session_revoked" : "session_expired") : "refresh_token_reused" };
    }
    const isInWindow = arrived - session.issuedAt < REPLAY_WINDOW;
    if (behind === 0) {
      // A tab that shares its cookies with others may send the answer to this very refresh.
      const isRepeated = isInWindow && key !== undefined && key === session.key;
      return isRepeated ? { outcome: "replay", session } : this.#rotate(session, key);
    }
    if (behind === 1) {
      if (isInWindow) return { outcome: "replay", session };
      const debt = session.debt + (session.recovered ? 0 : isEcho ? RECOVERY_COST_WITH_KEY : RECOVERY_COST);
      if (!session.seen && debt <= RECOVERIES * RECOVERY_COST) return this.#recover(session, debt);
    }
    return this.#judgeReplaced(session, generation, isEcho, arrived);
  }

  #rotate(session, key) {
    session.tokens.push(newRefreshToken());
    // A key that was used before proves nothing.
    const isNew = key !== undefined && key !== session.key && key !== session.formerKey;
    [session.formerKey, session.key] = [session.key, isNew ? key : undefined];
    session.debt = Math.max(session.debt - 1, 0);
    this.#issue(session);
    return { outcome: "rotation", session };
  }

  #recover(session, debt) {
    session.debt = debt;
    session.issuedAt = this.now();
    this.#issueAccess(session);
    session.recovered = true;
    return { outcome: "recovery", session };
  }

  #judgeReplaced(session, generation, isEcho, arrived) {
    const { doubt } = session;
    if (isEcho) return { outcome: "already_refreshed" };
    if (arrived < session.issuedAt) return { outcome: "refresh_token_replaced" };
    if (doubt && generation <= doubt.generation) {
      if (arrived - doubt.at < DOUBT_INTERVAL) return { outcome: "refresh_token_replaced" };
    } else if (arrived - session.issuedAt < ECHO_HORIZON) {
      session.doubt = { generation, at: arrived };
      return { outcome: "refresh_token_replaced" };
    }
    this.end(session, "refresh_token_reused");
    return { outcome: "refresh_token_reused" };
  }

  /** Returns the answer that hands out a session's tokens. */
  grant(session) {
    const left = Math.max(Math.floor((session.access.until - this.now()) / 1000), 0);
    return {
      access_token: session.access.text,
      token_type: "Bearer",
      expires_in: left,
      refresh_token: session.tokens.at(-1),
      refresh_token_expires_in: Math.floor((session.expiresAt - this.now()) / 1000),
      refresh_after: Math.floor(left * 0.66),
      session_id: session.id,
      server_time: new Date(this.now()).toISOString(),
      user: { id: session.id, email: "ada@example.com", name: null, roles: ["user"], email_verified: true },
    };
  }
}

function newRefreshToken() {
  return `ktr_${randomBytes(69).toString("base64url")}`;
}
