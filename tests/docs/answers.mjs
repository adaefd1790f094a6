// Gives the client of the guide to mobile apps all kinds of answers: node answers.mjs FOLDER, with `session.mjs` there.
import assert from "node:assert/strict";

const folder = process.argv[2];
const REFRESH = "/api/v1/sessions/refresh";
const REVOKE = "/oauth/revoke";

const answer = (status, body, headers = {}) =>
  new Response(status === 204 ? null : typeof body === "string" ? body : JSON.stringify(body ?? {}), {
    status,
    headers: { "retry-after": "0", ...headers },
  });
const pair = (number) => answer(200, { access_token: `a${number}`, refresh_token: `r${number}`, refresh_after: 300 });
const problem = (status, code) => answer(status, { type: `urn:keyturn:problem:${code}`, code });
const lost = () => {
  throw new TypeError("fetch failed");
};

// An answer of a refresh, and what it means: the session is over, an error, or another try.
const MEANINGS = [
  ...["invalid_refresh_token", "refresh_token_reused", "session_revoked", "session_expired"].map((code) => [
    () => problem(401, code),
    "over",
  ]),
  [() => problem(401, "invalid_client"), "error"],
  [() => answer(401, "<html>a proxy asks for a password</html>"), "error"],
  [() => problem(400, "invalid_idempotency_key"), "error"],
  [() => problem(403, "origin_not_allowed"), "error"],
  [() => answer(403, "<html>a firewall</html>"), "error"],
  [() => answer(404, "<html>not here</html>"), "error"],
  [() => problem(422, "invalid_input"), "error"],
  [() => answer(408), "again"],
  [() => problem(429, "too_many_requests"), "again"],
  [() => problem(500, "internal_error"), "again"],
  [() => answer(502, "<html>a proxy</html>"), "again"],
  [() => problem(503, "database_unavailable"), "again"],
  [lost, "again"],
];

async function outcome(work, SessionOver) {
  try {
    await work();
    return "ok";
  } catch (error) {
    return error instanceof SessionOver ? "over" : "error";
  }
}

// A network that gives these answers by path, one after the other, the last one for ever.
function network(answers) {
  const calls = [];
  globalThis.fetch = async (url, init = {}) => {
    const path = new URL(url).pathname;
    calls.push({ path, authorization: init.headers?.authorization, key: init.headers?.["idempotency-key"] });
    const given = answers[path] ?? [() => answer(204)];
    return (given.length > 1 ? given.shift() : given[0])(init);
  };
  return calls;
}

async function mobileApp() {
  const { Session, SessionOver } = await import(`${folder}/session.mjs`);
  const logged = (refreshAt = Date.now() + 300_000) => {
    const kept = { text: JSON.stringify({ access: "a0", refresh: "r0", refreshAt }) };
    const write = async (text) => (kept.text = text);
    const store = { read: async () => kept.text, write, clear: async () => (kept.text = null) };
    return [new Session("http://keyturn.example", store), kept];
  };

  for (const [given, meaning] of MEANINGS) {
    const [session, kept] = logged();
    const calls = network({ [REFRESH]: [given, () => pair(1)] });
    const expected = { over: ["over", 1, null], error: ["error", 1, "r0"], again: ["ok", 2, "r1"] }[meaning];
    const seen = await outcome(() => session.refresh(), SessionOver);
    const refresh = kept.text && JSON.parse(kept.text).refresh;
    assert.deepEqual([seen, calls.length, refresh], expected, String(given));
    assert.equal(new Set(calls.map(({ key }) => key)).size, 1, "a repetition has the same key");
  }

  // Without a network, or one that takes requests and answers none, the tokens are gone at once.
  for (const refreshAt of [0, Date.now() + 300_000]) {
    for (const away of [lost, () => new Promise(() => {})]) {
      const [session, kept] = logged(refreshAt);
      network({ [REFRESH]: [away], [REVOKE]: [away] });
      const leaving = session.logout();
      if (away === lost) await leaving;
      else await new Promise((resolve) => setTimeout(resolve));
      assert.equal(kept.text, null);
      assert.equal(await outcome(() => session.fetch("http://keyturn.example/"), SessionOver), "over");
    }
  }

  // A refresh on its way keeps nothing once its tokens are forgotten.
  {
    const [session, kept] = logged();
    let arrive;
    network({ [REFRESH]: [() => new Promise((resolve) => (arrive = resolve))] });
    const refreshing = outcome(() => session.refresh(), SessionOver);
    while (!arrive) await new Promise((resolve) => setTimeout(resolve));
    await session.logout();
    arrive(pair(1));
    assert.deepEqual([await refreshing, kept.text], ["over", null]);
  }

  // With a network the session ends on the server, even where the access token has expired.
  {
    const [session] = logged(0);
    let body;
    const calls = network({ [REVOKE]: [(init) => ((body = init.body), answer(200))] });
    await session.logout();
    assert.deepEqual([calls.map(({ path }) => path), body], [[REVOKE], "token=r0"]);
  }

  // Other servers get no token.
  {
    const [session] = logged();
    const calls = network({ "/": [() => answer(200)] });
    for (const host of ["keyturn.example", "elsewhere.example"]) await session.fetch(`http://${host}/`);
    assert.deepEqual(calls.map(({ authorization }) => authorization), ["Bearer a0", undefined]);
  }
}

await mobileApp();
console.log("understood");
process.exit(0);
