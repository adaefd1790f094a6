// A person's browser, with an app in its tabs, and the server behind it.
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { chromium } from "playwright-core";
import { Front } from "./front.mjs";

export const HOUR = 3_600_000;
// How long after a fault's end an answer is waited for, before a call is said to hang.
const PATIENCE = 45_000;
// For how long an app calls again after a fault, and with which pauses.
const RETRIES = 90_000;
const PAUSE = 3000;

export const sleep = (milliseconds) => new Promise((resolve) => setTimeout(resolve, milliseconds));

// Returns what a promise comes to: its value, `{error}`, or `{isPending: true}` at the moment that `until` returns.
async function settled(promise, until) {
  const done = promise.catch((error) => ({ error: String(error?.message ?? error).split("\n")[0] }));
  for (;;) {
    const left = until() - Date.now();
    const outcome = await Promise.race([done, sleep(Math.min(Math.max(left, 0), 500))]);
    if (outcome !== undefined) return outcome;
    if (left <= 0) return { isPending: true };
  }
}

// In a page: so many calls at once. Returns `{ok: true}`, or `{error}` of the first that failed.
async function callsOf(count) {
  const one = async () => {
    try {
      await window.started;
      const { status } = await window.subject.call();
      return status === 200 ? undefined : `status ${status}`;
    } catch (error) {
      return `${error?.name}: ${error?.message ?? error}`;
    }
  };
  const error = (await Promise.all(Array.from({ length: count }, one))).find(Boolean);
  return error ? { error } : { ok: true };
}

class Tab {
  constructor(world, page) {
    Object.assign(this, { world, page });
  }

  /** Calls the API, and waits until long after the end of the fault. */
  async call(count = 1) {
    const began = Date.now();
    const { front } = this.world;
    const until = () => Math.max(front.fault?.endsAt ?? 0, began) + PATIENCE;
    const outcome = await settled(this.page.evaluate(callsOf, count), until);
    if (!outcome.ok) this.world.note(outcome.error ?? "no answer");
    return outcome;
  }

  /** Calls until that succeeds; returns after how many seconds it did, and nothing if it never will. */
  async recovers() {
    const began = Date.now();
    for (;;) {
      const outcome = await settled(this.page.evaluate(callsOf, 1), () => began + RETRIES);
      if (outcome.ok) return (Date.now() - began) / 1000;
      this.world.note(`again: ${outcome.error ?? "no answer"}`);
      if (Date.now() - began + PAUSE > RETRIES || (await this.isOut())) return undefined;
      await sleep(PAUSE);
    }
  }

  /** Returns whether the library says that nobody is logged in, or the server has no session left. */
  async isOut() {
    if (!this.world.backend.hasSession()) return true;
    const until = Date.now() + 15_000;
    const asked = this.page.evaluate(() => window.started.then(() => window.subject.isIn()).then((is) => ({ is })));
    return (await settled(asked, () => until)).is === false;
  }
}

export class World {
  tabs = [];
  notes = [];
  #profile;
  #began = Date.now();

  constructor(front, launched) {
    Object.assign(this, { front, backend: front.backend, launched });
  }

  /** Opens one in a browser, or in one of its own with a profile on the disk, which can be killed. */
  static async open(browser, { server, script }, launched) {
    const front = new Front(server(), script);
    await front.listen();
    const world = new World(front, launched);
    if (browser) world.context = await browser.newContext();
    else await world.reopen();
    return world;
  }

  /** Starts a browser of its own, with the profile of the former one. */
  async reopen() {
    this.#profile ??= mkdtempSync(join(tmpdir(), "keyturn-clients-"));
    this.context = await chromium.launchPersistentContext(this.#profile, this.launched);
  }

  async close() {
    await this.context?.close().catch(() => {});
    if (this.#profile) rmSync(this.#profile, { recursive: true, force: true, maxRetries: 5 });
    this.front.close();
  }

  note(text) {
    this.notes.push(`${((Date.now() - this.#began) / 1000).toFixed(1)} s: ${text}`);
  }

  async tab() {
    const page = await this.context.newPage();
    page.on("pageerror", (error) => this.note(`in the page: ${error.message}`));
    await page.goto(`${this.front.origin}/app`);
    const tab = new Tab(this, page);
    this.tabs.push(tab);
    return tab;
  }

  /** Logs in, and returns the tab. */
  async login() {
    const tab = await this.tab();
    const { page } = tab;
    await page.evaluate(() => window.started);
    // A library that sends the browser elsewhere is done when the browser is back.
    await page.evaluate(() => {
      void window.subject.login().then(() => (window.isLoggedIn = !window.subject.redirects));
    });
    await page.waitForFunction(() => window.isLoggedIn || window.isBack, undefined, { timeout: 30_000 });
    const outcome = await tab.call();
    if (!outcome.ok) throw new Error(`the first call: ${outcome.error}`);
    return tab;
  }

  /** Lets hours pass, as if the device slept. */
  async pass(hours) {
    this.front.leap(hours * HOUR);
    await this.setDevice({});
  }

  /** Sets the clocks of the device. */
  async setDevice(changes) {
    const now = Object.assign(this.front.device, changes);
    const open = this.tabs.filter(({ page }) => !page.isClosed());
    await Promise.all(open.map(({ page }) => page.evaluate((now) => Object.assign(window.device, now), now)));
  }

  /** Opens another tab in place of all that are there. */
  async restart() {
    await Promise.all(this.tabs.map(({ page }) => page.close().catch(() => {})));
    this.tabs = [];
    return this.tab();
  }
}
