// The rules for tokens: form, header, key, signature and claims, and what was revoked.

import { PERIOD, SeenProofs, isThumbprint, verifyProof } from "./dpop.js";
import { decode, isCanonical } from "./json.js";
import { areSame, importKeys } from "./keys.js";
import { Refusal } from "./refusal.js";
import { Revoked } from "./revoked.js";
import { numbers } from "./sessions.js";

const MAX_LENGTH = 8192;
const MAX_LEEWAY = 30;
const FORM = /^[A-Za-z0-9_-]*\.[A-Za-z0-9_-]*\.[A-Za-z0-9_-]*$/;
const TYPE = /^(?:application\/)?[aA][tT]\+[jJ][wW][tT]$/;
const UUID = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/;
// Control characters of Unicode.
const CLIENT = /^client:[^\p{Cc}]+$/u;
// Half of the order of the curve P-256 (SP 800-186 §3.2.1.3), rounded down.
const HALF_ORDER = Buffer.from("7fffffff800000007fffffffffffffffde737d56d38bcf4279dce5617e3192a8", "hex");

// The names of the algorithms in Web Crypto.
const SIGNATURES = {
  ES256: { name: "ECDSA", hash: "SHA-256" },
  EdDSA: { name: "Ed25519" },
  RS256: { name: "RSASSA-PKCS1-v1_5" },
};

const isText = (value) => typeof value === "string";
const isUuid = (value) => isText(value) && UUID.test(value);
const areTexts = (value) => Array.isArray(value) && value.every(isText);
const isObject = (value) => value !== null && typeof value === "object" && !Array.isArray(value);
const isNothing = (value) => value === undefined || value === null;
const isOptional = (value, is) => value === undefined || is(value);

// Returns whether the claims are those of an access token.
function areComplete({ value: claims, isInteger }) {
  const texts = ["iss", "sub", "aud", "client_id"].every((name) => isText(claims[name]));
  if (!texts || !["exp", "iat", "nbf"].every(isInteger) || !isUuid(claims.jti)) return false;
  const { sid, rev, auth_time: authTime, roles, amr, scope, email, name, email_verified: verified, act, cnf } = claims;
  const isPerson = UUID.test(claims.sub);
  if (!isPerson && !CLIENT.test(claims.sub)) return false;
  if (isPerson && [sid, rev, authTime, roles, amr].includes(undefined)) return false;
  if ((sid === undefined) !== (rev === undefined)) return false;
  return (
    isOptional(sid, isUuid) &&
    isOptional(rev, () => isInteger("rev")) &&
    isOptional(authTime, () => isInteger("auth_time")) &&
    isOptional(roles, areTexts) &&
    isOptional(amr, areTexts) &&
    isOptional(scope, isText) &&
    (isNothing(email) || isText(email)) &&
    (isNothing(name) || isText(name)) &&
    (isNothing(verified) || typeof verified === "boolean") &&
    (isNothing(act) || (isObject(act) && isUuid(act.sub))) &&
    isOptional(cnf, (key) => isObject(key) && Object.hasOwn(key, "jkt") && isThumbprint(key.jkt))
  );
}

// Returns whether a signature is valid and in its one form: of the two possible s, one of ES256 has the lower.
async function isSigned({ algorithm, key }, message, signature) {
  if (!isCanonical(signature)) return false;
  const bytes = Buffer.from(signature, "base64url");
  if (algorithm === "ES256" && !(bytes.length === 64 && bytes.compare(HALF_ORDER, 0, 32, 32, 64) <= 0)) return false;
  return crypto.subtle.verify(SIGNATURES[algorithm], key, bytes, Buffer.from(message, "latin1"));
}

// A memory of verified tokens: between `capacity` and twice as many.
class Memory {
  #young = new Map();
  #old = new Map();

  constructor(capacity) {
    this.capacity = capacity;
  }

  get(token) {
    const young = this.#young.get(token);
    if (young) return young;
    const old = this.#old.get(token);
    if (old) this.put(token, old);
    return old;
  }

  put(token, known) {
    if (this.capacity === 0) return;
    if (this.#young.size >= this.capacity) {
      this.#old = this.#young;
      this.#young = new Map();
    }
    this.#young.set(token, known);
  }
}

export class Verifier {
  #options;
  #keys;
  #memory;
  #proofs;
  #claimProof;
  #revoked = new Revoked();

  constructor(options) {
    const audiences = options.audiences ?? [options.audience];
    if (!isText(options.issuer) || !areTexts(audiences)) throw new TypeError("issuer and audience are needed");
    this.#options = {
      issuer: options.issuer,
      audiences,
      algorithms: options.algorithms ?? ["ES256", "EdDSA", "RS256"],
      notBeforeLeeway: Math.min(options.notBeforeLeeway ?? 5, MAX_LEEWAY),
      expiryLeeway: Math.min(options.expiryLeeway ?? 0, MAX_LEEWAY),
      feed: options.feed ?? true,
      maxAgeOfFeed: options.maxAgeOfFeed ?? 5000,
      whenStale: options.whenStale ?? "refuse",
      remembered: options.remembered ?? 8192,
    };
    this.#proofs = new SeenProofs(options.proofs ?? 1_048_576);
    this.#claimProof = options.claimProof;
    if (!["refuse", "introspect", "accept"].includes(this.#options.whenStale)) throw new TypeError("whenStale");
    this.#memory = new Memory(this.#options.remembered);
  }

  // Replaces the keys by those of a JWK set.
  async setKeys(set) {
    const keys = await importKeys(set);
    if (this.#keys && areSame(keys, this.#keys)) return;
    this.#keys = keys;
    this.#memory = new Memory(this.#options.remembered);
  }

  hasKey(kid) {
    return this.#keys?.has(kid) ?? false;
  }

  // Applies an event of the feed. Throws a TypeError if its data is malformed.
  apply(event, data, at = performance.now()) {
    if (this.#revoked.apply(event, data, at)) this.#memory = new Memory(this.#options.remembered);
  }

  // Returns how many milliseconds old the knowledge about revocations is, undefined if there is none yet.
  age(at = performance.now()) {
    return this.#revoked.age(at);
  }

  // Returns the number of revoked sessions, tokens and keys that are known.
  get revocations() {
    return this.#revoked.size;
  }

  // Verifies a token that came by itself, without I/O. Returns its claims, or throws a Refusal.
  async verify(token, now = Date.now(), at = performance.now()) {
    const claims = await this.#known(token, now);
    if (claims.cnf !== undefined) throw new Refusal("proof_required");
    this.#checkAge(at);
    return claims;
  }

  // Verifies a token that came with a proof (RFC 9449), to this method and URL as the client knows it. Does no I/O, but
  // for `claimProof`. The proof is used up. Returns the claims, or throws a Refusal.
  async verifyBound({ token, proof, method, url }, now = Date.now(), at = performance.now()) {
    const certain = await this.verifyBoundButForAge({ token, proof, method, url }, now);
    this.#checkAge(at);
    return this.useUp(certain, now);
  }

  #checkAge(at) {
    const { feed, maxAgeOfFeed, whenStale } = this.#options;
    const age = this.age(at);
    if (!feed || whenStale === "accept" || (age !== undefined && age <= maxAgeOfFeed)) return;
    throw new Refusal(whenStale === "introspect" ? "introspect" : "stale");
  }

  // Verifies a token that came by itself, whatever the age of the knowledge about revocations.
  async verifyButForAge(token, now = Date.now()) {
    const claims = await this.#known(token, now);
    if (claims.cnf !== undefined) throw new Refusal("proof_required");
    return claims;
  }

  // Verifies a token and its proof, whatever the age of the knowledge about revocations, without using up the proof.
  async verifyBoundButForAge({ token, proof, method, url }, now = Date.now()) {
    const claims = await this.#known(token, now);
    if (claims.cnf === undefined) throw new Refusal("not_bound");
    const { thumbprint, digest } = await verifyProof(proof, { method, url }, token, Math.floor(now / 1000));
    if (thumbprint !== claims.cnf.jkt) throw new Refusal("proof_other_key");
    return { claims, digest };
  }

  // Uses up a proof. Returns the claims of its token, or throws a Refusal.
  async useUp({ claims, digest }, now = Date.now()) {
    this.#proofs.useUp(digest, Math.floor(now / 1000));
    if (!this.#claimProof) return claims;
    let isNew;
    try {
      isNew = await this.#claimProof(digest, PERIOD);
    } catch (error) {
      throw Object.assign(new Refusal("proof_unknown"), { cause: error });
    }
    if (isNew !== true) throw new Refusal("proof_replayed");
    return claims;
  }

  async #known(token, now) {
    const seconds = Math.floor(now / 1000);
    let known = this.#memory.get(token);
    if (known) {
      this.#checkTimes(known.claims, seconds);
    } else {
      const memory = this.#memory;
      const claims = await this.#verified(token);
      this.#checkTimes(claims, seconds);
      known = { claims, session: claims.sid === undefined ? undefined : numbers(claims.sid) };
      // If the keys have changed meanwhile, this memory is not used any more.
      memory.put(token, known);
    }
    const code = this.#revoked.check(known.claims, known.session);
    if (code) throw new Refusal(code);
    return known.claims;
  }

  async #verified(token) {
    if (!isText(token) || token.length > MAX_LENGTH || !FORM.test(token)) throw new Refusal("malformed");
    const [head, payload, signature] = token.split(".");
    const header = decode(head)?.value;
    const isHeader =
      header && isText(header.alg) && isText(header.kid) && isText(header.typ) && TYPE.test(header.typ);
    if (!isHeader || Object.hasOwn(header, "crit")) throw new Refusal("header");
    if (this.#revoked.isKeyRevoked(header.kid)) throw new Refusal("key_revoked");
    if (!this.#keys) throw new Refusal("not_ready");
    const key = this.#keys.get(header.kid);
    if (!key || !this.#options.algorithms.includes(key.algorithm)) throw new Refusal("unknown_key");
    if (header.alg !== key.algorithm) throw new Refusal("header");
    if (!(await isSigned(key, `${head}.${payload}`, signature))) throw new Refusal("signature");
    const decoded = decode(payload);
    const { issuer, audiences } = this.#options;
    if (!decoded || !areComplete(decoded)) throw new Refusal("claims");
    const claims = decoded.value;
    if (claims.iss !== issuer || !audiences.includes(claims.aud)) throw new Refusal("claims");
    return claims;
  }

  #checkTimes(claims, now) {
    if (claims.nbf > now + this.#options.notBeforeLeeway) throw new Refusal("not_yet_valid");
    if (now >= claims.exp + this.#options.expiryLeeway) throw new Refusal("expired");
  }
}

const words = (text) => (text ?? "").split(" ").filter(Boolean);

// Checks valid claims for what an application demands: `role`, `scope` (several with spaces), `owner` (nobody acts for
// the user), `amr`, `maxAge` (seconds since the login). Throws a Refusal for the first that is missing.
export function demand(claims, demands = {}, now = Date.now()) {
  const { role, scope, owner, amr, maxAge } = demands;
  if (role !== undefined && !claims.roles?.includes(role)) throw new Refusal("missing_role");
  const scopes = words(claims.scope);
  if (!words(scope).every((word) => scopes.includes(word))) throw new Refusal("missing_scope");
  if (owner && !isNothing(claims.act)) throw new Refusal("acting");
  if (amr !== undefined && !claims.amr?.includes(amr)) throw new Refusal("missing_amr");
  if (maxAge === undefined) return;
  const age = Math.floor(now / 1000) - claims.auth_time;
  if (!(age <= maxAge)) throw new Refusal("login_too_old");
}
