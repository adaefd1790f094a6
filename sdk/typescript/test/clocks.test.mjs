// The time of day of a device does not matter: whatever it says, there are no more refreshes and no fewer.
import assert from "node:assert/strict";
import { test } from "node:test";
import { createClient, memoryStorage } from "@keyturn/client";
import { HandClock } from "./clocks.mjs";
import { Model } from "./model.mjs";
import { KEYTURN, loggedIn } from "./server.mjs";

const Real = Date;
const MINUTE = 60_000;
const YEAR = 365.25 * 24 * 60 * MINUTE;

/** Has `Date` tell another time. */
function wrong(context, offset) {
  globalThis.Date = class extends Real {
    constructor(...given) {
      super(...(given.length ? given : [Real.now() + offset()]));
    }

    static now() {
      return Real.now() + offset();
    }

    getTimezoneOffset() {
      return offset() % 720;
    }
  };
  context.after(() => (globalThis.Date = Real));
}

// Calls once a minute for a day, and returns when there were refreshes.
async function day(storage) {
  const clock = new HandClock();
  const model = new Model(() => 1_800_000_000_000 + clock.time);
  const times = [];
  const fetch = (url, init) => {
    if (url.endsWith("/refresh")) times.push(clock.time);
    return model.answer(url, init);
  };
  const client = createClient({ baseUrl: "https://auth.example", fetch, clock, storage });
  await client.login({ email: "ada@example.com", password: "x" });
  for (let minute = 0; minute < 24 * 60; minute += 1) {
    clock.advance(MINUTE);
    await client.me();
    await new Promise(setImmediate);
  }
  client.dispose();
  return times;
}

const clocks = {
  "ten years behind": () => -10 * YEAR,
  "a day behind": () => -86_400_000,
  "an hour ahead": () => 3_600_000,
  "ten years ahead": () => 10 * YEAR,
  leaping: () => (Math.random() - 0.5) * 20 * YEAR,
  "of another time zone each time": () => Math.floor(Math.random() * 24 - 12) * 3_600_000,
};

for (const [name, offset] of Object.entries(clocks)) {
  test(`a device whose clock is ${name} refreshes as any other`, async (context) => {
    const right = await day({ ...memoryStorage(), shared: true });
    wrong(context, offset);
    const times = await day({ ...memoryStorage(), shared: true });
    assert.deepEqual(times, right);
    const gaps = times.slice(1).map((time, index) => time - times[index]);
    assert.ok(Math.min(...gaps) >= 5 * MINUTE, String(Math.min(...gaps)));
    assert.ok(times.length >= 24 * 4 && times.length <= 24 * 7, String(times.length));
  });

  test(`a device whose clock is ${name} calls the real server without a refresh`, { skip: !KEYTURN }, async (context) => {
    wrong(context, offset);
    let refreshes = 0;
    const counted = (url, init) => {
      if (String(url).endsWith("/refresh")) refreshes += 1;
      return fetch(url, init);
    };
    const { client } = await loggedIn(context, { fetch: counted, clock: undefined });
    for (let call = 0; call < 20; call += 1) assert.ok(await client.accessToken());
    assert.ok((await client.me()).user.id);
    assert.equal(refreshes, 0);
  });
}
