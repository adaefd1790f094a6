// Tabs of one browser: they share a session without a lock, hear of each other, and survive being frozen.
import assert from "node:assert/strict";
import { test } from "node:test";
import { browser, site } from "./browser.mjs";
import { KEYTURN, PASSWORD, advance, loggedIn, person } from "./server.mjs";

const TABS = 6;
const CALLS = 50;
const ROUNDS = Number(process.env.ROUNDS ?? 20);

// Runs in a page: a client with a clock that leaps, which counts what it sends.
function setUp([baseUrl, options]) {
  Object.defineProperty(navigator, "locks", {
    get() {
      window.locksTouched = true;
      throw new Error("no locks");
    },
  });
  window.leapt = 0;
  window.refreshes = 0;
  window.told = [];
  const clock = {
    now: () => performance.now() + window.leapt,
    after(milliseconds, call) {
      const timer = setTimeout(call, milliseconds);
      return () => clearTimeout(timer);
    },
  };
  const counted = (input, init) => {
    if (String(input).endsWith("/refresh")) window.refreshes += 1;
    return fetch(input, init);
  };
  window.client = sdk.createClient({ baseUrl, clock, fetch: counted, ...options });
  const now = () => performance.timeOrigin + performance.now();
  for (const name of ["signedIn", "signedOut"]) {
    window.client.on(name, ({ reason }) => window.told.push({ name, reason, at: now() }));
  }
  window.now = now;
}

async function opened(pages, app, options = {}) {
  const page = await pages.newPage();
  await page.goto(app);
  await page.evaluate(setUp, [KEYTURN, options]);
  return page;
}

const login = (page, email) =>
  page.evaluate(([email, password]) => client.login({ email, password }).then(() => now()), [email, PASSWORD]);

const call = (page) =>
  page.evaluate(() => client.me().then(({ user }) => user.email, ({ kind, reason }) => `${kind} ${reason ?? ""}`.trim()));

test("six tabs with fifty calls each refresh once at the most, and lose nothing", async (context) => {
  const app = await site(context);
  const pages = await (await browser(context)).newContext();
  const tabs = [];
  for (let tab = 0; tab < TABS; tab += 1) tabs.push(await opened(pages, app));
  await login(tabs[0], await person());
  let most = 0;
  let total = 0;
  const use = ([count, milliseconds]) => {
    window.leapt += milliseconds;
    window.refreshes = 0;
    const calls = Array.from({ length: count }, () => client.me().then(() => "", (error) => `${error.kind} ${error.message}`));
    return Promise.all(calls).then((outcomes) => [outcomes.filter(Boolean), window.refreshes]);
  };
  for (let round = 0; round < ROUNDS; round += 1) {
    await advance(1000);
    const outcomes = await Promise.all(tabs.map((tab) => tab.evaluate(use, [CALLS, 1_000_000])));
    for (const [failed, refreshes] of outcomes) {
      assert.deepEqual(failed, [], `round ${round}`);
      assert.ok(refreshes <= 1, `round ${round}: ${refreshes} refreshes in a tab`);
      most = Math.max(most, refreshes);
      total += refreshes;
    }
    assert.ok(outcomes.some(([, refreshes]) => refreshes === 1), `round ${round}`);
  }
  for (const tab of tabs) {
    const [told, touched] = await tab.evaluate(() => [window.told, window.locksTouched]);
    assert.deepEqual(told.filter(({ name }) => name === "signedOut"), []);
    assert.equal(touched, undefined);
  }
  console.log(`${ROUNDS} rounds, ${ROUNDS * TABS * CALLS} calls, ${total} refreshes`);
  assert.equal(most, 1);
});

test("tabs hear of logins and logouts", async (context) => {
  const app = await site(context);
  const pages = await (await browser(context)).newContext();
  const [first, second] = [await opened(pages, app), await opened(pages, app)];
  const email = await person();
  const heard = async (page, name) => {
    const all = () => page.evaluate((name) => told.filter((event) => event.name === name), name);
    while (!(await all()).length) await page.waitForTimeout(5);
    const [event, ...others] = await all();
    assert.deepEqual(others, []);
    return event;
  };
  const loggedInAt = await login(first, email);
  const loggedIn = await heard(second, "signedIn");
  assert.equal(await call(second), email);
  const loggedOutAt = await second.evaluate(() => {
    const at = now();
    return client.logout().then(() => at);
  });
  const loggedOut = await heard(first, "signedOut");
  assert.equal(loggedOut.reason, "logout");
  const took = [loggedIn.at - loggedInAt, loggedOut.at - loggedOutAt];
  console.log(`login heard after ${took[0].toFixed(1)} ms, logout after ${took[1].toFixed(1)} ms`);
  assert.equal(await call(first), "signed_out");
  assert.equal(await first.evaluate(() => localStorage.length), 0);
});

test("a tab learns that its session was ended elsewhere", async (context) => {
  const app = await site(context);
  const pages = await (await browser(context)).newContext();
  const email = await person();
  const [calling, living] = [await opened(pages, app), await opened(await (await browser(context)).newContext(), app, { live: true })];
  for (const page of [calling, living]) await login(page, email);
  const { client } = await loggedIn(context, { email });
  const at = Date.now();
  await client.sessions.endOthers();
  assert.equal(await call(calling), "signed_out session_revoked");
  while (!(await living.evaluate(() => told.some(({ name }) => name === "signedOut")))) await living.waitForTimeout(20);
  const took = Date.now() - at;
  const { reason } = (await living.evaluate(() => told)).at(-1);
  console.log(`told after ${took} ms`);
  assert.equal(reason, "session_revoked");
});

test("a tab that was frozen goes on, or is told the truth", async (context) => {
  const app = await site(context);
  const pages = await (await browser(context)).newContext();
  const page = await opened(pages, app);
  const email = await person();
  await login(page, email);
  const devtools = await pages.newCDPSession(page);
  const sleep = async (seconds) => {
    await devtools.send("Page.setWebLifecycleState", { state: "frozen" });
    await advance(seconds);
    await devtools.send("Page.setWebLifecycleState", { state: "active" });
  };
  for (const seconds of [60, 3600, 86_400]) {
    await sleep(seconds);
    assert.equal(await call(page), email, `${seconds} s`);
  }
  // The clock of the page has gone on, too.
  await sleep(3600);
  await page.evaluate(() => (window.leapt += 3_600_000));
  assert.equal(await call(page), email);
  await sleep(9 * 86_400);
  assert.equal(await call(page), "signed_out session_expired");
  assert.deepEqual((await page.evaluate(() => told)).map(({ name }) => name), ["signedIn", "signedOut"]);
});

test("a page that is shown again from the cache of pages goes on", async (context) => {
  const app = await site(context);
  const pages = await (await browser(context)).newContext();
  const page = await opened(pages, app);
  const email = await person();
  await login(page, email);
  await page.goto(`${app}/other`);
  await advance(3600);
  await page.goBack();
  if (!(await page.evaluate(() => "client" in window))) await page.evaluate(setUp, [KEYTURN, {}]);
  assert.equal(await call(page), email);
});
