// What a server, a proxy or a network answers instead of what was asked for. Each plays itself to a request at a proxy.
/** Answers with a page. */
export const html = (status, headers = {}) => ({ response }) => {
  response.writeHead(status, { "content-type": "text/html", ...headers }).end("<!doctype html><p>Please wait</p>");
};
const json = (status, body, headers = {}) => ({ response }) => {
  response.writeHead(status, { "content-type": "application/json", ...headers }).end(JSON.stringify(body));
};
const problem = (status, code, headers = {}) => {
  const about = { type: `urn:keyturn:problem:${code}`, title: code, detail: code, code, request_id: "x" };
  return json(status, { ...about, status, retryable: false }, { "content-type": "application/problem+json", ...headers });
};
const empty = (status, headers = {}) => ({ response }) => void response.writeHead(status, headers).end();
const inSeconds = (seconds) => new Date(Date.now() + seconds * 1000).toUTCString();
const socketOf = ({ request }) => request.socket;

export const FAULTS = {
  "a reset before the commit": (given) => socketOf(given).resetAndDestroy(),
  "a reset after the commit": async (given) => {
    await given.forward();
    socketOf(given).resetAndDestroy();
  },
  "an end of the connection without an answer": (given) => socketOf(given).destroy(),
  "a body that is cut": async (given) => {
    const { status, headers, body } = await given.forward();
    given.response.writeHead(status, { ...headers, "content-length": body.length });
    given.response.write(body.subarray(0, body.length / 2), () => socketOf(given).resetAndDestroy());
  },
  "a body in chunks that is cut": async (given) => {
    const { status, headers, body } = await given.forward();
    delete headers["content-length"];
    given.response.writeHead(status, headers);
    given.response.write(body.subarray(0, 100), () => socketOf(given).destroy());
  },
  "a body that is shortened": async (given) => {
    const { status, headers, body } = await given.forward();
    given.response.writeHead(status, { ...headers, "content-length": 99 }).end(body.subarray(0, 99));
  },
  "200 with a page": html(200),
  "200 with an empty object": json(200, {}),
  "200 with null": json(200, null),
  "200 without a body": empty(200),
  "200 with half of the fields": json(200, { access_token: "x", expires_in: 900 }),
  "200 with no refresh token": json(200, {
    ...{ access_token: "x", token_type: "Bearer", expires_in: 900, refresh_after: 600, refresh_token_expires_in: 9 },
    ...{ session_id: "x", server_time: "2026-01-01T00:00:00Z", user: {} },
  }),
  "204": empty(204),
  "301 to a page for logging in": html(301, { location: "/portal" }),
  "302 to a page for logging in": html(302, { location: "/portal" }),
  "307 to a page for logging in": html(307, { location: "/portal" }),
  "400 of a proxy": html(400),
  "401 without a body": empty(401),
  "401 with a page": html(401, { "www-authenticate": "Basic realm=proxy" }),
  "401 of another server": json(401, { error: "invalid_token", code: 401 }, { "www-authenticate": "Bearer" }),
  "401 with a code that is not in a problem of keyturn's": json(401, { code: "session_revoked", type: "about:blank" }),
  "403 with a page": html(403),
  "403 with another server's JSON": json(403, { message: "Forbidden" }),
  "404 with a page": html(404),
  "407": html(407, { "proxy-authenticate": "Basic realm=proxy" }),
  "408": empty(408, { connection: "close" }),
  "409 of a proxy": html(409),
  "413 of a proxy": html(413),
  "418": html(418),
  "425": empty(425),
  "429 in seconds": empty(429, { "retry-after": "20" }),
  "429 with a date": (given) => empty(429, { "retry-after": inSeconds(21) })(given),
  "429 without a time": html(429),
  "500 of keyturn": problem(500, "internal_error"),
  "500 with a page": html(500),
  "501": html(501),
  "502 with a page": html(502),
  "503 of keyturn": problem(503, "database_unavailable", { "retry-after": "1" }),
  "503 with a date": (given) => html(503, { "retry-after": inSeconds(21) })(given),
  "503 with a final code": problem(503, "session_revoked"),
  "504": html(504),
  "511 of a captive portal": html(511),
  "520": html(520),
  "599": empty(599),
  "garbage that calls itself gzip": ({ response }) => {
    response.writeHead(200, { "content-type": "application/json", "content-encoding": "gzip" }).end("no gzip at all");
  },
  "garbage that is no HTTP": (given) => socketOf(given).end("\u0000\u0001 what?\r\n\r\n"),
  "a stall before the answer": () => {},
  "a stall within the body, after the commit": async (given) => {
    const { status, headers, body } = await given.forward();
    given.response.writeHead(status, { ...headers, "content-length": body.length }).write(body.subarray(0, 50));
  },
};
