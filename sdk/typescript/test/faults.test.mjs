// Only four answers end a session. Whatever else comes instead of an answer, nobody is logged out, and the refresh is
// repeated until it succeeds.
import assert from "node:assert/strict";
import { createServer } from "node:net";
import { after, before, test } from "node:test";
import { createClient, memoryStorage } from "@keyturn/client";
import { FAULTS, html } from "./faults.mjs";
import { PATIENT, REFRESH, advance, loggedIn, person, proxy } from "./server.mjs";

// What fails before a proxy is reached.
const plain = createServer((socket) => socket.end("no TLS\n"));
const elsewhere = {
  "a name that is not known": () => "https://keyturn.invalid",
  "a server that speaks no TLS": () => `https://127.0.0.1:${plain.address().port}`,
  "a port that is closed": () => "http://127.0.0.1:9",
};

before(() => new Promise((resolve) => plain.listen(0, "127.0.0.1", resolve)));
after(() => plain.close());

// Expires the access token and has a fault played twice. Returns the gaps between the refreshes and the pauses that the
// client has asked for, in seconds.
async function survive(context, name, play, email) {
  const own = await proxy(context);
  let faults = 2;
  let giveUp;
  const times = [];
  const keys = [];
  const fetching = (url, init) => {
    if (!url.endsWith(REFRESH)) return fetch(url, init);
    times.push(performance.now());
    keys.push(init.headers["idempotency-key"]);
    const isElsewhere = typeof play === "string" && faults-- > 0;
    // It may take long until a name is not known.
    if (isElsewhere) setTimeout(giveUp, 2000).unref();
    return fetch(isElsewhere ? url.replace(own.url, play) : url, init);
  };
  if (typeof play === "function") {
    own.intercept = async (given) => {
      if (given.request.url !== REFRESH || faults-- <= 0) return false;
      await play(given);
      if (/stall/.test(name)) giveUp();
      return true;
    };
  }
  const { client, clock, signedOut } = await loggedIn(context, { baseUrl: own.url, fetch: fetching, email });
  // No request takes too long because this machine is busy.
  const pauses = [];
  const { after } = clock;
  clock.after = (milliseconds, call) => {
    if (milliseconds === PATIENT.timeout) {
      giveUp = call;
      return () => {};
    }
    pauses.push(milliseconds / 1000);
    return after(milliseconds, call);
  };
  const former = await client.accessToken();
  clock.leap(1_000_000);
  const tokens = await Promise.all(Array.from({ length: 5 }, () => client.accessToken()));
  assert.equal(new Set(tokens).size, 1);
  assert.notEqual(tokens[0], former);
  assert.ok((await client.me()).user.id);
  assert.deepEqual(signedOut, []);
  assert.equal(times.length, 3, "two faults and a success");
  assert.equal(new Set(keys).size, 1, "a refresh that is repeated has its key");
  assert.match(keys[0], /^[\w-]{22}$/);
  clock.leap(1_000_000);
  await client.accessToken();
  assert.notEqual(keys[3], keys[0], "and the next one has another");
  times.length = 3;
  await client.logout();
  assert.deepEqual(signedOut, ["logout"]);
  return { gaps: times.slice(1).map((time, index) => ((time - times[index]) * 20) / 1000), pauses };
}

test("no fault of a server, a proxy or a network logs anybody out", async (context) => {
  const email = await person();
  const all = [...Object.entries(FAULTS), ...Object.entries(elsewhere).map(([name, url]) => [name, url()])];
  assert.ok(all.length >= 40, String(all.length));
  for (let first = 0; first < all.length; first += 8) {
    const some = all.slice(first, first + 8).map(([name, play]) =>
      context.test(name, async (inner) => {
        const { gaps, pauses } = await survive(inner, name, play, email);
        // The time that a server names is waited for.
        if (/^(429|503) (in|with a date)/.test(name)) assert.ok(Math.min(...gaps) >= 19, String(gaps));
        assert.ok(Math.max(0, ...pauses) < 60, String(pauses));
      }),
    );
    await Promise.all(some);
  }
});

test("a fault that lasts is told as one, and as nothing else", async (context) => {
  const own = await proxy(context);
  const { client, clock, signedOut } = await loggedIn(context, { baseUrl: own.url, patience: 5000 });
  own.intercept = (given) => {
    html(503, { "retry-after": "60" })(given);
    return true;
  };
  clock.leap(1_000_000);
  const before = own.requests.length;
  const errors = await Promise.all(Array.from({ length: 5 }, () => client.me().catch((error) => error)));
  for (const { kind, retryAfter } of errors) {
    assert.equal(kind, "unavailable");
    assert.ok(retryAfter > 50 && retryAfter <= 60, String(retryAfter));
  }
  assert.equal(own.requests.length, before + 1, "a server that has named a time is left alone");
  clock.leap(61_000);
  own.intercept = () => false;
  await client.me();
  assert.deepEqual(signedOut, []);
});

for (const [name, spoil] of [
  ["throws", () => assert.fail("quota")],
  ["forgets", () => {}],
]) {
  test(`a storage that ${name} is told, and the session goes on once it works`, async (context) => {
    const storage = memoryStorage();
    const { set } = storage;
    const { client, clock, signedOut } = await loggedIn(context, { storage });
    clock.leap(1_000_000);
    const kept = storage.get();
    storage.set = spoil;
    // What cannot be stored is not used.
    assert.equal((await client.me().catch((error) => error)).kind, "storage");
    assert.equal(storage.get(), kept);
    storage.set = set;
    assert.ok((await client.me()).user.id);
    assert.deepEqual(signedOut, []);
  });
}

// Asserts that the end of a session is told once, to all who call.
async function isTold(reason, { client, clock, storage, signedOut, front }) {
  clock.leap(1_000_000);
  const errors = await Promise.all(Array.from({ length: 5 }, () => client.me().catch((error) => error)));
  for (const error of errors) assert.deepEqual([error.kind, error.reason], ["signed_out", reason], String(error.cause));
  assert.deepEqual(signedOut, [reason]);
  assert.equal(await storage.get(), undefined);
  const before = front.requests.length;
  assert.equal((await client.me().catch((error) => error)).kind, "signed_out");
  assert.equal(front.requests.length, before, "nothing is asked for nobody");
  assert.deepEqual(signedOut, [reason]);
}

async function given(context, options) {
  const front = await proxy(context);
  return { front, ...(await loggedIn(context, { baseUrl: front.url, ...options })) };
}

test("a session that was revoked is over", async (context) => {
  const email = await person();
  const own = await given(context, { email });
  const other = await given(context, { email });
  const [{ id }] = (await other.client.sessions.list()).filter(({ is_current }) => !is_current);
  await other.client.sessions.end(id);
  await isTold("session_revoked", own);
});

test("a token that was replaced and is presented again and again is over", async (context) => {
  const own = await given(context);
  const first = await own.storage.get();
  for (let round = 0; round < 2; round += 1) {
    own.clock.leap(1_000_000);
    await own.client.me();
  }
  const storage = memoryStorage();
  storage.set(first);
  const client = createClient({ baseUrl: own.front.url, clock: own.clock, ...PATIENT, storage });
  context.after(() => client.dispose());
  const signedOut = [];
  client.on("signedOut", ({ reason }) => signedOut.push(reason));
  await isTold("refresh_token_reused", { ...own, client, storage, signedOut });
});

test("a token that is not keyturn's is over", async (context) => {
  const own = await given(context);
  const entry = JSON.parse(await own.storage.get());
  const last = entry.r.at(-1) === "A" ? "B" : "A";
  const storage = memoryStorage();
  storage.set(JSON.stringify({ ...entry, r: entry.r.slice(0, -1) + last }));
  const client = createClient({ baseUrl: own.front.url, clock: own.clock, ...PATIENT, storage });
  context.after(() => client.dispose());
  const signedOut = [];
  client.on("signedOut", ({ reason }) => signedOut.push(reason));
  await isTold("invalid_refresh_token", { ...own, client, storage, signedOut });
});

test("a session that was not used for too long is over", async (context) => {
  const own = await given(context);
  await advance(8 * 86_400);
  await isTold("session_expired", own);
});
