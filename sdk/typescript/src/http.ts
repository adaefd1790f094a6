import { abortable, type Clock } from "./clock.js";
import { fail, type KeyturnError, type Problem } from "./errors.js";

/** What keyturn, or something in between, has answered. */
export interface Answer {
  status: number;
  body: unknown;
  /** The body, if it is a refusal of keyturn's. */
  problem: Problem | undefined;
  retryAfter: number | undefined;
}

const PROBLEM = "urn:keyturn:problem:";

function problemOf(body: unknown): Problem | undefined {
  const problem = body as Problem | null | undefined;
  return problem && problem.type === PROBLEM + problem.code ? problem : undefined;
}

// Returns for how many seconds to wait (RFC 9110 §10.2.3). A date is measured by that of the answer.
function secondsOf(text: string | null, date: string | null): number | undefined {
  const seconds = /^\d+$/.test(text!) ? Number(text) : (Date.parse(text!) - Date.parse(date!)) / 1000;
  return seconds >= 0 ? seconds : undefined;
}

/** Reads a response to its end. */
export async function read(response: Response): Promise<Answer> {
  const { status, headers } = response;
  const text = await response.text();
  let body: unknown;
  try {
    body = text ? JSON.parse(text) : undefined;
  } catch {
    // A proxy's, or cut.
    body = null;
  }
  const retryAfter = secondsOf(headers.get("retry-after"), headers.get("date"));
  return { status, body, problem: problemOf(body), retryAfter };
}

/** Returns the error that an answer other than the wanted one is. */
export function refusal({ status, problem, retryAfter }: Answer): KeyturnError {
  const wait = retryAfter === undefined ? {} : { retryAfter };
  if (!problem || status >= 500) {
    return fail(`keyturn cannot answer now (${status})`, { kind: "unavailable", status, ...wait });
  }
  return fail(problem.detail, { kind: "refused", status, code: problem.code, problem, ...wait });
}

export interface PostOptions {
  headers?: Record<string, string>;
  /** What ends it before it is done. */
  signals?: (AbortSignal | undefined)[];
}

/**
 * Posts JSON, or text as a form, to a path of keyturn's, in a request that holds a token in its body or none. Throws a
 * failure of kind `unavailable` if no whole answer comes in time.
 */
export type Post = (path: string, body?: object | string, options?: PostOptions) => Promise<Answer>;

export function createPost(
  baseUrl: string,
  fetch: typeof globalThis.fetch,
  clock: Clock,
  timeout: number,
  cookies: boolean,
): Post {
  return async (path, body, { headers, signals = [] } = {}) => {
    const type = typeof body === "string" ? "application/x-www-form-urlencoded" : "application/json";
    const controller = new AbortController();
    const stop = () => controller.abort();
    for (const signal of signals) {
      if (signal?.aborted) stop();
      signal?.addEventListener("abort", stop);
    }
    const disarm = clock.after(timeout, stop);
    try {
      const response = fetch(baseUrl + path, {
        method: "POST",
        headers: { ...(body && { "content-type": type }), ...headers },
        body: typeof body === "object" ? JSON.stringify(body) : (body ?? null),
        credentials: cookies ? "include" : "omit",
        redirect: "error",
        signal: controller.signal,
      });
      return await abortable(response.then(read), controller.signal);
    } catch (error) {
      throw fail("keyturn cannot be reached", { kind: "unavailable" }, error);
    } finally {
      disarm();
      for (const signal of signals) signal?.removeEventListener("abort", stop);
    }
  };
}
