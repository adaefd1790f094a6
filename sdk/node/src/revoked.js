// What is known of the feed, in memory.

import { Sessions } from "./sessions.js";

const UUID = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/;
// The number of syncs between two removals of expired entries, which visit every entry.
const SYNCS_PER_REMOVAL = 30;
// The number of a snapshot is kept in a byte.
const SNAPSHOTS = 256;

class Few {
  tokens = new Map();
  revisions = new Map();
  keys = new Set();
  clients = new Map();

  addClient(client, end) {
    this.clients.set(client, Math.max(end, this.clients.get(client) ?? 0));
  }

  addToken(jti, end) {
    this.tokens.set(jti, Math.max(end, this.tokens.get(jti) ?? 0));
  }

  addRevision(sid, revision, end) {
    const known = this.revisions.get(sid) ?? { revision, end };
    this.revisions.set(sid, { revision: Math.max(revision, known.revision), end: Math.max(end, known.end) });
  }

  remove(now) {
    for (const [jti, end] of this.tokens) if (end <= now) this.tokens.delete(jti);
    for (const [client, end] of this.clients) if (end <= now) this.clients.delete(client);
    for (const [sid, { end }] of this.revisions) if (end <= now) this.revisions.delete(sid);
  }
}

function identifier(text) {
  if (text === null || text === undefined) return undefined;
  const lower = typeof text === "string" ? text.toLowerCase() : "";
  if (!UUID.test(lower)) throw new TypeError("the event is malformed");
  return lower;
}

function millis(text) {
  const time = typeof text === "string" ? Date.parse(text) : NaN;
  if (Number.isNaN(time)) throw new TypeError("the event is malformed");
  return time;
}

function count(number) {
  if (!Number.isSafeInteger(number) || number < 0) throw new TypeError("the event is malformed");
  return number;
}

export class Revoked {
  #sessions = new Sessions();
  #few = new Few();
  #next = new Few();
  #reading = 0;
  #known = 0;
  #serverTime = 0;
  #completeUntil;
  #syncs = 0;

  // Applies an event that arrived at `at` (milliseconds of a monotonic clock). Returns whether the revoked keys have
  // changed. Throws a TypeError for data that is not as the contract says.
  apply(event, data, at) {
    switch (event) {
      case "reset":
        this.#reading = (this.#reading + 1) % SNAPSHOTS;
        this.#next = new Few();
        return false;
      case "revoked":
        this.#add(identifier(data.sid), identifier(data.jti), data.before_rev, Math.ceil(millis(data.expires_at) / 1000));
        return false;
      case "key": {
        if (typeof data.kid !== "string") throw new TypeError("the event is malformed");
        const isNew = !this.#few.keys.has(data.kid);
        for (const few of this.#written()) few.keys.add(data.kid);
        return isNew;
      }
      case "client": {
        if (typeof data.client_id !== "string") throw new TypeError("the event is malformed");
        const end = Math.ceil(millis(data.expires_at) / 1000);
        for (const few of this.#written()) few.addClient(data.client_id, end);
        return false;
      }
      case "sync":
        return this.#sync(count(data.age_ms), millis(data.server_time), at);
      case "bye":
        count(data.retry_ms);
        return false;
      default:
        return false;
    }
  }

  #written() {
    return this.#reading === this.#known ? [this.#few] : [this.#few, this.#next];
  }

  #add(sid, jti, beforeRev, end) {
    // With a revision, `jti` names the latest of the tokens, for readers that know no revisions.
    const hasRevision = beforeRev !== null && beforeRev !== undefined;
    if (jti && !hasRevision) {
      for (const few of this.#written()) few.addToken(jti, end);
    } else if (!sid) {
      throw new TypeError("the event is malformed");
    } else if (hasRevision) {
      if (!Number.isInteger(beforeRev)) throw new TypeError("the event is malformed");
      for (const few of this.#written()) few.addRevision(sid, beforeRev, end);
    } else {
      this.#sessions.add(sid, end, this.#reading);
    }
  }

  #sync(age, serverTime, at) {
    this.#serverTime = Math.max(this.#serverTime, Math.floor(serverTime / 1000));
    this.#completeUntil = Math.max(this.#completeUntil ?? -Infinity, at - age);
    this.#syncs += 1;
    const isSnapshot = this.#reading !== this.#known;
    let areKeysChanged = false;
    if (isSnapshot) {
      this.#known = this.#reading;
      const before = this.#few.keys;
      this.#few = this.#next;
      this.#next = new Few();
      areKeysChanged = before.size !== this.#few.keys.size || [...before].some((kid) => !this.#few.keys.has(kid));
    }
    if (isSnapshot || this.#syncs % SYNCS_PER_REMOVAL === 0) {
      this.#sessions.remove(this.#serverTime, isSnapshot ? this.#known : undefined);
      this.#few.remove(this.#serverTime);
    }
    return areKeysChanged;
  }

  // Returns the code of the refusal of what was revoked. `session` is what `numbers` makes of the session.
  check(claims, session) {
    const isLive = (end) => end !== undefined && end > this.#serverTime;
    if (session && isLive(this.#sessions.endOf(session))) return "session_revoked";
    if (isLive(this.#few.tokens.get(claims.jti))) return "token_revoked";
    if (isLive(this.#few.clients.get(claims.client_id))) return "token_revoked";
    const revision = this.#few.revisions.get(claims.sid);
    return revision && isLive(revision.end) && claims.rev < revision.revision ? "token_revoked" : undefined;
  }

  isKeyRevoked(kid) {
    return this.#few.keys.has(kid);
  }

  // Returns how old the knowledge is, undefined if a snapshot was never read to its end.
  age(now) {
    return this.#completeUntil === undefined ? undefined : Math.max(0, now - this.#completeUntil);
  }

  get size() {
    const { tokens, revisions, keys, clients } = this.#few;
    return this.#sessions.size + tokens.size + revisions.size + keys.size + clients.size;
  }
}
