import type { Client } from "../client.js";
import { type KeyturnError, fail, isKeyturnError } from "../errors.js";
import { type Answer, read, refusal } from "../http.js";
import type { Texts } from "./texts.js";

/** Calls a route below `/api/v1/auth/`. Throws what the client's functions do, and what the app's `onStepUp` does. */
export async function call<T>(
  client: Client,
  method: string,
  path: string,
  body?: object,
  signal?: AbortSignal,
): Promise<T> {
  const json = body && { headers: { "content-type": "application/json" }, body: JSON.stringify(body) };
  const url = `${client.options.baseUrl.replace(/\/+$/, "")}/api/v1/auth/${path}`;
  let answer: Answer;
  try {
    answer = await read(await client.fetch(url, { method, ...json, signal: signal ?? null }));
  } catch (error) {
    // Others are the app's.
    if (error instanceof TypeError) throw fail("keyturn cannot be reached", { kind: "unavailable" }, error);
    throw error;
  }
  if (answer.status < 300 && answer.body !== null) return answer.body as T;
  throw refusal(answer);
}

/** Returns the code of a refusal. */
export function codeOf(error: unknown): string | undefined {
  return isKeyturnError(error) && error.kind === "refused" ? error.code : undefined;
}

/** Returns the code of what is wrong with a field, if that is why a request was refused. */
export function fieldCodeOf(error: unknown, name: string): string | undefined {
  const refused = error as Extract<KeyturnError, { kind: "refused" }>;
  return codeOf(error) && refused.problem.errors?.find(({ field }) => field === name)?.code;
}

/** Returns what to say of an error, and nothing of one that the app knows of: it has thrown it itself. */
export function explain(error: unknown, texts: Texts): string | undefined {
  if (!isKeyturnError(error)) return undefined;
  if (error.kind === "unavailable") return texts.unavailable;
  const byStatus: Record<number, string> = { 403: texts.forbidden, 429: texts.tooMany };
  return (error.kind === "refused" && byStatus[error.status]) || texts.failed;
}
