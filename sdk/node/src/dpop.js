// Proofs that a client holds the key of its token (DPoP, RFC 9449 §4.3; docs/verifiers.md, "Proofs").

import { createHash } from "node:crypto";
import { importJWK } from "jose";
import { decode, isCanonical } from "./json.js";
import { Refusal } from "./refusal.js";

const MAX_LENGTH = 4096;
const MAX_AGE = 60;
const LEEWAY = 5;
// The seconds in which a proof is valid.
export const PERIOD = MAX_AGE + LEEWAY + 1;
const FORM = /^[A-Za-z0-9_-]*\.[A-Za-z0-9_-]*\.[A-Za-z0-9_-]*$/;
const BASE64URL = /^[A-Za-z0-9_-]+$/;
const PRIVATE = ["d", "p", "q", "dp", "dq", "qi", "oth", "k"];
const SIGNATURES = {
  ES256: { name: "ECDSA", hash: "SHA-256" },
  EdDSA: { name: "Ed25519" },
  RS256: { name: "RSASSA-PKCS1-v1_5" },
};

const isText = (value) => typeof value === "string";
const isTextIfAny = (value) => value === undefined || value === null || isText(value);
const sha256 = (text) => createHash("sha256").update(text).digest("base64url");

function bytes(text) {
  return isText(text) && BASE64URL.test(text) && isCanonical(text) ? Buffer.from(text, "base64url") : undefined;
}

// Returns whether a text is a thumbprint in its one form.
export const isThumbprint = (text) => bytes(text)?.length === 32;

// Returns the required members of a public key, in the order of their names (RFC 7638 §3); undefined for another key.
function canonical(algorithm, jwk) {
  if (PRIVATE.some((name) => Object.hasOwn(jwk, name))) return undefined;
  const { kty, crv, x, y, n, e } = jwk;
  if (algorithm === "ES256" && kty === "EC" && crv === "P-256") {
    return bytes(x)?.length === 32 && bytes(y)?.length === 32 ? { crv, kty, x, y } : undefined;
  }
  if (algorithm === "EdDSA" && kty === "OKP" && crv === "Ed25519") {
    return bytes(x)?.length === 32 ? { crv, kty, x } : undefined;
  }
  if (algorithm !== "RS256" || kty !== "RSA") return undefined;
  const modulus = bytes(n);
  const exponent = bytes(e);
  if (!modulus || !exponent || modulus[0] === 0 || exponent[0] === 0) return undefined;
  const isStrong = modulus.length > 256 || (modulus.length === 256 && modulus[0] >= 0x80);
  const isExponent = exponent.length <= 4 && exponent.at(-1) % 2 === 1 && !(exponent.length === 1 && exponent[0] === 1);
  return isStrong && modulus.length <= 512 && isExponent ? { e, kty, n } : undefined;
}

async function isSigned(algorithm, jwk, message, signature) {
  if (!isCanonical(signature)) return false;
  try {
    const key = await importJWK(jwk, algorithm);
    const data = Buffer.from(message, "latin1");
    return await crypto.subtle.verify(SIGNATURES[algorithm], key, Buffer.from(signature, "base64url"), data);
  } catch {
    // A point that is not on its curve, for example.
    return false;
  }
}

const UNRESERVED = /^[A-Za-z0-9._~-]$/;

// Returns a path without dot segments (RFC 3986 §5.2.4), and nothing percent-encoded that need not be.
function normalizePath(path) {
  if (/%(?![0-9A-Fa-f]{2})/.test(path)) return undefined;
  const decoded = path.replace(/%[0-9A-Fa-f]{2}/g, (code) => {
    const character = String.fromCharCode(parseInt(code.slice(1), 16));
    return UNRESERVED.test(character) ? character : code.toUpperCase();
  });
  const segments = decoded.split("/").slice(1);
  const kept = [];
  for (const segment of segments) {
    if (segment === "..") kept.pop();
    else if (segment !== ".") kept.push(segment);
  }
  const isOpen = kept.length === 0 || [".", ".."].includes(segments.at(-1));
  return kept.map((segment) => `/${segment}`).join("") + (isOpen ? "/" : "");
}

// Returns the one form of the URL of a request, without query and fragment (RFC 3986 §6.2.2, §6.2.3); undefined if it
// is none of http or https, or has credentials.
export function normalize(url) {
  if (!/^[!#-;=?-[\]_a-z~]*$/.test(url)) return undefined;
  const parts = /^(https?):\/\/(\[[0-9A-Fa-f:.]*\]|[A-Za-z0-9._-]+)(?::((?!0)[0-9]{0,5}))?(\/.*)?$/i.exec(
    url.split(/[?#]/, 1)[0],
  );
  if (!parts) return undefined;
  const scheme = parts[1].toLowerCase();
  const port = parts[3] && parts[3] !== (scheme === "http" ? "80" : "443") ? `:${parts[3]}` : "";
  const path = normalizePath(parts[4] ?? "");
  return path === undefined ? undefined : `${scheme}://${parts[2].toLowerCase()}${port}${path}`;
}

// Verifies a proof for a request with this token, at this time in seconds. Returns the thumbprint of its key, and what it
// is remembered by; throws a Refusal.
export async function verifyProof(proof, { method, url }, token, now) {
  const refuse = (reason) => {
    throw new Refusal(`proof_${reason}`);
  };
  if (!isText(proof) || proof.length > MAX_LENGTH || !FORM.test(proof)) refuse("malformed");
  const [head, payload, signature] = proof.split(".");
  const header = decode(head)?.value;
  if (!header || header.typ !== "dpop+jwt" || !Object.hasOwn(SIGNATURES, header.alg)) refuse("header");
  const { alg, jwk } = header;
  const isObject = jwk !== null && typeof jwk === "object" && !Array.isArray(jwk);
  if (!isText(alg) || !isObject || Object.hasOwn(header, "crit")) refuse("header");
  const key = canonical(alg, jwk) ?? refuse("key");
  if (!(await isSigned(alg, key, `${head}.${payload}`, signature))) refuse("signature");
  const decoded = decode(payload) ?? refuse("claims");
  const { jti, htm, htu, iat, ath, nonce } = decoded.value;
  if (![jti, htm, htu].every(isText) || !decoded.isInteger("iat") || ![ath, nonce].every(isTextIfAny)) refuse("claims");
  if (jti === "" || jti.length > 512 || [...jti].length > 256) refuse("claims");
  if (htm !== method) refuse("method");
  const normal = normalize(htu);
  if (normal === undefined || normal !== normalize(url)) refuse("url");
  if (iat < now - MAX_AGE || iat > now + LEEWAY) refuse("time");
  if (ath !== sha256(token)) refuse("token");
  const thumbprint = sha256(JSON.stringify(key));
  return { thumbprint, digest: sha256(Buffer.concat([Buffer.from(thumbprint, "base64url"), Buffer.from(jti)])) };
}

// A memory of the proofs that were used, each for as long as it is valid and up to twice as long.
export class SeenProofs {
  #young = new Set();
  #old = new Set();
  #since = 0;

  // `capacity` is how many are taken in `PERIOD`.
  constructor(capacity) {
    this.capacity = capacity;
  }

  // Uses up a proof that is valid at `now`, in seconds. Throws a Refusal if it was used before, or the memory is full.
  useUp(digest, now) {
    if (now - this.#since >= PERIOD) {
      this.#old = this.#young;
      this.#young = new Set();
      this.#since = now;
    } else if (now < this.#since) {
      // The clock was set back.
      this.#since = now;
    }
    if (this.#young.has(digest) || this.#old.has(digest)) throw new Refusal("proof_replayed");
    if (this.#young.size >= this.capacity) throw new Refusal("proof_unknown");
    this.#young.add(digest);
  }
}
