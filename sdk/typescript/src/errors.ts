import type { components } from "./wire.js";

/** What keyturn says about a refusal (RFC 9457). */
export type Problem = components["schemas"]["ProblemDetails"];

/** The answers to a refresh that mean that a session is over. No other answer means it. */
export type FinalCode = "invalid_refresh_token" | "refresh_token_reused" | "session_revoked" | "session_expired";

/** Why nobody is logged in any more: keyturn said so, or somebody logged out here or in another tab. */
export type SignedOutReason = FinalCode | "logout";

/** What went wrong, by its `kind`. */
export type Failure =
  /** keyturn refused a request, and would refuse it again. */
  | { kind: "refused"; status: number; code: Problem["code"]; problem: Problem; retryAfter?: number }
  /** Nobody is logged in. */
  | { kind: "signed_out"; reason?: SignedOutReason }
  /** keyturn cannot be reached or cannot answer now. Nobody was logged out; `retryAfter` is in seconds. */
  | { kind: "unavailable"; status?: number; retryAfter?: number }
  /** The storage did not keep what was written. */
  | { kind: "storage" }
  /** The browser does not keep or send keyturn's cookies. */
  | { kind: "cookies_blocked" }
  /** The session cannot be refreshed here, because cookies cannot be set: do it where they can. */
  | { kind: "read_only" }
  /** The client was set up in a way in which it cannot work. */
  | { kind: "configuration" }
  /** `dispose` was called. */
  | { kind: "disposed" };

/** Whatever this package throws, but for what an `AbortSignal` gives as its reason. */
export type KeyturnError = Error & Failure;

/** Returns whether an error is one of this package's, so that its `kind` tells more. */
export function isKeyturnError(error: unknown): error is KeyturnError {
  return error instanceof Error && error.name === "KeyturnError" && "kind" in error;
}

/** Makes an error. Its message holds no token. */
export function fail(message: string, failure: Failure, cause?: unknown): KeyturnError {
  const more = cause === undefined ? {} : { cause };
  return Object.assign(new Error(message), { name: "KeyturnError" }, more, failure);
}

const FINAL: unknown[] = ["invalid_refresh_token", "refresh_token_reused", "session_revoked", "session_expired"];

/** Returns whether a code means that a session is over. */
export function isFinal(code: unknown): code is FinalCode {
  return FINAL.includes(code);
}
