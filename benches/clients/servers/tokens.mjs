// Sessions with refresh tokens that rotate, and access tokens; whoever extends it judges a token that is used again.
import { createHmac, randomBytes, randomUUID } from "node:crypto";

const encode = (value) => Buffer.from(JSON.stringify(value)).toString("base64url");

export class Tokens {
  /** The time by which this server's clock is ahead of this machine's, in milliseconds. */
  ahead = 0;
  accessTtl = 3600;
  refreshTtl = 30 * 86_400;
  #sessions = [];
  #refresh = new Map();
  #access = new Map();
  #secret = randomBytes(32);

  now() {
    return Date.now() + this.ahead;
  }

  open() {
    const session = { id: randomUUID(), began: this.now() };
    session.active = this.#issue(session);
    this.#sessions.push(session);
    return session;
  }

  find(text) {
    return this.#refresh.get(text);
  }

  isLive(session) {
    return !session.isEnded && this.now() < session.began + this.refreshTtl * 1000;
  }

  end(session) {
    session.isEnded = true;
  }

  endAll() {
    for (const session of this.#sessions) this.end(session);
  }

  /** Returns whether a session is left. */
  hasSession() {
    return this.#sessions.some((session) => this.isLive(session));
  }

  /** Replaces a refresh token by a new one. */
  next(token) {
    token.usedAt ??= this.now();
    token.session.active = this.#issue(token.session, token);
  }

  #issue(session, parent) {
    const token = { text: randomBytes(24).toString("base64url"), session, parent };
    this.#refresh.set(token.text, token);
    return token;
  }

  /** Makes a token of these claims, which only this server can verify. */
  sign(claims, alg = "RS256") {
    const head = `${encode({ alg, typ: "JWT", kid: "1" })}.${encode(claims)}`;
    return `${head}.${createHmac("sha256", this.#secret).update(head).digest("base64url")}`;
  }

  access(session, claims = {}) {
    const iat = Math.floor(this.now() / 1000);
    const more = { session_id: session.id, jti: randomUUID(), role: "authenticated" };
    const text = this.sign({ sub: session.id, iat, exp: iat + this.accessTtl, ...more, ...claims });
    this.#access.set(text, { session, until: this.now() + this.accessTtl * 1000 });
    return text;
  }

  sessionOf(text) {
    return this.#access.get(text)?.session;
  }

  /** Returns whether an access token is good. */
  isGood(text) {
    const access = this.#access.get(text);
    return access !== undefined && this.now() < access.until && this.isLive(access.session);
  }
}
