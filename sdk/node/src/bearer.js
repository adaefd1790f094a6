// What the middlewares share.

import { demand } from "./verifier.js";
import { Refusal } from "./refusal.js";

// Returns the claims of the request with this value of `Authorization`, or the status and the headers of a refusal.
export async function authorize(verifier, demands, authorization) {
  const token = typeof authorization === "string" ? /^Bearer +(.+)$/i.exec(authorization)?.[1] : undefined;
  if (!token) return { status: 401, headers: { "WWW-Authenticate": "Bearer" } };
  try {
    const claims = await verifier.check(token);
    demand(claims, demands);
    return { claims };
  } catch (error) {
    if (!(error instanceof Refusal)) throw error;
    return { status: error.status, headers: error.challenge ? { "WWW-Authenticate": error.challenge } : {} };
  }
}
