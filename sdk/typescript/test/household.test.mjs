// Somebody's devices, each doing what it likes while the network fails: three tabs that share a storage, two phones that are
// killed, and a server that renders pages. Whatever happens, in whatever order, nobody is logged out.
import assert from "node:assert/strict";
import { test } from "node:test";
import { createClient, isKeyturnError, memoryStorage } from "@keyturn/client";
import { createServerClient } from "@keyturn/client/server";
import { fastClock } from "./clocks.mjs";
import { FAULTS } from "./faults.mjs";
import { generator } from "./random.mjs";
import { PASSWORD, REFRESH, advance, person, proxy } from "./server.mjs";

const SEEDS = Number(process.env.SEEDS ?? 6);
const STEPS = 40;
const never = new Promise(() => {});

/** Returns the views of several tabs on one storage, which hear of the others' writes. */
function sharedStorage() {
  const storage = memoryStorage();
  const watching = new Set();
  const tell = (own, removed) => watching.forEach((told) => told !== own && setImmediate(told, removed));
  return () => {
    let own;
    return {
      ...storage,
      shared: true,
      async set(text) {
        await storage.set(text);
        tell(own);
      },
      async remove() {
        const removed = await storage.get();
        await storage.remove();
        tell(own, removed);
      },
      watch(told) {
        watching.add((own = told));
        return () => watching.delete(told);
      },
    };
  };
}

class Household {
  calls = 0;
  failed = 0;
  kills = 0;
  signedOut = [];
  hasExpired = false;
  clock = fastClock(20);

  constructor(random, fronts, email) {
    Object.assign(this, { random, fronts, email });
    const tab = sharedStorage();
    this.tabs = Array.from({ length: 3 }, () => this.client(tab()));
    this.phones = Array.from({ length: 2 }, () => this.startPhone(memoryStorage()));
  }

  client(storage, fetching = fetch) {
    const patience = { timeout: 400_000, patience: 4_000_000 };
    const client = createClient({ baseUrl: this.fronts.own.url, clock: this.clock, storage, fetch: fetching, ...patience });
    client.on("signedOut", ({ reason }) => this.signedOut.push(reason));
    return client;
  }

  // Nothing that a killed process has begun goes on: no write arrives, no answer is read.
  startPhone(storage) {
    const phone = { storage, isAlive: true };
    const alive = (act) => async (...given) => {
      if (!phone.isAlive) return never;
      const result = await act(...given);
      return phone.isAlive ? result : never;
    };
    const { get, set, remove } = storage;
    phone.client = this.client({ get: alive(get), set: alive(set), remove: alive(remove) }, alive(fetch));
    return phone;
  }

  async logIn() {
    const login = { email: this.email, password: PASSWORD };
    await Promise.all([this.tabs[0], ...this.phones.map(({ client }) => client)].map((client) => client.login(login)));
    await this.render((client) => client.login(login));
  }

  /** Has the server that renders do something, and keeps the cookie that it sets. */
  async render(act) {
    const { cookie } = this;
    const cookies = {
      get: (name) => (cookie ? { name, value: cookie } : undefined),
      set: (_, value) => (this.cookie = value),
    };
    return act(createServerClient({ baseUrl: this.fronts.rendering.url, cookies, timeout: 60_000 }));
  }

  /** Renders again until keyturn can be asked, as somebody who reloads a page. */
  async rendered(act) {
    for (;;) {
      try {
        return await this.render(act);
      } catch (error) {
        if (!isKeyturnError(error) || error.kind !== "unavailable") throw error;
      }
    }
  }

  async call(client) {
    this.calls += 1;
    try {
      assert.equal((await client.me()).user.email, this.email);
    } catch (error) {
      if (!isKeyturnError(error) || error.kind !== "unavailable") throw error;
      this.failed += 1;
    }
  }

  kill() {
    const index = this.random(2);
    this.phones[index].isAlive = false;
    this.phones[index] = this.startPhone(this.phones[index].storage);
    this.kills += 1;
  }

  /** Returns a step that is begun now, and may end much later. */
  begin() {
    const draw = this.random(12);
    if (draw < 5) return this.call(this.tabs[this.random(3)]);
    if (draw < 8) return Promise.race([this.call(this.phones[this.random(2)].client), this.pause(3000)]);
    if (draw < 9) return Promise.all(Array.from({ length: 5 }, () => this.render((client) => this.call(client))));
    if (draw < 10) return this.kill();
    return this.expire();
  }

  /** Lets time pass. Were it more while one call is on its way, the token of its repetition would have expired, too. */
  async expire() {
    if (this.hasExpired) return;
    this.hasExpired = true;
    await advance(700);
    this.clock.leap(700_000);
  }

  pause(milliseconds) {
    return new Promise((resolve) => setTimeout(resolve, milliseconds).unref());
  }

  dispose() {
    for (const client of [...this.tabs, ...this.phones.map((phone) => phone.client)]) client.dispose();
  }
}

test(`${SEEDS} households are logged out by nothing`, async (context) => {
  const fronts = { own: await proxy(context), rendering: await proxy(context) };
  // The server that renders has the real clock: what has it wait for long is not played to it.
  const brief = Object.entries(FAULTS).filter(([name]) => !/^429|stall|with a date/.test(name));
  const kinds = { own: Object.values(FAULTS), rendering: brief.map(([, play]) => play) };
  const sums = { calls: 0, failed: 0, kills: 0, faults: 0, refreshes: 0 };
  for (let seed = 1; seed <= SEEDS; seed += 1) {
    const random = generator(seed);
    const household = new Household(random, fronts, await person());
    await household.logIn();
    for (const [name, front] of Object.entries(fronts)) {
      front.intercept = async (given) => {
        if (given.request.url !== REFRESH) return false;
        sums.refreshes += 1;
        if (random(2) === 0) return false;
        sums.faults += 1;
        await kinds[name][random(kinds[name].length)](given);
        return true;
      };
    }
    const begun = [];
    for (let step = 0; step < STEPS; step += 1) {
      begun.push(household.begin());
      if (random(3) > 0) continue;
      await Promise.all(begun.splice(0));
      household.hasExpired = false;
    }
    await Promise.all(begun);
    for (const front of Object.values(fronts)) front.intercept = () => false;
    household.hasExpired = false;
    await household.expire();
    for (const client of [...household.tabs, ...household.phones.map((phone) => phone.client)]) {
      assert.equal((await client.me()).user.email, household.email, `seed ${seed}`);
    }
    const sessions = await household.rendered((client) => client.sessions.list());
    assert.equal(sessions.length, 5, `seed ${seed}: those that began, and the one of the registration`);
    assert.deepEqual(household.signedOut, [], `seed ${seed}`);
    for (const name of ["calls", "failed", "kills"]) sums[name] += household[name];
    household.dispose();
  }
  console.log(JSON.stringify(sums));
  assert.ok(sums.faults > SEEDS * 3 && sums.kills > SEEDS, JSON.stringify(sums));
});
