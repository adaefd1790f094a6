// The public keys of the server.

import { importJWK } from "jose";
import { isCanonical } from "./json.js";

const BASE64URL = /^[A-Za-z0-9_-]+$/;

function bytes(text) {
  return typeof text === "string" && BASE64URL.test(text) && isCanonical(text)
    ? Buffer.from(text, "base64url")
    : undefined;
}

// Returns the algorithm that a key is for, or undefined if the key cannot be used.
function algorithmOf(jwk) {
  if (jwk.use !== undefined && jwk.use !== "sig") return undefined;
  let algorithm;
  if (jwk.kty === "EC" && jwk.crv === "P-256") {
    algorithm = bytes(jwk.x)?.length === 32 && bytes(jwk.y)?.length === 32 ? "ES256" : undefined;
  } else if (jwk.kty === "OKP" && jwk.crv === "Ed25519") {
    algorithm = bytes(jwk.x)?.length === 32 ? "EdDSA" : undefined;
  } else if (jwk.kty === "RSA") {
    const modulus = bytes(jwk.n);
    const isStrong = modulus && modulus[0] !== 0 && modulus.length >= 256 && modulus.length <= 1024;
    algorithm = isStrong && bytes(jwk.e) ? "RS256" : undefined;
  }
  return jwk.alg === undefined || jwk.alg === algorithm ? algorithm : undefined;
}

// Reads a JWK set. Leaves out the keys that cannot be used; of several with one id the first counts.
export async function importKeys(set) {
  if (set === null || typeof set !== "object" || !Array.isArray(set.keys)) throw new TypeError("not a JWK set");
  const keys = new Map();
  for (const jwk of set.keys) {
    if (jwk === null || typeof jwk !== "object" || typeof jwk.kid !== "string" || keys.has(jwk.kid)) continue;
    const algorithm = algorithmOf(jwk);
    if (!algorithm) continue;
    const { kty, crv, x, y, n, e } = jwk;
    try {
      const key = await importJWK({ kty, crv, x, y, n, e }, algorithm);
      keys.set(jwk.kid, { algorithm, key, text: [crv, x, y, n, e].join() });
    } catch {
      // A point that is not on its curve, for example.
    }
  }
  return keys;
}

// Returns whether two sets have the same keys.
export function areSame(some, others) {
  return some.size === others.size && [...some].every(([kid, key]) => others.get(kid)?.text === key.text);
}
