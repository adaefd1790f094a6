// Walks through the pages of people in Chromium, from the registration to a forgotten password: with and without
// script, with a mouse and by keyboard alone. Reports what went wrong on the way, and takes pictures where asked to.
import assert from "node:assert/strict";
import { createHmac } from "node:crypto";
import { readFileSync, readdirSync } from "node:fs";
import { createServer } from "node:http";
import { createRequire } from "node:module";
import { join } from "node:path";
import { setTimeout as wait } from "node:timers/promises";
import { launch } from "./chromium.mjs";

const given = JSON.parse(process.argv[2]);
const axe = readFileSync(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");
const tags = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"];
const agents = {
  windows: "Mozilla/5.0 (Windows NT 10.0; Win64; x64; rv:141.0) Gecko/20100101 Firefox/141.0",
  iphone:
    "Mozilla/5.0 (iPhone; CPU iPhone OS 18_5 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) " +
    "Version/18.5 Mobile/15E148 Safari/604.1",
  mac: "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140.0.0.0 Safari/537.36",
};
const password = "seven ravens over the harbour";
const other = "copper lantern beneath willows";

const browser = await launch(given.chromium, "MAP * ~NOTFOUND, EXCLUDE 127.0.0.1, EXCLUDE 127.0.0.2");

const report = { wrong: [], pages: 0, live: 0, ended: 0 };

// Returns the code that an authenticator app shows (RFC 6238).
function code(secret) {
  const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";
  const bits = [...secret].map((letter) => alphabet.indexOf(letter).toString(2).padStart(5, "0")).join("");
  const key = Buffer.from(bits.match(/.{8}/g).map((byte) => parseInt(byte, 2)));
  const counter = Buffer.alloc(8);
  counter.writeBigUInt64BE(BigInt(Math.floor(Date.now() / 30_000)));
  const digest = createHmac("sha1", key).update(counter).digest();
  const number = digest.readUInt32BE(digest[19] & 15) & 0x7fffffff;
  return String(number % 1_000_000).padStart(6, "0");
}

// Waits for an email and returns the link in it.
async function link(to, path) {
  for (;;) {
    for (const file of readdirSync(given.outbox).filter((name) => name.endsWith(".json"))) {
      const email = JSON.parse(readFileSync(join(given.outbox, file), "utf8"));
      const found = email.to.includes(to) && email.text?.match(new RegExp(`https?://\\S+${path}\\S+`));
      if (found) return found[0];
    }
    await wait(100);
  }
}

/** A browser of a person, whose pages are looked at on the way. */
class Visitor {
  constructor(way, agent) {
    Object.assign(this, way);
    this.agent = agent;
  }

  async open() {
    const { script, settings, language } = this;
    const context = await browser.newContext({
      ...settings,
      locale: language,
      javaScriptEnabled: script,
      userAgent: agents[this.agent],
    });
    context.setDefaultTimeout(60_000);
    this.page = await context.newPage();
    this.page.on("console", (message) => {
      // The status of a page that refuses is no error of the page.
      if (!/Failed to load resource: the server responded with a status of 4/.test(message.text())) {
        this.complain(`console: ${message.text()}`);
      }
    });
    this.page.on("pageerror", (error) => this.complain(`script: ${error.message}`));
    return this;
  }

  complain(text) {
    report.wrong.push(`${this.name}: ${new URL(this.page.url()).pathname}: ${text}`);
  }

  async go(path) {
    await this.page.goto(`${given.url}${path}`);
    await this.look();
  }

  // Looks at a page as somebody who cannot see it does.
  async look() {
    report.pages += 1;
    if (!this.script) return;
    const isFocused = () => {
      const active = document.activeElement;
      return active?.tagName === "H1" || ["alert", "status"].includes(active?.getAttribute("role") ?? "");
    };
    // The browser sets the focus when it has shown the page.
    const focused = await this.page.waitForFunction(isFocused).catch(() => null);
    if (!focused) this.complain("neither the heading nor an alert has the focus");
    // Trusted types would refuse the tool's own script.
    const { violations } = await this.page.evaluate(`${axe}; axe.run({ runOnly: ${JSON.stringify(tags)} })`);
    for (const { id, nodes } of violations) this.complain(`${id}: ${nodes.map(({ html }) => html).join(" ")}`);
  }

  // Moves the focus to an element by the keys that people use.
  async reach(selector) {
    await this.page.locator(selector).first().waitFor();
    for (let presses = 0; presses < 120; presses += 1) {
      const isThere = await this.page.locator(selector).first().evaluate((element) => element === document.activeElement);
      if (isThere) return;
      await this.page.keyboard.press("Tab");
    }
    throw new Error(`${selector} is not reached by keyboard on ${this.page.url()}`);
  }

  async fill(name, value) {
    const selector = `[name="${name}"]:visible`;
    if (!this.keyboard) return this.page.locator(selector).first().fill(value);
    await this.reach(selector);
    await this.page.keyboard.press("ControlOrMeta+a");
    await this.page.keyboard.type(value);
  }

  async use(selector, key = "Enter") {
    if (!this.keyboard) return this.page.locator(selector).first().click();
    await this.reach(selector);
    await this.page.keyboard.press(key);
  }

  // Sends a form, or follows a link.
  async leave(selector) {
    await Promise.all([this.page.waitForNavigation({ waitUntil: "load" }), this.use(selector)]);
    await this.look();
  }

  // Takes pictures of a page, if that is asked for: on a wide screen, and on a phone in the dark.
  async picture(name) {
    if (!given.pictures) return;
    const { page } = this;
    await page.evaluate(() => document.fonts.ready);
    await page.screenshot({ path: join(given.pictures, `${name}.png`), fullPage: true });
    await page.emulateMedia({ colorScheme: "dark" });
    await page.setViewportSize(narrow.viewport);
    await page.screenshot({ path: join(given.pictures, `${name}-phone.png`), fullPage: true });
    await page.emulateMedia({ colorScheme: null });
    await page.setViewportSize(wide.viewport);
  }

  // Enters a recovery code in place of a code of the app.
  async recover(code) {
    await this.use("main summary");
    await this.fill("recovery_code", code);
  }

  async text() {
    return this.page.locator("main").innerText();
  }

  path() {
    return new URL(this.page.url()).pathname;
  }

  async logIn(email, word) {
    await this.go("/login");
    await this.fill("email", email);
    await this.fill("password", word);
    await this.leave("main form button");
  }
}

async function walk(way) {
  const email = `${way.name.replace(/\W/g, "-")}@example.com`;
  const ada = await new Visitor(way, "windows").open();
  // Register: what is refused is told at its field, and what was typed is kept.
  await ada.go("/");
  await ada.picture("welcome");
  await ada.go("/register");
  await ada.fill("email", email);
  await ada.fill("name", "Ada");
  await ada.fill("new_password", "password");
  await ada.leave("main form button");
  await ada.picture("register-refused");
  assert.equal(await ada.page.inputValue('[name="email"]'), email);
  await ada.fill("new_password", password);
  await ada.leave("main form button");
  assert.equal(ada.path(), "/account/sessions");
  // Verify.
  await ada.page.goto(await link(email, "/account/verify-email"));
  await ada.leave("main form button");
  await ada.go("/account");
  await ada.picture("profile");
  assert.match(await ada.text(), way.language === "en" ? /Verified/ : /Bestätigt/);

  // Two-step login.
  await ada.leave('nav a[href$="/account/security"]');
  await ada.leave("#two-step-card button");
  await ada.use("main summary");
  await ada.picture("two-step-login");
  const secret = (await ada.page.locator("main li details code").textContent()).replaceAll(" ", "");
  await ada.fill("code", "000000");
  await ada.leave("main form button");
  await ada.fill("code", code(secret));
  await ada.leave("main form button");
  const recovery = await ada.page.locator(".codes code").allTextContents();
  assert.equal(recovery.length, 10);
  // What only a script can do is offered where there is one.
  assert.equal(await ada.page.locator("[data-copy]").isVisible(), way.script);
  await ada.picture("recovery-codes");
  await ada.leave("main a.primary");
  await ada.picture("security");

  // Two other devices; one of them needs no code from now on.
  const phone = await new Visitor(way, "iphone").open();
  const laptop = await new Visitor(way, "mac").open();
  for (const [visitor, shown] of [[phone, recovery[0]], [laptop, recovery[1]]]) {
    await visitor.logIn(email, password);
    await visitor.picture("login-code");
    await visitor.recover(shown);
    await visitor.use('[name="remember_device"]', " ");
    await visitor.leave("main form button");
    assert.equal(visitor.path(), "/account/sessions");
  }
  await ada.go("/account/sessions");
  assert.equal(await ada.page.locator("main section.card").count(), 3);
  // Name one.
  const card = 'main section:has(h2:has-text("Safari"))';
  await ada.use(`${card} summary`);
  await ada.fill("name", "My phone");
  await ada.leave(`${card} form button:visible`);
  assert.match(await ada.text(), /My phone/);
  await ada.picture("sessions");
  // End one, then all others.
  const named = 'main section:has(h2:has-text("My phone"))';
  await ada.leave(`${named} a[href*="/sessions/end"]`);
  await ada.picture("end-session");
  await ada.leave("main form a");
  await ada.leave(`${named} a[href*="/sessions/end"]`);
  await ada.leave("main form button");
  assert.equal(await ada.page.locator("main section.card").count(), 2);
  await phone.page.goto(`${given.url}/account`);
  assert.equal(phone.path(), "/login");
  assert.match(await phone.text(), /My phone/);

  // The phone is trusted: the password alone logs it in, but confirms nothing. The form is kept.
  await phone.logIn(email, password);
  await phone.go("/account");
  await phone.use("main summary");
  await phone.fill("new_email", `new-${email}`);
  await phone.leave('form[action$="/account/email"] button');
  await phone.fill("confirm_password", password);
  await phone.fill("confirm_code", "000000");
  await phone.leave("main form button");
  await phone.picture("confirm");
  await phone.fill("confirm_password", password);
  await phone.fill("confirm_code", recovery[2]);
  await phone.leave("main form button");
  assert.match(await phone.text(), new RegExp(`new-${email}`));

  if (way.script) {
    await beFooled(ada, email);
    await live(way, ada, email, recovery[3]);
  }
  await ada.go("/account/sessions");
  await ada.leave('main a[href$="/sessions/end"]');
  await ada.leave("main form button");
  assert.equal(await ada.page.locator("main section.card").count(), 1);

  // The password is changed, then forgotten.
  await ada.go("/account/security");
  await ada.fill("current_password", password);
  await ada.fill("new_password", other);
  await ada.leave("#password-card form button");
  await ada.go("/account/activity");
  await ada.picture("activity");
  await ada.leave(".top button");
  assert.equal(ada.path(), "/login");
  await ada.picture("login");
  await ada.leave('main a[href$="/forgot"]');
  await ada.picture("forgot");
  await ada.fill("email", email);
  await ada.leave("main form button");
  await ada.page.goto(await link(email, "/account/reset-password"));
  await ada.fill("new_password", password);
  await ada.leave("main form button");
  await ada.logIn(email, password);
  await ada.recover(recovery[4]);
  await ada.leave("main form button");
  assert.equal(ada.path(), "/account/sessions");
}

// A page of somebody else's sends forms by itself, and nothing happens.
async function beFooled(ada, email) {
  const forms = {
    "/account/sessions/end": { all: "yes" },
    "/account/name": { name: "Mallory" },
    "/account/delete": { confirm_password: password },
    "/logout": {},
    "/login": { email, password },
  };
  const page = (path) => {
    const fields = Object.entries(forms[path]).map(([name, value]) => `<input name="${name}" value="${value}">`);
    const form = `<form method="post" action="${given.url}${path}">${fields.join("")}</form>`;
    return `<!doctype html><title>Win</title>${form}<script>document.forms[0].submit()</script>`;
  };
  const server = createServer((request, response) => {
    response.setHeader("content-type", "text/html").end(forms[request.url] ? page(request.url) : "");
  });
  await new Promise((listening) => server.listen(0, "127.0.0.2", listening));
  await ada.go("/account/sessions");
  const devices = async () => (await ada.page.locator("main h2").allTextContents()).join("; ");
  const before = await devices();
  for (const path of Object.keys(forms)) {
    const answered = ada.page.waitForResponse((response) => response.url() === given.url + path);
    await ada.page.goto(`http://127.0.0.2:${server.address().port}${path}`).catch(() => {});
    assert.equal((await answered).status(), 403, path);
    await ada.page.waitForURL(given.url + path);
  }
  server.close();
  await ada.go("/account/sessions");
  assert.equal(await devices(), before);
}

// The list of sessions follows what happens elsewhere, and a page says that its session has ended.
async function live(way, ada, email, shown) {
  await ada.go("/account/sessions");
  const before = await ada.page.locator("main section.card").count();
  const tv = await new Visitor(way, "windows").open();
  await tv.logIn(email, password);
  await tv.recover(shown);
  const began = Date.now();
  await tv.leave("main form button");
  await ada.page.waitForFunction((count) => document.querySelectorAll("main section.card").length > count, before);
  report.live = Math.max(report.live, Date.now() - began);
  assert.equal(await ada.page.evaluate(() => document.activeElement?.tagName), "H1", "the focus stays");
  await tv.go("/account/security");
  const [card] = (await ada.page.locator('main a[href*="session="][href*="/end"]').evaluateAll((links) =>
    links.map((found) => found.getAttribute("href")),
  )).slice(0, 1);
  await ada.go(card);
  const ended = Date.now();
  await ada.leave("main form button");
  await tv.page.locator('main a[href*="/login"]').waitFor();
  report.ended = Math.max(report.ended, Date.now() - ended);
  await tv.look();
  await tv.picture("logged-out");
  await tv.leave("main a");
  assert.match(tv.page.url(), /return_to=%2Faccount%2Fsecurity/);
}

const wide = { viewport: { width: 1280, height: 800 } };
const narrow = { viewport: { width: 360, height: 740 }, colorScheme: "dark" };
const ways = [
  { name: "mouse", script: true, keyboard: false, language: "en", settings: wide },
  { name: "keyboard", script: true, keyboard: true, language: "en", settings: narrow },
  { name: "no script", script: false, keyboard: false, language: "de", settings: narrow },
];
// What administrators see of all this.
async function administrate(way) {
  const admin = await new Visitor(way, "mac").open();
  await admin.logIn(given.administrator, password);
  for (const [name, path] of [
    ["console", "/admin"],
    ["console-people", "/admin/users"],
    ["console-sessions", "/admin/sessions"],
    ["console-audit", "/admin/audit"],
    ["console-keys", "/admin/keys"],
  ]) {
    await admin.go(path);
    await admin.picture(name);
  }
  await admin.go("/admin/users?q=mouse");
  await admin.leave("main table a");
  await admin.picture("console-person");
  await admin.leave('main a[href$="/act"]');
  await admin.fill("reason", "Ticket 4711");
  await admin.leave("main form button");
  await admin.picture("acting");
  await admin.leave(".acting button");
  assert.match(admin.path(), /^\/admin\/users\//);
}

try {
  const way = ways.find(({ name }) => name === given.way);
  await walk(way);
  if (given.administrator) await administrate(way);
} catch (error) {
  report.wrong.push(error.stack);
}
await browser.close();
process.stdout.write(JSON.stringify(report));
