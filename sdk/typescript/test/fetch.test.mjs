// What `fetch` of a client does with a call: who gets the token, what is repeated, and what is left alone.
import assert from "node:assert/strict";
import { createServer } from "node:http";
import { test } from "node:test";
import { createClient, isKeyturnError, memoryStorage } from "@keyturn/client";
import { HandClock } from "./clocks.mjs";
import { Model } from "./model.mjs";
import { ORIGINS } from "./origins.mjs";

const HOME = "https://auth.example";
const API = "https://api.example/orders";
const STALE = 'Bearer error="invalid_token", error_description="no"';
const STEP_UP = 'Bearer error="insufficient_user_authentication", error_description="no", max_age=600';
const tick = () => new Promise(setImmediate);

let rows = 0;
const row = (name, run) => test(name, (context) => ((rows += 1), run(context)));

// Returns a client that has logged in to a model, and an API that answers as `api` says.
async function given(context, api = () => new Response("done"), options = {}) {
  const clock = new HandClock();
  const model = new Model(() => 1_800_000_000_000 + clock.time);
  const calls = [];
  const fetch = async (input, init) => {
    const request = new Request(input, { duplex: "half", ...init, signal: undefined });
    if (request.url.startsWith(HOME) && !request.url.endsWith("/api")) return model.answer(request.url, init);
    const text = await request.text();
    calls.push({ url: request.url, token: request.headers.get("authorization"), text, method: request.method });
    init?.signal?.throwIfAborted();
    return api(calls.length, request, init, model);
  };
  const base = { baseUrl: HOME, fetch, clock, storage: memoryStorage(), origins: ["https://api.example"] };
  const client = createClient({ ...base, ...options });
  context.after(() => client.dispose());
  await client.login({ email: "ada@example.com", password: "x" });
  return { client, calls, model, clock };
}

for (const [url, isOurs] of ORIGINS) {
  row(`${isOurs ? "a token" : "no token"} for ${url}`, async (context) => {
    const { client, calls } = await given(context);
    await client.fetch(url).catch((error) => assert.ok(!isKeyturnError(error)));
    const tokens = calls.filter(({ token }) => token);
    assert.equal(tokens.length, isOurs ? 1 : 0);
  });
}
row("a token for a URL object", async (context) => {
  const { client, calls } = await given(context);
  await client.fetch(new URL(API));
  assert.match(calls[0].token, /^Bearer /);
});
row("a token for a Request, whose headers are kept", async (context) => {
  const { client, calls } = await given(context, (_, request) => new Response(request.headers.get("x-own")));
  const response = await client.fetch(new Request(API, { headers: { "x-own": "kept" } }));
  assert.match(calls[0].token, /^Bearer /);
  assert.equal(await response.text(), "kept");
});
row("no token in the place of the caller's own", async (context) => {
  const { client, calls } = await given(context);
  await client.fetch(API, { headers: { Authorization: "Basic eDp5" } });
  assert.equal(calls[0].token, "Basic eDp5");
});
row("no token of another one in the place of a Request's own", async (context) => {
  const { client, calls } = await given(context);
  await client.fetch(new Request(API, { headers: { Authorization: "Basic eDp5" } }));
  assert.equal(calls[0].token, "Basic eDp5");
});

const refused = (status, challenge) =>
  new Response("no", { status, headers: challenge ? { "www-authenticate": challenge } : {} });

// [what the API says first, whether the call is repeated]
const ANSWERS = [
  ["200", () => new Response("done"), false],
  ["200 with a challenge", () => refused(200, STALE), false],
  ["401 without a challenge", () => refused(401), false],
  ["401 with another scheme", () => refused(401, 'Basic realm="x"'), false],
  ["401 with a bare challenge", () => refused(401, "Bearer"), false],
  ["401 invalid_request", () => refused(401, 'Bearer error="invalid_request"'), false],
  ["401 of DPoP", () => refused(401, 'DPoP error="invalid_token"'), false],
  ["403 invalid_token", () => refused(403, STALE), false],
  ["403 insufficient_scope", () => refused(403, 'Bearer error="insufficient_scope"'), false],
  ["404", () => refused(404), false],
  ["429", () => new Response("no", { status: 429, headers: { "retry-after": "1" } }), false],
  ["503", () => new Response("no", { status: 503, headers: { "retry-after": "1" } }), false],
  ["401 invalid_token", () => refused(401, STALE), true],
  ["401 invalid_token with a realm", () => refused(401, 'Bearer realm="api", error="invalid_token"'), true],
  ["401 invalid_token without quotes", () => refused(401, "Bearer error=invalid_token"), true],
  ["401 invalid_token in small letters", () => refused(401, 'bearer error="invalid_token"'), true],
  ["401 invalid_token beside another scheme", () => refused(401, 'Basic realm="x", Bearer error="invalid_token"'), true],
];
for (const [name, first, isRepeated] of ANSWERS) {
  row(`${name} is ${isRepeated ? "repeated once, with another token" : "left alone"}`, async (context) => {
    const { client, calls, model } = await given(context, (count) => (count === 1 ? first() : new Response("done")));
    const response = await client.fetch(API);
    assert.equal(response.status, isRepeated ? 200 : first().status);
    assert.equal(calls.length, isRepeated ? 2 : 1);
    assert.equal(model.refreshes, isRepeated ? 1 : 0);
    if (isRepeated) assert.notEqual(calls[1].token, calls[0].token);
    assert.equal(await response.text(), response.status === 200 && name !== "200 with a challenge" ? "done" : "no");
  });
}
row("an API that refuses every token is asked twice, and then once", async (context) => {
  const { client, calls, model, clock } = await given(context, () => refused(401, STALE));
  assert.equal((await client.fetch(API)).status, 401);
  assert.equal(calls.length, 2);
  const { refreshes } = model;
  for (let call = 0; call < 20; call += 1) assert.equal((await client.fetch(API)).status, 401);
  assert.equal(calls.length, 22);
  assert.equal(model.refreshes, refreshes);
  clock.advance(301_000);
  await client.fetch(API);
  assert.equal(calls.length, 24);
});
row("fifty calls that are refused at once refresh once", async (context) => {
  const first = new Set();
  const { client, calls, model } = await given(context, (_, request) => {
    first.add(request.headers.get("authorization"));
    return first.size === 1 ? refused(401, STALE) : new Response("done");
  });
  const responses = await Promise.all(Array.from({ length: 50 }, () => client.fetch(API)));
  assert.ok(responses.every(({ status }) => status === 200));
  assert.equal(model.refreshes, 1);
  assert.equal(calls.length, 100);
});
row("a token is not used before the refresh token beside it is stored", async (context) => {
  const storage = memoryStorage();
  const { client, calls, clock } = await given(context, undefined, { storage });
  clock.advance(1_000_000);
  const { set } = storage;
  let go;
  storage.set = (text) => new Promise((resolve) => (go = () => resolve(set(text))));
  const some = [client.fetch(API), client.fetch(API)];
  while (!go) await tick();
  some.push(client.fetch(API));
  for (let turn = 0; turn < 20; turn += 1) await tick();
  assert.equal(calls.length, 0);
  go();
  await Promise.all(some);
  assert.equal(calls.length, 3);
});
row("a call that the network fails is told as it is", async (context) => {
  const { client } = await given(context, () => {
    throw new TypeError("fetch failed");
  });
  await assert.rejects(client.fetch(API), TypeError);
});
row("a call without a login is refused before it is sent", async (context) => {
  const { client, calls } = await given(context);
  await client.logout();
  const error = await client.fetch(API).catch((thrown) => thrown);
  assert.ok(isKeyturnError(error) && error.kind === "signed_out");
  assert.equal(calls.length, 0);
});
row("a session that ended elsewhere is known at the next call", async (context) => {
  const { client, model } = await given(context, () => refused(401, STALE));
  model.end([...model.sessions.values()][0]);
  const error = await client.fetch(API).catch((thrown) => thrown);
  assert.deepEqual([error.kind, error.reason], ["signed_out", "session_revoked"]);
});

const form = new FormData();
form.set("field", "text");
const BODIES = {
  "a text": ["text", true],
  "URL parameters": [new URLSearchParams("a=1"), true],
  "a form": [form, true],
  "a blob": [new Blob(["text"]), true],
  "an array buffer": [new TextEncoder().encode("text").buffer, true],
  bytes: [new TextEncoder().encode("text"), true],
  "a stream": [() => new Blob(["text"]).stream(), false],
  "an iterable": [async function* () {
    yield new TextEncoder().encode("text");
  }, false],
};
for (const [name, [body, isRepeated]] of Object.entries(BODIES)) {
  row(`${name} is ${isRepeated ? "sent again" : "not sent again, because it is used up"}`, async (context) => {
    const { client, calls } = await given(context, (count) => (count === 1 ? refused(401, STALE) : new Response("done")));
    const own = typeof body === "function" ? body() : body;
    const response = await client.fetch(API, { method: "POST", body: own, duplex: "half" });
    assert.equal(response.status, isRepeated ? 200 : 401);
    assert.equal(calls.length, isRepeated ? 2 : 1);
    const texts = calls.map(({ text }) => text.replace(/-+formdata-\S+/g, "--"));
    assert.ok(texts.every((text) => text === texts[0] && text.length > 0), String(texts));
  });
}
row("a Request with a body is sent again, and stays usable", async (context) => {
  const { client, calls } = await given(context, (count) => (count === 1 ? refused(401, STALE) : new Response("done")));
  const request = new Request(API, { method: "PUT", body: "text" });
  assert.equal((await client.fetch(request)).status, 200);
  assert.deepEqual(calls.map(({ text, method }) => method + text), ["PUTtext", "PUTtext"]);
  assert.equal(request.bodyUsed, false);
});

// Aborts a call at a stage, and asserts that it ends then and with that reason.
async function isAborted(call, controller) {
  const reason = new Error("enough");
  const ends = assert.rejects(call, (error) => error === reason);
  await tick();
  controller.abort(reason);
  await ends;
}
row("a signal that has fired sends nothing", async (context) => {
  const { client, calls } = await given(context);
  await assert.rejects(client.fetch(API, { signal: AbortSignal.abort() }), { name: "AbortError" });
  assert.equal(calls.length <= 1, true);
});
row("a signal ends the wait for a refresh, and not the refresh", async (context) => {
  const { client, clock, model } = await given(context);
  clock.advance(1_000_000);
  const controller = new AbortController();
  const { refresh } = model;
  let go;
  const gate = new Promise((resolve) => (go = resolve));
  model.refresh = (...all) => gate.then(() => refresh.apply(model, all));
  const other = client.me();
  await isAborted(client.fetch(API, { signal: controller.signal }), controller);
  go();
  assert.ok(await other);
});
row("a signal ends a back-off", async (context) => {
  const { client, clock, model } = await given(context);
  clock.advance(1_000_000);
  model.refresh = () => refused(503);
  const controller = new AbortController();
  await isAborted(client.me({ signal: controller.signal }), controller);
});
row("a signal is the call's own", async (context) => {
  const controller = new AbortController();
  const hang = (_, __, { signal }) => new Promise((_, reject) => signal.addEventListener("abort", () => reject(signal.reason)));
  const { client } = await given(context, hang);
  await isAborted(client.fetch(API, { signal: controller.signal }), controller);
});
row("a signal ends a step-up", async (context) => {
  const controller = new AbortController();
  const { client } = await given(context, () => refused(401, STEP_UP), { onStepUp: () => new Promise(() => {}) });
  await isAborted(client.fetch(API, { signal: controller.signal }), controller);
});
row("a signal of a Request counts, too", async (context) => {
  const { client, clock, model } = await given(context);
  clock.advance(1_000_000);
  model.refresh = () => new Promise(() => {});
  const controller = new AbortController();
  const call = client.fetch(new Request(API, { signal: controller.signal }));
  const ends = assert.rejects(call);
  await tick();
  controller.abort();
  await ends;
});

row("a step-up is asked for with what is required, and the call repeated once", async (context) => {
  const asked = [];
  const answer = (count) => (count === 1 ? refused(401, STEP_UP) : new Response("done"));
  const { client, calls } = await given(context, answer, { onStepUp: (required) => asked.push(required) });
  assert.equal((await client.fetch(API)).status, 200);
  assert.deepEqual(asked, [{ maxAge: 600 }]);
  assert.equal(calls.length, 2);
});
row("a step-up that does not help is not asked for again", async (context) => {
  let asked = 0;
  const { client, calls } = await given(context, () => refused(401, STEP_UP), { onStepUp: () => (asked += 1) });
  assert.equal((await client.fetch(API)).status, 401);
  assert.deepEqual([asked, calls.length], [1, 2]);
});
row("a step-up without anybody to ask is left alone", async (context) => {
  const { client, calls } = await given(context, () => refused(401, STEP_UP));
  assert.equal((await client.fetch(API)).status, 401);
  assert.equal(calls.length, 1);
});
row("a step-up that is refused is told", async (context) => {
  const refuse = () => Promise.reject(new Error("not now"));
  const { client, calls } = await given(context, () => refused(401, STEP_UP), { onStepUp: refuse });
  await assert.rejects(client.fetch(API), { message: "not now" });
  assert.equal(calls.length, 1);
});
row("calls that need a step-up at once ask once", async (context) => {
  let asked = 0;
  const answer = (count) => (count <= 10 ? refused(401, STEP_UP) : new Response("done"));
  const { client } = await given(context, answer, { onStepUp: () => tick().then(() => (asked += 1)) });
  const responses = await Promise.all(Array.from({ length: 10 }, () => client.fetch(API)));
  assert.ok(responses.every(({ status }) => status === 200));
  assert.equal(asked, 1);
});

async function serving(context, answer) {
  const server = createServer(answer);
  await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
  context.after(() => (server.closeAllConnections(), server.close()));
  return `http://127.0.0.1:${server.address().port}`;
}
for (const status of [301, 302, 303, 307, 308]) {
  row(`a redirect with ${status} to another origin takes no token along`, async (context) => {
    const seen = [];
    const other = await serving(context, ({ headers }, response) => (seen.push(headers.authorization), response.end("other")));
    const api = await serving(context, ({ headers }, response) => {
      seen.push(headers.authorization);
      response.writeHead(status, { location: other }).end();
    });
    const { client } = await given(context, (_, request) => fetch(request), { origins: [api] });
    assert.equal(await (await client.fetch(`${api}/x`)).text(), "other");
    assert.match(seen[0], /^Bearer /);
    assert.equal(seen[1], undefined);
  });
}

row("globals are as they were", async (context) => {
  const names = Object.getOwnPropertyNames(globalThis);
  const before = names.map((name) => Object.getOwnPropertyDescriptor(globalThis, name)?.value);
  const { client } = await given(context);
  await client.fetch(API);
  assert.deepEqual(Object.getOwnPropertyNames(globalThis), names);
  names.forEach((name, index) => assert.equal(Object.getOwnPropertyDescriptor(globalThis, name)?.value, before[index], name));
});

test("the table has sixty rows", () => assert.ok(rows >= 60, String(rows)));
