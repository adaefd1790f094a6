// What a refresh may get in place of its answer. `commits` says that the server has refreshed, and the answer is lost.
import { empty, json, page, problem, send } from "./replies.js";

const WAIT = 2;

const reply = (made) => ({ play: ({ response }) => send(response, made) });
const wait = (status, make, header) => ({
  retryAfter: WAIT,
  play: ({ fake, response }) => send(response, make(status, { "retry-after": header(fake) })),
});
const inSeconds = () => String(WAIT);
// HTTP's dates have no fractions: this one is between `WAIT` and a second more from now.
const byDate = (fake) => new Date(Math.ceil(fake.sessions.now() / 1000 + WAIT) * 1000).toUTCString();
const reset = ({ request }) => request.socket.resetAndDestroy();
const redirect = (status) => ({
  play: ({ fake, response }) => send(response, page(status, { location: `${fake.elsewhereUrl}/login` })),
});
const garbage = (bytes) => ({ play: ({ request }) => request.socket.end(bytes) });

// Sends the first bytes of the server's own answer, as a body of `length`, and breaks off.
const cut = (end, headersOf) => ({
  play(given) {
    const { status, headers, body } = given.answer();
    const { response } = given;
    response.writeHead(status, { ...headers, ...headersOf(body) });
    response.write(body.slice(0, 60), () => end(given));
  },
});
const withLength = (body) => ({ "content-length": Buffer.byteLength(body) });
// Answers nothing more; ends the connection of a client that waits for too long.
const stall = ({ request, fake, entry, stallFor }) => {
  const timer = setTimeout(() => {
    if (fake.refreshes.at(-1) === entry) entry.waitedFor = stallFor;
    request.socket.destroy();
  }, stallFor * 1000);
  request.socket.on("close", () => clearTimeout(timer));
};

const halfOfAGrant = { access_token: "x.y.z", token_type: "Bearer", expires_in: 900 };
const error = { error: "invalid_token", code: 401 };

export const FAULTS = {
  "a reset before the server has refreshed": { play: reset },
  "a reset after the server has refreshed": {
    play(given) {
      given.answer();
      reset(given);
    },
  },
  "a connection that ends without an answer": { play: ({ request }) => request.socket.destroy() },
  "a server that is not there for two seconds": {
    times: 1,
    async play({ fake }) {
      await fake.shut();
      setTimeout(() => fake.open(), 2000);
    },
  },
  "a body that is cut": cut(reset, withLength),
  "a body in chunks that is cut": cut(({ request }) => request.socket.destroy(), () => ({})),
  "a body that somebody has shortened": {
    play(given) {
      const { body, ...head } = given.answer();
      send(given.response, { ...head, body: body.slice(0, 60) });
    },
  },
  "a stall before the answer": { play: stall, times: 1 },
  "a stall within the body": { ...cut(stall, withLength), times: 1 },
  "200 with a page": reply(page(200)),
  "200 without a body": reply(empty(200)),
  "200 with an empty object": reply(json(200, {})),
  "200 with null": reply(json(200, null)),
  "200 without a refresh token": reply(json(200, halfOfAGrant)),
  "200 with garbage that calls itself gzip": reply({
    status: 200,
    headers: { "content-type": "application/json", "content-encoding": "gzip" },
    body: "no gzip at all",
  }),
  "204 without a body": reply(empty(204)),
  "301 to a page for logging in": redirect(301),
  "302 to a page for logging in": redirect(302),
  "307 to another server": redirect(307),
  "400 of a proxy": reply(page(400)),
  "401 without a body": reply(empty(401)),
  "401 with a page": reply(page(401, { "www-authenticate": 'Basic realm="proxy"' })),
  "401 of another server": reply(json(401, error, { "www-authenticate": 'Bearer error="invalid_token"' })),
  "401 with a final code that is not keyturn's": reply(json(401, { type: "about:blank", code: "session_revoked" })),
  "403 with a page": reply(page(403)),
  "403 of another server": reply(json(403, { message: "Forbidden" })),
  "404 with a page": reply(page(404)),
  "407 with a page": reply(page(407, { "proxy-authenticate": 'Basic realm="proxy"' })),
  "408 without a body": reply(empty(408, { connection: "close" })),
  "409 with a page": reply(page(409)),
  "409 already_refreshed, though nobody else has the answer": {
    ...reply(problem(409, "already_refreshed")),
    times: 1,
    isAboutStore: true,
  },
  "413 of a proxy": reply(page(413)),
  "418 with a page": reply(page(418)),
  "425 without a body": reply(empty(425)),
  "429 with seconds": wait(429, (status, headers) => problem(status, "too_many_requests", headers), inSeconds),
  "429 with a date": wait(429, page, byDate),
  "429 without a time": reply(page(429)),
  "500 of keyturn": reply(problem(500, "internal_error")),
  "500 with a page": reply(page(500)),
  "501 with a page": reply(page(501)),
  "502 with a page": reply(page(502)),
  "503 of keyturn": wait(503, (status, headers) => problem(status, "database_unavailable", headers), inSeconds),
  "503 with a date": wait(503, page, byDate),
  "503 with a final code": reply(problem(503, "session_revoked")),
  "503 refresh_token_replaced, though nobody else has the answer": {
    ...reply(problem(503, "refresh_token_replaced", { "retry-after": "1" })),
    retryAfter: 1,
    times: 1,
    isAboutStore: true,
  },
  "504 with a page": reply(page(504)),
  "511 of a captive portal": reply(page(511)),
  "520 with a page": reply(page(520)),
  "599 without a body": reply(empty(599)),
  "bytes that are no HTTP": garbage("\u0000\u0001 what?\r\n\r\n"),
  "an alert of TLS": garbage(Buffer.from([0x15, 3, 3, 0, 2, 2, 0x28])),
};
