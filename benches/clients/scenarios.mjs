// What happens to people, and how it is found out what becomes of them.
import { FAULTS } from "../../sdk/conformance/src/faults.js";
import { empty, page, send } from "../../sdk/conformance/src/replies.js";
import { HOUR, sleep } from "./world.mjs";

const DAY = 24 * HOUR;
const YEAR = 365 * DAY;
// For how long each refresh meets the fault.
const DURATION = 4000;
// Hours after which no access token is good any more.
const NAP = 2;

// Whoever could call again is asked two more times, with a token that has expired, and the second time in a page that
// has just been loaded: a library that has kept the wrong token is found out.
async function lasts(world, tab) {
  const seconds = await tab.recovers();
  if (seconds === undefined) return undefined;
  await world.pass(NAP);
  if ((await tab.recovers()) === undefined) return undefined;
  await world.pass(NAP);
  await tab.page.reload();
  return (await tab.recovers()) === undefined ? undefined : seconds;
}

async function isOver(world, tab) {
  return (await tab.isOut()) ? "logged out" : "calls fail";
}

// Says what became of somebody whose first call had this outcome.
async function judged(world, tab, first) {
  await sleep((world.front.fault?.endsAt ?? 0) - Date.now());
  if (first.isPending) {
    const isCured = (await lasts(world, await world.restart())) !== undefined;
    return isCured ? "hangs" : isOver(world, world.tabs[0]);
  }
  const seconds = await lasts(world, tab);
  if (seconds === undefined) return isOver(world, world.tabs.at(-1));
  if (!world.front.refreshes) throw new Error("nothing was refreshed");
  if (first.ok) return "goes on";
  return seconds < 10 ? "error" : "error, later too";
}

async function played(world, fault) {
  const tab = await world.login();
  // First of all: some refresh by themselves as soon as they see that the time has come.
  world.front.fault = fault;
  await fault.begin?.(world, fault);
  await world.pass(NAP);
  const first = await tab.call();
  if (!fault.endsAt) throw new Error("the fault was not played");
  return judged(world, tab, first);
}

const meets = (name, play, more = {}) => ({
  name,
  run: (world) => played(world, { play: (given) => play(given, world), duration: DURATION, ...more }),
});
const kit = (name, title = name) => {
  if (!FAULTS[name]) throw new Error(name);
  return meets(title, FAULTS[name].play);
};
const fails = (status) => ({ response, backend }) => send(response, backend.failure(status));

// What the browser itself cannot do, for some time.
async function offline(world, fault, duration) {
  fault.endsAt = Date.now() + duration;
  await world.context.setOffline(true);
  setTimeout(() => world.context.setOffline(false).catch(() => {}), duration);
}

const NETWORK = [
  kit("a reset before the server has refreshed"),
  kit("a reset after the server has refreshed"),
  kit("a connection that ends without an answer"),
  kit("a body that is cut"),
  kit("a body that somebody has shortened"),
  kit("bytes that are no HTTP"),
  kit("a stall before the answer", "no answer, on a connection that stays"),
  kit("a stall within the body", "half an answer, on a connection that stays"),
  {
    name: "a name that cannot be resolved",
    run: (world) => {
      const begin = async (_, fault) => {
        await world.context.route(`**${world.backend.refreshPath}*`, (route) => {
          fault.endsAt ??= Date.now() + DURATION;
          return Date.now() < fault.endsAt ? route.abort("namenotresolved") : route.continue();
        });
      };
      return played(world, { begin });
    },
  },
  {
    name: "no network",
    run: (world) => played(world, { begin: (_, fault) => offline(world, fault, DURATION) }),
  },
  {
    name: "an answer that is lost, then no network for a minute",
    run: (world) => {
      const play = async ({ request, answer }) => {
        answer();
        await offline(world, world.front.fault, 60_000);
        request.socket.resetAndDestroy();
      };
      return played(world, { play, duration: 60_000 });
    },
  },
  meets("503 of the server, for a minute", fails(503), { duration: 60_000 }),
];

const BETWEEN = [
  kit("200 with a page"),
  kit("200 without a body"),
  kit("200 with an empty object"),
  kit("200 with garbage that calls itself gzip"),
  kit("204 without a body"),
  kit("302 to a page for logging in"),
  kit("307 to another server", "307 to a page for logging in"),
  kit("400 of a proxy"),
  meets("401 with a page", ({ response }) => send(response, page(401))),
  kit("401 of another server"),
  kit("403 with a page"),
  kit("403 of another server"),
  kit("404 with a page"),
  kit("407 with a page"),
  kit("408 without a body"),
  kit("413 of a proxy"),
  kit("425 without a body"),
  kit("429 with a date"),
  meets("429 with seconds", ({ response }) => send(response, empty(429, { "retry-after": String(DURATION / 1000) }))),
  meets("500 of the server", fails(500)),
  kit("500 with a page"),
  kit("502 with a page"),
  meets("503 of the server", fails(503)),
  kit("503 with a date"),
  kit("504 with a page"),
  kit("511 of a captive portal"),
  kit("520 with a page"),
];

// The page is gone; it is opened again after so many hours.
async function reopened(world, hours = NAP) {
  await world.pass(hours);
  const tab = await world.restart();
  return judged(world, tab, await tab.call());
}

async function killed(world, { play, onCall }) {
  const tab = await world.login();
  let isKilled;
  const kill = new Promise((resolve) => {
    isKilled = async () => {
      world.front.fault = world.front.onCall = undefined;
      await tab.page.close();
      resolve();
      return true;
    };
  });
  if (play) world.front.fault = { play: (given) => play(given, isKilled), duration: DURATION };
  if (onCall) world.front.onCall = isKilled;
  await world.pass(NAP);
  void tab.call();
  await kill;
  return reopened(world);
}

// A browser that is killed has not written all that its pages have stored.
async function crashed(world) {
  const devtools = async () => (await world.context.browser().newBrowserCDPSession()).send("SystemInfo.getProcessInfo");
  const tab = await world.login();
  await sleep(15_000);
  await world.pass(NAP);
  const outcome = await tab.call();
  if (!outcome.ok) throw new Error(outcome.error);
  await sleep(1000);
  const { id } = (await devtools()).processInfo.find(({ type }) => type === "browser");
  const gone = new Promise((resolve) => world.context.once("close", resolve));
  process.kill(id, "SIGKILL");
  await gone;
  await world.reopen();
  return reopened(world);
}

const KILLED = [
  {
    name: "the tab is killed before the server has got its refresh",
    run: (world) => killed(world, { play: (_, kill) => kill() }),
  },
  {
    name: "the tab is killed while the answer to its refresh is on the way",
    run: (world) => killed(world, { play: ({ answer }, kill) => (answer(), kill()) }),
  },
  {
    name: "the tab is killed at the first use of a new access token",
    run: (world) => killed(world, { onCall: true }),
  },
  { name: "the browser is killed a second after a refresh", needsProfile: true, run: crashed },
];

// A refresh takes its time.
const SLOW = { play: async ({ response, answer }) => (await sleep(500), send(response, answer())), duration: Infinity };

async function sixTabs(world, locks) {
  world.front.locks = locks;
  await world.login();
  while (world.tabs.length < 6) await world.tab();
  for (const tab of world.tabs) await tab.page.evaluate(() => window.started);
  world.front.fault = SLOW;
  await world.pass(NAP);
  const all = await Promise.all(world.tabs.map((tab) => tab.call(5)));
  world.front.fault = undefined;
  const [worst] = [...all].sort((a, b) => rank(a) - rank(b));
  for (const tab of world.tabs) {
    if ((await tab.recovers()) === undefined) return isOver(world, tab);
  }
  return judged(world, world.tabs[0], worst);
}
const rank = ({ isPending, ok }) => (isPending ? 0 : ok ? 2 : 1);

// Has a tab refresh, until that has reached the server, which keeps its answer back. Returns what sends it.
async function heldUp(world, tab) {
  let release;
  const held = new Promise((resolve) => (release = resolve));
  let reached;
  const isThere = new Promise((resolve) => (reached = resolve));
  const play = async ({ response, answer }) => {
    const made = answer();
    world.front.fault = undefined;
    reached();
    await held;
    send(response, made);
  };
  world.front.fault = { play, duration: Infinity };
  // The other tabs sleep on.
  world.front.leap(NAP * HOUR);
  await tab.page.evaluate((now) => Object.assign(window.device, now), world.front.device);
  const call = tab.call();
  await isThere;
  await world.setDevice({});
  return { release, call };
}

async function suspended(world) {
  const first = await world.login();
  const second = await world.tab();
  await second.page.evaluate(() => window.started);
  await first.page.evaluate(() => setInterval(() => (localStorage.beat = Math.random()), 50));
  const { release, call } = await heldUp(world, first);
  const devtools = await world.context.newCDPSession(first.page);
  await devtools.send("Debugger.enable");
  await devtools.send("Debugger.pause");
  await sleep(500);
  release();
  const beat = () => second.page.evaluate(() => localStorage.beat);
  const before = await beat();
  await sleep(1000);
  if ((await beat()) !== before) throw new Error("the tab was not suspended");
  const outcome = await second.call();
  const isHeld = !outcome.ok && (await second.recovers()) === undefined;
  await devtools.send("Debugger.disable");
  await call;
  if ((await first.recovers()) === undefined) return isOver(world, first);
  if (isHeld) return outcome.isPending ? "hangs" : "calls fail";
  return judged(world, second, outcome);
}

const TABS = [
  { name: "six tabs with five calls each need a refresh at once", run: (world) => sixTabs(world, "present") },
  { name: "six tabs likewise, where locks are denied", run: (world) => sixTabs(world, "denied") },
  { name: "six tabs likewise, where there are no locks", run: (world) => sixTabs(world, "absent") },
  { name: "another tab is suspended during its refresh", run: suspended },
];

async function loggedOut(world, isOther) {
  const first = await world.login();
  const second = isOther ? await world.tab() : first;
  await second.page.evaluate(() => window.started);
  const { release, call } = await heldUp(world, first);
  // It may lead to another page.
  const logout = second.page.evaluate(() => window.subject.logout()).catch(() => {});
  await sleep(1000);
  release();
  await Promise.race([Promise.all([call, logout]), sleep(15_000)]);
  await sleep(1000);
  const tab = await world.restart();
  if ((await tab.call()).ok) return "comes back";
  return (await tab.page.evaluate(() => window.subject.isIn())) ? "comes back" : "stays out";
}

const LOGOUTS = [
  { name: "a logout during a refresh", run: (world) => loggedOut(world, false) },
  { name: "a logout during a refresh of another tab", run: (world) => loggedOut(world, true) },
];

const CALLS = 5;

async function wrong(world, { from = 0, to = from }) {
  await world.setDevice({ skew: from });
  const tab = await world.login().catch((error) => {
    if (from === 0) throw error;
    world.note(error.message);
  });
  if (!tab) return "cannot log in";
  await world.setDevice({ skew: to });
  await world.pass(NAP);
  const first = await tab.call();
  if (first.ok) {
    const before = world.front.refreshes;
    for (let count = 0; count < CALLS; count += 1) await tab.call();
    const more = world.front.refreshes - before;
    world.note(`${more} refreshes for ${CALLS} calls`);
    if (more >= CALLS) return "refreshes at each call";
  }
  return judged(world, tab, first);
}

const clock = (name, times) => ({ name: `the device's clock is ${name}`, run: (world) => wrong(world, times) });

const CLOCKS = [
  clock("a day behind", { from: -DAY }),
  clock("a day ahead", { from: DAY }),
  clock("ten years behind", { from: -10 * YEAR }),
  clock("ten years ahead", { from: 10 * YEAR }),
  clock("set back by a day after the login", { from: 0, to: -DAY }),
  clock("set ahead by a day after the login", { from: 0, to: DAY }),
];

async function ended(world, end) {
  const tab = await world.login();
  await end(world);
  await world.pass(NAP);
  return judged(world, tab, await tab.call());
}

const CONTROLS = [
  { name: "no fault", control: "goes on", run: (world) => ended(world, () => {}) },
  {
    name: "the server has ended the session",
    control: "logged out",
    run: (world) => ended(world, () => world.backend.endAll()),
  },
  {
    name: "the refresh token has expired",
    control: "logged out",
    run: (world) => ended(world, () => world.pass(24 * 40)),
  },
];

// The server has refreshed nothing meanwhile, so that its rule for a second use does not matter.
for (const scenario of BETWEEN) scenario.isUnseen = true;

export const SCENARIOS = [...NETWORK, ...BETWEEN, ...KILLED, ...TABS, ...LOGOUTS, ...CLOCKS, ...CONTROLS];
