// An engine with hardly anything: no window, no URL, no crypto, no BroadcastChannel, as on a phone.
import assert from "node:assert/strict";
import { test } from "node:test";
import vm from "node:vm";
import { script } from "./browser.mjs";
import { HandClock } from "./clocks.mjs";
import { Model } from "./model.mjs";
import { ORIGINS } from "./origins.mjs";

const turn = () => new Promise(setImmediate);

async function started(more = {}) {
  const clock = new HandClock();
  const model = new Model(() => 1_800_000_000_000 + clock.time);
  const kept = new Map();
  const calls = [];
  // What React Native has.
  const context = vm.createContext({ Headers, AbortController, setTimeout, clearTimeout, performance });
  vm.runInContext(await script(), context);
  const names = vm.runInContext("[typeof window, typeof URL, typeof crypto, typeof document, typeof structuredClone]", context);
  assert.deepEqual([...new Set(names)], ["undefined"]);
  const { createClient, asyncStorage, isKeyturnError } = vm.runInContext("sdk", context);
  const store = {
    getItem: async (name) => (await turn(), kept.get(name) ?? null),
    setItem: async (name, text) => (await turn(), void kept.set(name, text)),
    removeItem: async (name) => (await turn(), void kept.delete(name)),
  };
  const fetch = async (url, init) => {
    await turn();
    if (String(url).startsWith("https://auth.example/") && !String(url).endsWith("/api")) return model.answer(url, init);
    calls.push(new Headers(init?.headers).get("authorization"));
    return new Response("done");
  };
  const options = { baseUrl: "https://auth.example", origins: ["https://api.example"], fetch, clock };
  const random = (length) => crypto.getRandomValues(new Uint8Array(length));
  const make = () => createClient({ ...options, storage: asyncStorage(store), random, ...more });
  return { make, model, clock, kept, calls, isKeyturnError };
}

test("a phone logs in, refreshes, is started again and logs out", async () => {
  const { make, model, clock, kept } = await started();
  const client = make();
  assert.equal((await client.login({ email: "ada@example.com", password: "x" })).status, "signed_in");
  for (let day = 0; day < 3; day += 1) {
    clock.advance(86_400_000);
    client.wake();
    assert.ok((await client.me()).session_id);
  }
  const [text] = kept.values();
  // A token of keyturn is 100 characters long, a session's id 36.
  assert.deepEqual(Object.keys(JSON.parse(text)).sort(), ["k", "r", "s"]);
  assert.ok(text.length <= 256, String(text.length));
  assert.ok(text.length - JSON.parse(text).r.length + 100 <= 256);
  client.dispose();
  const again = make();
  const refreshes = model.refreshes;
  assert.ok((await again.me()).session_id);
  assert.equal(model.refreshes, refreshes + 1);
  await again.logout();
  assert.equal(kept.size, 0);
  assert.ok([...model.sessions.values()][0].ended);
  again.dispose();
});

test("a phone without a source of random bytes is told so", async () => {
  const { make, isKeyturnError } = await started({ random: undefined });
  const error = await make().login({ email: "ada@example.com", password: "x" }).catch((thrown) => thrown);
  assert.ok(isKeyturnError(error) && error.kind === "configuration");
});

test("without a parser of URLs the token goes to the same origins", async () => {
  const { make, calls } = await started();
  const client = make();
  await client.login({ email: "ada@example.com", password: "x" });
  for (const [url, isOurs] of ORIGINS) {
    calls.length = 0;
    await client.fetch(url);
    assert.equal(calls.filter(Boolean).length, isOurs ? 1 : 0, url);
  }
});
