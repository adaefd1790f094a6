// Cookies as transport, in Chromium: no script can read a token, and a browser without cookies is told so once.
import assert from "node:assert/strict";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { browser, profile, site } from "./browser.mjs";
import { ALLOWED_ORIGIN, KEYTURN, PASSWORD, REFRESH, advance, person, proxy } from "./server.mjs";

// The origin that the server allows.
const port = Number(new URL(ALLOWED_ORIGIN).port);

function setUp(baseUrl) {
  window.sent = [];
  window.told = [];
  const counted = async (input, init) => {
    const { pathname } = new URL(input);
    window.sent.push(pathname);
    if (window.wait && pathname.endsWith("/refresh")) {
      window.isWaiting = true;
      await window.wait;
    }
    return fetch(input, init);
  };
  window.client = sdk.createClient({ baseUrl, transport: "cookie", fetch: counted });
  window.client.on("signedOut", ({ reason }) => told.push(reason));
}

async function opened(pages, app, baseUrl = KEYTURN) {
  const page = await pages.newPage();
  await page.goto(app);
  await page.evaluate(setUp, baseUrl);
  return page;
}

const login = (page, email) =>
  page.evaluate(([email, password]) => client.login({ email, password }), [email, PASSWORD]).then(({ status }) => status);
const call = (page) =>
  page.evaluate(() => client.me().then(({ user }) => user.email, ({ kind, reason }) => `${kind} ${reason ?? ""}`.trim()));

// Returns all that is in the memory of a page's scripts.
async function heap(pages, page) {
  const devtools = await pages.newCDPSession(page);
  const chunks = [];
  devtools.on("HeapProfiler.addHeapSnapshotChunk", ({ chunk }) => chunks.push(chunk));
  await devtools.send("HeapProfiler.takeHeapSnapshot", { reportProgress: false });
  return chunks.join("");
}

test("cookies keep somebody logged in, and no script has a token", async (context) => {
  const app = await site(context, { port });
  const pages = await (await browser(context)).newContext();
  const page = await opened(pages, app);
  const email = await person();
  assert.equal(await login(page, email), "signed_in");
  assert.equal(await call(page), email);

  // The access token's cookie goes when it expires: fifty calls refresh once.
  await advance(1000);
  await pages.clearCookies({ name: /access/ });
  const outcomes = await page.evaluate(() => {
    window.sent = [];
    return Promise.all(Array.from({ length: 50 }, () => client.me().then(({ user }) => user.email)));
  });
  assert.deepEqual(new Set(outcomes), new Set([email]));
  assert.equal(await page.evaluate(() => sent.filter((path) => path.endsWith("/refresh")).length), 1);

  const tokens = (await pages.cookies()).map(({ value }) => value).filter((value) => value.length > 40);
  assert.ok(tokens.length >= 2, String(tokens.length));
  await page.evaluate((email) => (window.who = { email }), email);
  const memory = await heap(pages, page);
  assert.ok(memory.includes(email), "the memory of the page is read");
  for (const token of tokens) assert.ok(!memory.includes(token.slice(0, 60)));
  assert.ok(!memory.includes("ktr_") && !memory.includes("eyJhbGciOi"));
  const [kept, seen] = await page.evaluate(() => [JSON.stringify({ ...localStorage }), document.cookie]);
  assert.ok(!kept.includes("ktr_") && !kept.includes("eyJ") && !seen, kept + seen);
  await assert.rejects(page.evaluate(() => client.accessToken()), /no script can read/);

  // Another tab, and a page that is loaded again, are logged in, too.
  const other = await opened(pages, app);
  assert.equal(await call(other), email);
  await page.evaluate(() => client.logout());
  await other.waitForFunction(() => told.length);
  assert.equal(await call(other), "signed_out");
  assert.deepEqual(await other.evaluate(() => told), ["logout"]);
  assert.deepEqual((await pages.cookies()).filter(({ value }) => value.length > 40), []);
});

test("tabs with cookies that expire together lose nothing", async (context) => {
  const app = await site(context, { port });
  const pages = await (await browser(context)).newContext();
  const tabs = [];
  for (let tab = 0; tab < 4; tab += 1) tabs.push(await opened(pages, app));
  const email = await person();
  await login(tabs[0], email);
  for (let round = 0; round < 20; round += 1) {
    await advance(1000);
    await pages.clearCookies({ name: /access/ });
    const use = () => {
      window.sent = [];
      const all = Array.from({ length: 20 }, () => client.me().then(() => "", (error) => `${error.kind} ${error.message}`));
      return Promise.all(all).then((each) => [each.filter(Boolean), sent.filter((path) => path.endsWith("/refresh")).length]);
    };
    for (const [failed, refreshes] of await Promise.all(tabs.map((tab) => tab.evaluate(use)))) {
      assert.deepEqual(failed, [], `round ${round}`);
      assert.ok(refreshes <= 1, `round ${round}: ${refreshes}`);
    }
  }
});

test("cookies that arrive in another order than they were sent in are still the session's", async (context) => {
  const app = await site(context, { port });
  const gate = await proxy(context);
  const pages = await (await browser(context)).newContext();
  const tab = () => opened(pages, app, gate.url);
  const [late, first, slow] = [await tab(), await tab(), await tab()];
  const email = await person();
  await login(first, email);
  for (const page of [late, first, slow]) assert.equal(await call(page), email);
  await advance(1000);
  await pages.clearCookies({ name: /access/ });

  // All three refresh with what the store holds now. One sends at once, and its answer comes last of all.
  let arrived;
  const isSent = new Promise((resolve) => (arrived = resolve));
  let release;
  const isReleased = new Promise((resolve) => (release = resolve));
  let isHeld = true;
  gate.intercept = async ({ request, response, forward }) => {
    if (request.method !== "POST" || request.url !== REFRESH || !isHeld) return false;
    isHeld = false;
    const { status, headers, body } = await forward();
    arrived();
    await isReleased;
    response.writeHead(status, headers).end(body);
    return true;
  };
  const calls = [call(late)];
  await isSent;
  // One has read the store, and sends when the answer of another has brought the next cookie.
  await slow.evaluate(() => void (window.wait = new Promise((resolve) => (window.go = resolve))));
  calls.push(call(slow));
  await slow.waitForFunction(() => window.isWaiting);
  assert.equal(await call(first), email);
  await slow.evaluate(() => go());
  assert.equal(await calls[1], email);
  release();
  assert.equal(await calls[0], email);

  await advance(1000);
  await pages.clearCookies({ name: /access/ });
  for (const page of [late, first, slow]) {
    assert.equal(await call(page), email);
    assert.deepEqual(await page.evaluate(() => told), []);
  }
});

test("a browser that blocks cookies is told so once, at the login", async (context) => {
  const folder = mkdtempSync(join(tmpdir(), "profile-"));
  context.after(() => rmSync(folder, { recursive: true, force: true }));
  mkdirSync(join(folder, "Default"));
  const preferences = { profile: { default_content_setting_values: { cookies: 2 }, cookie_controls_mode: 1 } };
  writeFileSync(join(folder, "Default", "Preferences"), JSON.stringify(preferences));
  const app = await site(context, { port });
  const pages = await profile(context, folder);
  const page = await opened(pages, app);
  const [email, password] = [await person(), PASSWORD];
  const outcome = await page.evaluate(
    ([email, password]) => client.login({ email, password }).then(({ status }) => status, ({ kind }) => kind),
    [email, password],
  );
  assert.equal(outcome, "cookies_blocked");
  assert.ok((await page.evaluate(() => sent.length)) <= 2);
  assert.equal(await call(page), "signed_out invalid_refresh_token");
  for (let more = 0; more < 20; more += 1) assert.match(await call(page), /^signed_out/);
  assert.ok((await page.evaluate(() => sent.length)) <= 4, "there is no circle");
});

test("a page of another site is told so by the constructor", async (context) => {
  const app = await site(context, { port: 0 });
  const page = await (await (await browser(context)).newContext()).newPage();
  await page.goto(app);
  const outcome = (baseUrl) =>
    page.evaluate((baseUrl) => {
      try {
        sdk.createClient({ baseUrl, transport: "cookie" }).dispose();
        return "made";
      } catch ({ kind, message }) {
        return `${kind}: ${message}`;
      }
    }, baseUrl);
  assert.equal(await outcome(KEYTURN), "made");
  for (const other of ["https://auth.example.com", "http://localhost:1", "https://127.0.0.1", "http://127.0.0.2"]) {
    assert.match(await outcome(other), /^configuration: .* cannot use cookies of /, other);
  }
});
