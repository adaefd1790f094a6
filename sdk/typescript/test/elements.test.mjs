// The elements in apps of plain HTML, React and Vue, in Chromium, by the keyboard, under a strict policy.
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { fileURLToPath } from "node:url";
import { app, logIn, opened } from "./apps.mjs";
import { browser } from "./browser.mjs";
import { ALLOWED_ORIGIN, KEYTURN, PASSWORD, advance, codeOf, loggedIn, person } from "./server.mjs";

const HOSTILE = `<img src=x onerror="hacked = 1">`;

const isFocused = (locator) => locator.evaluate((element) => element.getRootNode().activeElement === element);

// Goes to something by the key Tab.
async function tabTo(page, locator) {
  await locator.waitFor();
  for (let step = 0; step < 150; step += 1) {
    if (await isFocused(locator)) return;
    await page.keyboard.press("Tab");
  }
  assert.fail(`${locator} cannot be reached by the keyboard`);
}

async function press(page, locator) {
  await tabTo(page, locator);
  await page.keyboard.press("Enter");
}

async function type(page, locator, text) {
  await tabTo(page, locator);
  await page.keyboard.press("Control+A");
  await page.keyboard.type(text);
}

const told = (page, name) => page.evaluate((name) => globalThis.told.filter(([each]) => each === name).map(([, detail]) => detail), name);

// Checks that a page has complained of nothing, and that no token is in it.
async function checkPage({ page, wrong }) {
  assert.deepEqual(wrong, []);
  assert.deepEqual(await page.evaluate(() => [globalThis.violations, globalThis.hacked]), [[], undefined]);
  const shown = await page.evaluate(() => {
    const texts = [JSON.stringify(globalThis.told), document.documentElement.outerHTML];
    for (const { shadowRoot } of document.querySelectorAll("keyturn-sessions, keyturn-security")) texts.push(shadowRoot.innerHTML);
    return texts.join();
  });
  assert.ok(!/ktr_|eyJ/.test(shown), "no token is in the document or in an event");
  assert.ok(!/ style=| on[a-z]+="/.test(shown.replaceAll(/&lt;.*?&gt;/g, "")), "nothing is inline");
}

const card = (page, name) => page.locator("keyturn-sessions li.session", { has: page.locator("h3", { hasText: name }) });

for (const kind of ["html", "react", "vue"]) {
  test(`sessions are listed, named and ended in an app of ${kind}`, async (context) => {
    const chromium = await browser(context);
    const email = await person();
    const devices = {};
    for (const name of ["laptop", "tablet", "phone", HOSTILE]) {
      const { client } = await loggedIn(context, { email });
      const { id } = (await client.sessions.list()).find(({ is_current }) => is_current);
      await client.sessions.rename(id, name);
      devices[name] = { client, id };
    }
    const shown = await opened(context, chromium, `${await app(context, kind)}&live`);
    const { page } = shown;
    const button = (name, text) => card(page, name).getByRole("button", { name: text });
    // Nobody is logged in: the app's own link is shown, and the app is told.
    await page.locator('keyturn-sessions a[slot="signed-out"]').waitFor();
    assert.deepEqual((await told(page, "signed-out"))[0], { reason: undefined });
    if (kind !== "html") assert.deepEqual(await page.evaluate((name) => globalThis[name], `${kind}Told`), { reason: undefined });
    await logIn(page, email);
    await card(page, "phone").waitFor();
    const names = await page.locator("keyturn-sessions h3").allTextContents();
    assert.equal(names.length, 6);
    assert.match(await page.locator("keyturn-sessions li").first().textContent(), /This device/);
    assert.ok(names.includes(HOSTILE));
    assert.equal(await page.locator("keyturn-sessions img").count(), 0);

    // A name that is being typed stays, with the focus, while the list and the app around it change.
    await press(page, button("laptop", "Rename laptop"));
    const input = page.locator("keyturn-sessions input");
    assert.ok(await isFocused(input));
    await page.keyboard.press("Control+A");
    await page.keyboard.type("Kitch");
    await devices.phone.client.logout();
    await card(page, "phone").waitFor({ state: "detached" });
    await page.evaluate(() => globalThis.render?.());
    await page.keyboard.type("en");
    await page.keyboard.press("Enter");
    await card(page, "Kitchen").waitFor();
    await page.locator("keyturn-sessions input").waitFor({ state: "detached" });
    assert.ok(await isFocused(button("Kitchen", "Rename")));
    assert.deepEqual(await told(page, "session-renamed"), [{ session_id: devices.laptop.id, name: "Kitchen" }]);
    await press(page, button("Kitchen", "Rename"));
    await page.keyboard.press("Escape");
    assert.ok(await isFocused(button("Kitchen", "Rename")));

    // An end is asked for, and leaves the focus at the next card.
    await press(page, button("tablet", "End"));
    const question = page.getByRole("group", { name: /tablet.*End this session/ });
    assert.ok(await isFocused(question));
    await page.keyboard.press("Escape");
    assert.ok(await isFocused(button("tablet", "End")));
    await page.keyboard.press("Enter");
    await press(page, question.getByRole("button", { name: "End", exact: true }));
    await card(page, "tablet").waitFor({ state: "detached" });
    assert.deepEqual(await told(page, "session-ended"), [{ session_id: devices.tablet.id }]);
    assert.equal(await page.evaluate(() => document.querySelector("keyturn-sessions").shadowRoot.activeElement.tagName), "H3");
    assert.match(await page.locator("keyturn-sessions [role=status]").textContent(), /tablet.*logged out/);
    assert.equal((await devices.tablet.client.me().catch((error) => error)).reason, "session_revoked");
    const ended = page.locator("keyturn-sessions details");
    await press(page, ended.locator("summary"));
    await ended.locator("li", { hasText: "tablet" }).getByText("ended by you").waitFor();

    // What had the focus disappears, because it has ended elsewhere.
    await tabTo(page, button(HOSTILE, "End"));
    await devices[HOSTILE].client.logout();
    await ended.locator("li", { hasText: HOSTILE }).waitFor();
    assert.equal(await page.evaluate(() => document.querySelector("keyturn-sessions").shadowRoot.activeElement.tagName), "H3");

    await press(page, page.getByRole("button", { name: "End all 2 others" }));
    await press(page, page.getByRole("group", { name: /2 devices/ }).getByRole("button", { name: "End", exact: true }));
    await page.getByText("You are logged in nowhere else.").waitFor();
    assert.deepEqual(await told(page, "sessions-ended"), [{ sessions_revoked: 2 }]);
    assert.equal((await devices.laptop.client.me().catch((error) => error)).reason, "session_revoked");

    // This session is ended elsewhere.
    const { client: last } = await loggedIn(context, { email });
    await last.sessions.endOthers();
    await page.locator("keyturn-sessions").getByText("This session was ended.", { exact: true }).waitFor();
    await page.locator('keyturn-sessions a[slot="signed-out"]').waitFor();
    assert.equal((await told(page, "signed-out")).at(-1).reason, "session_revoked");
    await checkPage(shown);
  });

  test(`the password and two-step login are changed in an app of ${kind}`, async (context) => {
    const chromium = await browser(context);
    const pages = await chromium.newContext({ acceptDownloads: true, permissions: ["clipboard-read", "clipboard-write"] });
    const email = await person();
    const { client: other } = await loggedIn(context, { email });
    const shown = await opened(context, pages, await app(context, kind));
    const { page } = shown;
    await logIn(page, email);
    const security = page.locator("keyturn-security");
    const named = (name) => security.getByRole("button", { name });
    const current = security.getByLabel("Current password");
    const next = security.getByLabel("New password");
    const described = (locator) => locator.evaluate((input) => {
      const ids = input.getAttribute("aria-describedby").split(" ");
      return ids.map((id) => input.getRootNode().getElementById(id).textContent).join(" ");
    });
    const password = "twelve herons on the pier";

    await press(page, named("Change the password"));
    assert.ok(await isFocused(current));
    assert.match(await described(current), /Fill in/);
    await type(page, current, "not the password");
    await type(page, next, password);
    await page.keyboard.press("Enter");
    await security.getByText("This password is wrong.").waitFor();
    assert.ok(await isFocused(current));
    await type(page, current, PASSWORD);
    await type(page, next, "password1");
    await page.keyboard.press("Enter");
    await security.getByText("This password is easy to guess.").waitFor();
    assert.ok((await isFocused(next)) && (await next.getAttribute("aria-invalid")) === "true");
    await type(page, next, password);
    await page.keyboard.press("Enter");
    await security.locator(".alert", { hasText: "Your password is changed. 2 other sessions are ended." }).waitFor();
    assert.deepEqual([await current.inputValue(), await next.inputValue()], ["", ""]);
    assert.deepEqual(await told(page, "password-changed"), [{ sessions_revoked: 2 }]);
    assert.equal((await other.me().catch((error) => error)).reason, "session_revoked");
    // The list beside it knows.
    await page.getByText("You are logged in nowhere else.").waitFor();

    await press(page, named("Turn on"));
    await security.getByRole("img", { name: /QR code/ }).waitFor();
    await press(page, security.locator("summary"));
    const secret = (await security.locator("details code").textContent()).replaceAll(" ", "");
    const link = await security.getByRole("link", { name: /Open it in an app/ }).getAttribute("href");
    assert.ok(link.startsWith("otpauth://totp/") && link.includes(secret), link);
    const code = security.getByLabel("Code", { exact: true });
    await type(page, code, codeOf(secret, 100));
    await page.keyboard.press("Enter");
    await security.getByText("This code is wrong.").waitFor();
    assert.ok(await isFocused(code));
    await type(page, code, codeOf(secret));
    await page.keyboard.press("Enter");
    await security.getByText("Your recovery codes").waitFor();
    const codes = await security.locator("ul code").allTextContents();
    assert.equal(codes.length, 10);
    assert.deepEqual(await told(page, "two-step-changed"), [{ enabled: true }]);
    const downloads = page.waitForEvent("download");
    await press(page, named("Download"));
    const download = await downloads;
    assert.equal(download.suggestedFilename(), "recovery-codes.txt");
    assert.equal(readFileSync(await download.path(), "utf8"), `${codes.join("\n")}\n`);
    await press(page, named("Copy"));
    await page.waitForFunction((all) => navigator.clipboard.readText().then((text) => text === all), codes.join("\n"));
    await press(page, named("I have kept them"));
    await named("Make new recovery codes").waitFor();
    assert.ok(await isFocused(security.getByRole("heading", { name: "Two-step login" })));

    await press(page, named("Make new recovery codes"));
    await security.getByText("The former codes are not valid any more.").first().waitFor();
    assert.notDeepEqual(await security.locator("ul code").allTextContents(), codes);
    const [recovery] = await security.locator("ul code").allTextContents();
    await press(page, named("I have kept them"));

    // A device that needs no code.
    const { client } = await loggedIn(context, {});
    await client.logout();
    const login = await client.login({ email, password });
    await client.mfa.complete({ mfa_token: login.mfa_token, method: "recovery_code", code: recovery, remember_device: true });
    await page.evaluate(() => document.dispatchEvent(new Event("visibilitychange")));
    await press(page, security.getByRole("button", { name: /^Remove node/ }));
    await security.getByRole("heading", { name: "Trusted devices" }).waitFor({ state: "hidden" });
    assert.deepEqual(await told(page, "trusted-devices-removed"), [{ devices_removed: 1 }]);

    await press(page, named("Turn two-step login off"));
    await press(page, security.getByRole("button", { name: "Turn off", exact: true }));
    await security.locator(".alert", { hasText: "Two-step login is off." }).waitFor();
    assert.deepEqual((await told(page, "two-step-changed")).at(-1), { enabled: false });
    const { mfa_enabled } = await page.evaluate(() => client.me());
    assert.equal(mfa_enabled, false);

    await tabTo(page, security.getByLabel("Email me about unusual logins"));
    await page.keyboard.press("Space");
    await press(page, named("Save"));
    await security.locator(".alert", { hasText: "Saved." }).waitFor();
    assert.deepEqual(await told(page, "alerts-changed"), [{ alerts: false }]);
    await checkPage(shown);
  });
}

// Logs somebody in to an app before another device of theirs turns two-step login on. Returns what both know.
async function withoutSecondFactor(context, query = "") {
  const chromium = await browser(context);
  const email = await person();
  const shown = await opened(context, chromium, `${await app(context, "html")}${query}`);
  await logIn(shown.page, email);
  const { client } = await loggedIn(context, { email });
  const { secret } = await client.mfa.begin();
  await client.mfa.confirm({ code: codeOf(secret) });
  await shown.page.reload();
  const security = shown.page.locator("keyturn-security");
  await security.getByRole("button", { name: "Make new recovery codes" }).waitFor();
  return { ...shown, security, secret, client };
}

test("who has to authenticate again does it in the element, which keeps what was typed", async (context) => {
  const { page, wrong, security, secret } = await withoutSecondFactor(context);
  const alerts = security.getByLabel("Email me about unusual logins");
  const confirm = security.locator("[part~=step-up]");
  const password = confirm.getByLabel("Password");
  const code = confirm.getByLabel("Code");
  await type(page, security.getByLabel("New password"), "typed before");
  await tabTo(page, alerts);
  await page.keyboard.press("Space");
  await press(page, security.getByRole("button", { name: "Save" }));
  await confirm.waitFor();
  assert.ok(await isFocused(password));
  await page.keyboard.press("Escape");
  await confirm.waitFor({ state: "detached" });
  assert.ok(await isFocused(security.getByRole("button", { name: "Save" })));
  assert.equal(await alerts.isChecked(), false);
  await page.keyboard.press("Enter");
  await confirm.waitFor();
  await page.keyboard.type("not the password");
  await type(page, code, codeOf(secret, -1));
  await page.keyboard.press("Enter");
  await confirm.getByText("This password is wrong.").waitFor();
  assert.ok(await isFocused(password));
  await type(page, password, PASSWORD);
  await type(page, code, "000000");
  await page.keyboard.press("Enter");
  await confirm.getByText("This code is wrong").waitFor();
  assert.ok(await isFocused(code));
  await type(page, code, codeOf(secret, -1));
  await page.keyboard.press("Enter");
  await security.locator(".alert", { hasText: "Saved." }).waitFor();
  assert.ok(await isFocused(security.getByRole("button", { name: "Save" })));
  assert.equal(await security.getByLabel("New password").inputValue(), "typed before");
  assert.deepEqual(await told(page, "alerts-changed"), [{ alerts: false }]);
  assert.equal((await page.evaluate(() => client.me())).alerts, false);
  await checkPage({ page, wrong });
});

test("an old login is made a recent one by the password alone", async (context) => {
  const chromium = await browser(context);
  const email = await person();
  const shown = await opened(context, chromium, await app(context, "html"));
  const { page } = shown;
  await logIn(page, email);
  const security = page.locator("keyturn-security");
  await security.getByRole("button", { name: "Turn on" }).waitFor();
  await advance(660);
  await press(page, security.getByRole("button", { name: "Turn on" }));
  const confirm = security.locator("[part~=step-up]");
  await confirm.waitFor();
  assert.equal(await confirm.getByLabel("Code").isVisible(), false);
  await page.keyboard.type(PASSWORD);
  await page.keyboard.press("Enter");
  await security.getByRole("img", { name: /QR code/ }).waitFor();
  await checkPage(shown);
});

test("an app with cookies has them too", async (context) => {
  const chromium = await browser(context);
  const email = await person();
  const { port } = new URL(ALLOWED_ORIGIN);
  const shown = await opened(context, chromium, `${await app(context, "html", port)}&cookie`);
  const { page } = shown;
  await logIn(page, email);
  await press(page, page.getByRole("button", { name: /^End Node/i }));
  await press(page, page.getByRole("group", { name: /End this session/ }).getByRole("button", { name: "End", exact: true }));
  await page.getByText("You are logged in nowhere else.").waitFor();
  await type(page, page.getByLabel("Current password"), "not the password");
  await type(page, page.getByLabel("New password"), "twelve herons on the pier");
  await page.keyboard.press("Enter");
  await page.getByText("This password is wrong.").waitFor();
  await type(page, page.getByLabel("Current password"), PASSWORD);
  await page.keyboard.press("Enter");
  await page.locator(".alert", { hasText: "Your password is changed." }).waitFor();
  await checkPage(shown);
});

test("an app that asks by itself is asked first, and may say no", async (context) => {
  const { page, wrong, security, secret } = await withoutSecondFactor(context, "&step-up");
  await page.evaluate(() => {
    globalThis.asked = [];
    globalThis.stepUp = async (required) => {
      globalThis.asked.push(required);
      throw "not now";
    };
  });
  const renew = security.getByRole("button", { name: "Make new recovery codes" });
  await press(page, renew);
  await page.waitForFunction(() => globalThis.asked.length === 1);
  await security.locator("[aria-busy]").waitFor({ state: "detached" });
  assert.equal(await security.locator("[role=alert], [part~=step-up]").count(), 0);
  assert.ok(await isFocused(renew));
  await page.evaluate(([password, code]) => {
    globalThis.stepUp = () => globalThis.client.reauthenticate({ password, code });
  }, [PASSWORD, codeOf(secret, -1)]);
  await page.keyboard.press("Enter");
  await security.getByText("Your recovery codes").waitFor();
  await checkPage({ page, wrong });
});

test("texts of strangers stay texts", async (context) => {
  const chromium = await browser(context);
  const email = await person();
  const headers = { "content-type": "application/json", "user-agent": `${HOSTILE} Firefox/${HOSTILE}` };
  const body = JSON.stringify({ email, password: PASSWORD, device_name: `</h3>${HOSTILE}{{1+1}}` });
  assert.equal((await fetch(`${KEYTURN}/api/v1/auth/login`, { method: "POST", headers, body })).status, 200);
  const shown = await opened(context, chromium, await app(context, "html"));
  // Whatever the server would answer.
  await shown.page.route("**/api/v1/sessions", async (route) => {
    const answer = await route.fetch();
    const { sessions, ...rest } = await answer.json();
    for (const session of sessions) {
      Object.assign(session.device, { label: HOSTILE, type: HOSTILE });
      Object.assign(session, { ip_address: HOSTILE, location: { city: HOSTILE, country: "<b>", country_name: HOSTILE } });
    }
    await route.fulfill({ response: answer, json: { sessions, ...rest } });
  });
  await shown.page.route("**/api/v1/auth/mfa/totp", async (route) => {
    const answer = await route.fetch();
    const enrolment = await answer.json();
    const qr_svg = `<svg viewBox="0 0 9 9"><script>hacked = 1</script>${HOSTILE}<path d="M0 0h9v9z" onload="hacked = 1"/></svg>`;
    await route.fulfill({ response: answer, json: { ...enrolment, secret: HOSTILE, qr_svg } });
  });
  await logIn(shown.page, email);
  await card(shown.page, "{{1+1}}").getByText(HOSTILE).first().waitFor();
  await shown.page.getByRole("button", { name: "Turn on" }).click();
  await shown.page.locator("keyturn-security [part~=qr]").waitFor();
  const made = await shown.page.evaluate(() =>
    [...document.querySelectorAll("keyturn-sessions, keyturn-security")].flatMap(({ shadowRoot }) =>
      [...shadowRoot.querySelectorAll("img, script, b, [onload], [onerror]")].map(({ outerHTML }) => outerHTML)));
  assert.deepEqual(made, []);
  await checkPage(shown);
});

test("elements are defined once, whoever defines them, and know what they were given before", async (context) => {
  const chromium = await browser(context);
  const shown = await opened(context, chromium, `${await app(context, "html")}&early&texts=german`);
  const { page } = shown;
  await logIn(page, await person());
  await page.getByRole("heading", { name: "Wo Sie angemeldet sind" }).waitFor();
  await page.evaluate(async () => {
    defineElements({ client });
    const copy = await import("/copy/elements.js");
    copy.defineElements({ client, texts: { sessionsTitle: "Devices" } });
    document.body.append(document.createElement("keyturn-sessions"));
  });
  await page.getByRole("heading", { name: "Devices" }).waitFor();
  assert.equal(await page.getByRole("heading", { name: "Wo Sie angemeldet sind" }).count(), 1);
  await checkPage(shown);
});

test("who says the same again disturbs nobody, and recovery codes outlast other texts", async (context) => {
  const chromium = await browser(context);
  const shown = await opened(context, chromium, await app(context, "html"));
  const { page } = shown;
  await logIn(page, await person());
  const security = page.locator("keyturn-security");
  const current = security.getByLabel("Current password");
  await current.fill("half of i");
  await page.evaluate(() => {
    defineElements();
    defineElements({ client });
    for (const element of document.querySelectorAll("#app > *")) {
      element.lang = document.documentElement.lang;
      element.texts = {};
      element.texts = null;
      element.client = client;
    }
  });
  assert.equal(await current.inputValue(), "half of i");

  await press(page, security.getByRole("button", { name: "Turn on" }));
  await press(page, security.locator("summary"));
  const secret = (await security.locator("details code").textContent()).replaceAll(" ", "");
  await security.getByLabel("Code", { exact: true }).fill(codeOf(secret));
  await page.keyboard.press("Enter");
  await security.getByText("Your recovery codes").waitFor();
  const codes = await security.locator("ul code").allTextContents();
  await page.evaluate(() => {
    document.querySelector("keyturn-security").lang = "de";
    defineElements({ texts: { sessionsTitle: "Devices", securityTitle: "Safety" } });
  });
  await page.getByRole("heading", { name: "Devices" }).waitFor();
  assert.deepEqual(await security.locator("ul code").allTextContents(), codes);
  await press(page, security.getByRole("button", { name: "I have kept them" }));
  await page.getByRole("heading", { name: "Safety" }).waitFor();
  await security.getByRole("button", { name: "Make new recovery codes" }).waitFor();

  // What changes while an element is elsewhere is seen when it is back.
  await page.evaluate(() => {
    const element = document.querySelector("keyturn-sessions");
    element.remove();
    defineElements({ texts: { sessionsTitle: "Places" } });
    document.querySelector("#app").append(element);
  });
  await page.getByRole("heading", { name: "Places" }).waitFor();
  await checkPage(shown);
});

test("cards are short on a phone, and say at their heads what they are", async (context) => {
  const chromium = await browser(context);
  const email = await person();
  const { client } = await loggedIn(context, { email });
  const [{ id }] = await client.sessions.list();
  await client.sessions.rename(id, "The old computer in the room under the roof");
  for (let more = 0; more < 2; more += 1) await loggedIn(context, { email });
  const pages = await chromium.newContext({ viewport: { width: 360, height: 740 } });
  const shown = await opened(context, pages, await app(context, "html"));
  const { page } = shown;
  await logIn(page, email);
  await page.locator("keyturn-sessions li.session").nth(3).waitFor();
  const others = await page.getByRole("button", { name: "End all 4 others" }).boundingBox();
  assert.ok(others.y + others.height < 740, "those who are in a hurry need not scroll");
  const cards = await page.locator("keyturn-sessions li.session").evaluateAll((all) => all.map((card) => {
    const [icon, heading] = [...card.querySelectorAll(".icon, h3")].map((element) => element.getBoundingClientRect());
    return { height: card.offsetHeight, isBeside: icon.right <= heading.left && Math.abs(icon.top - heading.top) < 4 };
  }));
  assert.ok(cards.every(({ height, isBeside }) => height < 360 && isBeside), JSON.stringify(cards));

  const security = page.locator("keyturn-security");
  await security.getByRole("heading", { name: "Two-step login Off" }).waitFor();
  await security.getByRole("button", { name: "Turn on" }).click();
  const code = security.getByLabel("Code", { exact: true });
  await code.waitFor();
  assert.deepEqual(await code.evaluate((input) => [input.inputMode, input.autocomplete]), ["numeric", "one-time-code"]);
  await security.locator("summary").click();
  await code.fill(codeOf((await security.locator("details code").textContent()).replaceAll(" ", "")));
  await page.keyboard.press("Enter");
  await security.getByRole("heading", { name: "Two-step login On" }).waitFor();
  await checkPage(shown);
});

test("what an app has no words for is said in English", async (context) => {
  const chromium = await browser(context);
  const email = await person();
  const { client: first } = await loggedIn(context, { email });
  await first.logout();
  await loggedIn(context, { email });
  const shown = await opened(context, chromium, await app(context, "html"));
  const { page } = shown;
  await logIn(page, email);
  await page.evaluate(async () => {
    const reasons = { logout: "somebody left", ended_by_owner: undefined };
    defineElements({ texts: { sessionsTitle: undefined, onlyThis: null, reasons, weaknesses: null } });
    await client.sessions.endOthers();
  });
  await page.getByRole("heading", { name: "Where you are logged in" }).waitFor();
  await page.locator("keyturn-sessions summary").click();
  for (const reason of ["somebody left", "ended by you"]) {
    await page.locator("keyturn-sessions .ended").getByText(reason).first().waitFor();
  }
  await checkPage(shown);
});

test("who is not logged in is told what is true of strangers too, and by one element if the app likes", async (context) => {
  const chromium = await browser(context);
  const shown = await opened(context, chromium, await app(context, "html"));
  const { page } = shown;
  const told = page.getByRole("heading", { name: "You are not logged in" });
  const links = page.locator("a[slot=signed-out]:visible");
  await told.nth(1).waitFor();
  assert.equal(await links.count(), 2);
  await page.evaluate(() => {
    const sheet = new CSSStyleSheet();
    sheet.replaceSync("keyturn-security::part(signed-out) { display: none }");
    document.adoptedStyleSheets = [sheet];
  });
  assert.deepEqual([await told.count(), await links.count()], [1, 1]);
  await logIn(page, await person());
  await page.getByRole("heading", { name: "Security" }).waitFor();
  await page.evaluate(() => client.logout());
  await told.waitFor();
  assert.equal(await links.count(), 1);
  await checkPage(shown);
});

test("what an app's own texts throw is told to the page, and said in English", async (context) => {
  const chromium = await browser(context);
  const shown = await opened(context, chromium, await app(context, "html"));
  const { page, wrong } = shown;
  const email = await person();
  await logIn(page, email);
  await page.evaluate(() => {
    const broken = (name) => () => {
      throw new Error(`${name} is broken`);
    };
    defineElements({ texts: { sessionsOf: broken("sessionsOf"), othersEnded: broken("othersEnded") } });
  });
  await page.getByText(`logged in as \u2068${email}`).waitFor();
  await page.getByRole("button", { name: "End the other session" }).click();
  await page.getByRole("group", { name: /One device/ }).getByRole("button", { name: "End", exact: true }).click();
  await page.getByText("One session is ended.").waitFor({ state: "attached" });
  assert.deepEqual(wrong.splice(0), ["script: sessionsOf is broken", "script: othersEnded is broken"]);
  await checkPage(shown);
});

test("an element without a client says so, once", async (context) => {
  const chromium = await browser(context);
  const { page, wrong } = await opened(context, chromium, await app(context, "html"));
  const warned = (name) => `console: <${name}> has no keyturn client`;
  await page.evaluate(async () => {
    const task = () => new Promise((resolve) => setTimeout(resolve));
    const [sessions, security] = document.querySelectorAll("#app > *");
    defineElements({ client: undefined });
    defineElements({ client });
    await task();
    defineElements({ client: undefined });
    security.client = client;
    await task();
    sessions.client = {};
    await task();
    security.client = {};
    await task();
    security.remove();
    document.querySelector("#app").append(security, document.createElement("keyturn-sessions"));
    document.querySelector("#app").lastChild.client = client;
    await task();
    for (const element of [sessions, security]) element.client = client;
  });
  await page.locator("keyturn-security .signed-out").waitFor();
  assert.deepEqual(wrong, [warned("keyturn-sessions"), warned("keyturn-security")]);
});

test("what cannot be loaded is told, and loaded again", async (context) => {
  const chromium = await browser(context);
  const { page } = await opened(context, chromium, await app(context, "html"));
  await page.route("**/api/v1/sessions", (route) => route.abort());
  await logIn(page, await person());
  await page.getByRole("alert").getByText("The server cannot be reached.").waitFor();
  await press(page, page.getByRole("button", { name: "Try again" }));
  await page.getByRole("alert").waitFor();
  assert.ok(await isFocused(page.getByRole("button", { name: "Try again" })));
  await page.unroute("**/api/v1/sessions");
  await page.keyboard.press("Enter");
  await page.locator("keyturn-sessions li").first().waitFor();
  assert.ok(await isFocused(page.getByRole("heading", { name: "Where you are logged in" })));
});

test("an element that was removed leaves nothing behind", async (context) => {
  const chromium = await browser(context);
  const shown = await opened(context, chromium, await app(context, "html"));
  const { page } = shown;
  await logIn(page, await person());
  await page.locator("keyturn-sessions li").first().waitFor();
  const left = await page.evaluate(async () => {
    document.querySelector("#app").replaceChildren();
    const open = new Set();
    for (const target of [document, window]) {
      target.addEventListener = (type, call, options) => {
        const entry = `${type} ${Math.random()}`;
        open.add(entry);
        options?.signal?.addEventListener("abort", () => open.delete(entry));
        EventTarget.prototype.addEventListener.call(target, type, call, options);
      };
    }
    const { setTimeout: set, clearTimeout: clear } = globalThis;
    globalThis.setTimeout = (call, ...rest) => {
      const timer = set(() => (open.delete(timer), call()), ...rest);
      open.add(timer);
      return timer;
    };
    globalThis.clearTimeout = (timer) => (open.delete(timer), clear(timer));
    const watched = {
      ...client,
      // The elements are live, and the client itself asks nothing.
      options: { ...client.options, live: true },
      on(...given) {
        const end = client.on(...given);
        open.add(end);
        return () => (open.delete(end), end());
      },
    };
    let most = 0;
    const refs = [];
    for (let round = 0; round < 20; round += 1) {
      for (const name of ["keyturn-sessions", "keyturn-security"]) {
        const element = document.createElement(name);
        element.client = watched;
        refs.push(new WeakRef(element));
        document.body.append(element);
        await new Promise((resolve) => set(resolve, round * 5));
        most = Math.max(most, open.size);
        element.remove();
      }
    }
    await new Promise((resolve) => set(resolve, 2000));
    return { most, left: [...open].map(String) };
  });
  assert.ok(left.most >= 5, JSON.stringify(left));
  assert.deepEqual(left.left, []);
  await checkPage(shown);
});

test("a server can import them, where there are no elements", () => {
  const cwd = fileURLToPath(new URL("..", import.meta.url));
  const text = `
    const before = Object.getOwnPropertyNames(globalThis).join();
    const { defineElements, german } = await import("@keyturn/client/elements");
    defineElements();
    if (before !== Object.getOwnPropertyNames(globalThis).join() || !german.end) throw new Error("it is not alone");
  `;
  execFileSync(process.execPath, ["--input-type=module", "-e", text], { cwd, timeout: 60_000 });
});
