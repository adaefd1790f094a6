// What the middlewares share.

import { demand } from "./verifier.js";
import { Refusal } from "./refusal.js";

// Returns the claims of a request, or the status and the headers of a refusal. A request is `authorization` and `dpop`,
// the values of its headers, its `method`, and its `path` as the client wrote it.
export async function authorize(verifier, demands, request) {
  const [, scheme, token] = /^(Bearer|DPoP) +(.+)$/i.exec(request.authorization ?? "") ?? [];
  const isBound = scheme?.toLowerCase() === "dpop";
  // Without its public URL an API takes no bound tokens.
  if (!token || (isBound && verifier.publicUrl === undefined)) {
    return { status: 401, headers: { "WWW-Authenticate": "Bearer" } };
  }
  try {
    const claims = isBound ? await checkBound(verifier, token, request) : await verifier.check(token);
    demand(claims, demands);
    return { claims };
  } catch (error) {
    if (!(error instanceof Refusal)) throw error;
    return { status: error.status, headers: error.challenge ? { "WWW-Authenticate": error.challenge } : {} };
  }
}

async function checkBound(verifier, token, { dpop, method, path }) {
  // Several are one with commas, which no proof has.
  if (dpop !== undefined && dpop !== null) {
    return verifier.checkBound({ token, proof: `${dpop}`, method, url: verifier.publicUrl + pathOf(path) });
  }
  await verifier.check(token);
  throw new Refusal("not_bound");
}

// Returns the path of the target of a request, which may be a whole URL (RFC 9112 §3.2.2).
function pathOf(target) {
  const path = target.replace(/^https?:\/\/[^/?#]*/i, "").split(/[?#]/, 1)[0];
  return path.startsWith("/") ? path : `/${path}`;
}

// Returns what `authorize` takes of a request of Node's, with the target that the client wrote.
export function presented({ headers, method }, target) {
  return { authorization: headers.authorization, dpop: headers.dpop, method, path: target };
}
