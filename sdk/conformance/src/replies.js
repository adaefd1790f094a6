// What the fake server answers: as keyturn does, or as something in between would.
import { randomUUID } from "node:crypto";
import { STATUS_CODES } from "node:http";

export const json = (status, body, headers = {}) => ({
  status,
  headers: { "content-type": "application/json", "cache-control": "no-store", ...headers },
  body: JSON.stringify(body),
});

/** A refusal of keyturn's (docs/errors.md). */
export function problem(status, code, headers = {}) {
  const retryable = status === 429 || status >= 500 || status === 408;
  const about = { title: STATUS_CODES[status], status, detail: `This is ${code}.`, code, request_id: randomUUID() };
  const type = { "content-type": "application/problem+json" };
  return json(status, { type: `urn:keyturn:problem:${code}`, ...about, retryable }, { ...type, ...headers });
}

/** A refused access token (RFC 6750 §3). */
export const challenge = (error, more = "") => ({
  "www-authenticate": `Bearer error="${error}", error_description="This is ${error}."${more}`,
});

/** A page of somebody else's. */
export const page = (status, headers = {}) => ({
  status,
  headers: { "content-type": "text/html; charset=utf-8", ...headers },
  body: "<!doctype html><title>Please wait</title><p>Please wait</p>",
});

export const empty = (status, headers = {}) => ({ status, headers, body: "" });

export function send(response, { status, headers, body }) {
  response.writeHead(status, body ? { ...headers, "content-length": Buffer.byteLength(body) } : headers).end(body);
}
