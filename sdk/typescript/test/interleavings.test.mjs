// Logging out wins over whatever is on its way, in whatever order things happen: a scheduler with a seed decides it.
import assert from "node:assert/strict";
import { test } from "node:test";
import { createClient, isKeyturnError } from "@keyturn/client";
import { HandClock } from "./clocks.mjs";
import { generator } from "./random.mjs";
import { Model } from "./model.mjs";

// Everything that takes time is a step, and the next one is any of those that wait.
class Scheduler {
  waiting = [];

  constructor(random) {
    this.random = random;
  }

  step(run, signal) {
    return new Promise((resolve, reject) => {
      const entry = { run: () => Promise.resolve().then(run).then(resolve, reject) };
      signal?.addEventListener("abort", () => reject(signal.reason));
      this.waiting.push(entry);
    });
  }

  async settle() {
    for (let turn = 0; turn < 20; turn += 1) await Promise.resolve();
    await new Promise(setImmediate);
  }

  // Runs until all is done. What is left then is a deadlock.
  async run(isDone, idle) {
    for (let steps = 0; steps < 5000; steps += 1) {
      await this.settle();
      if (isDone() && this.waiting.length === 0) return;
      if (this.waiting.length === 0) idle();
      else await this.waiting.splice(this.random(this.waiting.length), 1)[0].run();
    }
    throw new Error("it does not end");
  }
}

// Tabs see the writes of others late, and hear of them later still.
class Store {
  constructor(scheduler, isAsync) {
    Object.assign(this, { scheduler, isAsync, views: [], truth: undefined });
  }

  tab() {
    const view = { value: this.truth, told: undefined };
    this.views.push(view);
    const maybe = (run) => (this.isAsync ? this.scheduler.step(run) : run());
    const write = (value) => {
      const former = view.value;
      view.value = this.truth = value;
      for (const other of this.views.filter((each) => each !== view)) {
        other.line = (other.line ?? Promise.resolve()).then(() =>
          this.scheduler.step(() => {
            other.value = value;
            void this.scheduler.step(() => other.told?.(value === undefined ? former : undefined));
          }),
        );
      }
    };
    return {
      shared: true,
      get: () => maybe(() => view.value),
      set: (text) => maybe(() => write(text)),
      remove: () => maybe(() => view.value !== undefined && write(undefined)),
      watch: (told) => {
        view.told = told;
        return () => (view.told = undefined);
      },
    };
  }
}

async function interleave(seed) {
  const random = generator(seed);
  const scheduler = new Scheduler(random);
  const clock = new HandClock();
  const model = new Model(() => 1_800_000_000_000 + clock.time);
  const store = new Store(scheduler, random(2) === 0);
  // Requests take two steps. One in eight refreshes and revocations loses its answer.
  const send = async (url, init) => {
    const answer = await scheduler.step(() => model.answer(url, init), init?.signal);
    const isLost = random(8) === 0 && /refresh$|revoke$/.test(url);
    return scheduler.step(() => {
      if (isLost) throw new TypeError("fetch failed");
      return answer;
    }, init?.signal);
  };
  const options = { baseUrl: "https://auth.example", fetch: send, clock };
  const tabs = Array.from({ length: 1 + random(3) }, () => createClient({ ...options, storage: store.tab() }));
  const told = tabs.map(() => []);
  tabs.forEach((tab, index) => tab.on("signedOut", ({ reason }) => told[index].push(reason)));
  let pending = 0;
  const unexpected = [];
  const go = (promise, allowed) => {
    pending += 1;
    promise
      .catch((error) => {
        if (!isKeyturnError(error) || !allowed.includes(error.kind)) unexpected.push(error);
      })
      .finally(() => (pending -= 1));
  };
  const isDone = () => pending === 0;
  const idle = () => clock.advance(500);

  go(tabs[0].login({ email: "ada@example.com", password: "x" }), []);
  await scheduler.run(isDone, idle);
  const [session] = model.sessions.values();
  for (const tab of tabs) go(tab.me(), []);
  await scheduler.run(isDone, idle);
  clock.advance([0, 700_000, 1_000_000][random(3)]);

  // Calls, and a logout somewhere among them.
  const calls = Array.from({ length: 2 + random(6) }, () => () => go(tabs[random(tabs.length)].me(), ["signed_out"]));
  const leaver = random(tabs.length);
  calls.splice(random(calls.length + 1), 0, () => go(tabs[leaver].logout(), []));
  for (const call of calls) void scheduler.step(call);
  await scheduler.run(isDone, idle);

  assert.deepEqual(unexpected, []);
  assert.equal(store.truth, undefined, "nothing is left");
  assert.ok(session.ended, "the server's session has ended");
  for (const [index, reasons] of told.entries()) assert.ok(reasons.length <= 1, `tab ${index}: ${reasons}`);
  assert.deepEqual(told[leaver], ["logout"]);
  for (const tab of tabs) go(tab.me().then(() => unexpected.push("a call after the logout")), ["signed_out"]);
  await scheduler.run(isDone, idle);
  assert.deepEqual(unexpected, []);
  assert.equal(store.truth, undefined);
  for (const tab of tabs) tab.dispose();
  return session.tokens.length > 1;
}

test("a logout wins over refreshes and calls in any order", async () => {
  const first = Number(process.env.SEED ?? 1);
  const count = Number(process.env.SEEDS ?? 1000);
  let refreshed = 0;
  for (let seed = first; seed < first + count; seed += 1) {
    try {
      refreshed += await interleave(seed);
    } catch (error) {
      error.message = `seed ${seed}: ${error.message}`;
      throw error;
    }
  }
  console.log(`${count} interleavings, ${refreshed} of them with a refresh`);
  assert.ok(refreshed > count / 4 || count < 100);
});
