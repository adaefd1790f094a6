// The scenarios: what a client is told to do, what the server does meanwhile, and what is expected.
//
// `runs` are the steps of each start of the client; those in an inner list are started at once. `!` marks a step that
// cannot succeed, `?` one that may or may not. Once `expireAfter` calls have succeeded (1), all access tokens are refused,
// so that the next call needs a refresh. `onRefresh` and `onCall` return true if they have answered. `mayChangeKeys` and
// `mayPresentReplaced` take back what is else expected of each refresh.
import { challenge, empty, page, problem, send } from "./replies.js";
import { FAULTS } from "./faults.js";
import { FINAL } from "./sessions.js";

const HOUR = 3_600_000;
const DAY = 24 * HOUR;
const YEAR = 365 * DAY;
const OUTAGE = 8000;

const when = (count, does) => (given) => given.entry.number <= count && does(given);
const until = (is) =>
  new Promise((resolve) => {
    const timer = setInterval(() => is() && done(), 10);
    const latest = setTimeout(() => done(), 5000);
    const done = () => {
      clearInterval(timer);
      clearTimeout(latest);
      resolve();
    };
  });

function faulty(name, { play, times = 2, retryAfter, isAboutStore = false }) {
  const onRefresh = when(times, async (given) => {
    if (retryAfter) given.response.on("close", () => (given.entry.retryAfter = retryAfter));
    await play(given);
    return true;
  });
  const more = { mostRefreshes: times + 1, mayChangeKeys: isAboutStore };
  return { name: `a refresh gets ${name}`, runs: [["login call call"]], onRefresh, ...more };
}

function final(reason, happens, more = {}) {
  const name = `the session is over: ${reason}`;
  const runs = [["login call call!"], ["call!"]];
  return { name, runs, signedOut: reason, mostRefreshes: 1, afterCall: happens, ...more };
}

const FINALS = [
  final("session_revoked", ({ fake, session }) => fake.sessions.end(session)),
  final("session_expired", ({ fake }) => (fake.ahead += 8 * DAY)),
  final("invalid_refresh_token", ({ fake, session }) => fake.sessions.forget(session.tokens[0])),
  final("refresh_token_reused", ({ fake, session }) => fake.sessions.end(session), {
    onRefresh: ({ response }) => (send(response, problem(401, "refresh_token_reused")), true),
  }),
];
if (FINALS.length !== FINAL.length) throw new Error("a final answer has no scenario");

const KILLED = [
  {
    name: "the app is killed at its first call after the login",
    runs: [["login call"], ["call"]],
    kills: 1,
    onCall: ({ entry, kill }) => entry.number === 1 && kill(),
    between: ({ fake }) => (fake.ahead += DAY),
  },
  {
    name: "the app is killed at the first use of a new access token",
    runs: [["login call call"], ["call"]],
    kills: 1,
    onCall: ({ session, kill }) => session?.tokens.length === 2 && kill(),
    between: ({ fake }) => (fake.ahead += HOUR),
  },
  {
    name: "the app is killed before the server has got its refresh",
    runs: [["login call call"], ["call"]],
    kills: 1,
    onRefresh: when(1, ({ kill }) => kill()),
    between: ({ fake }) => (fake.ahead += DAY),
  },
  {
    name: "the app is killed while the answer to its refresh is on the way",
    runs: [["login call call"], ["call"]],
    kills: 1,
    onRefresh: when(1, ({ answer, kill }) => (answer(), kill())),
    between: ({ fake }) => (fake.ahead += DAY),
  },
];

// Both processes present the same token. The second request is held back until the first client has gone on.
async function late({ fake, entry, answer, response }) {
  const [first, second] = fake.refreshes;
  if (entry === first) await until(() => fake.refreshes.length > 1);
  if (entry !== second || second.token !== first.token) return false;
  await until(() => fake.calls.some(({ number, isServed }) => number > 1 && isServed));
  fake.ahead += 20_000;
  send(response, answer(fake.sessions.now()));
  return true;
}

const TOGETHER = [
  {
    name: "five calls at once need a refresh",
    runs: [["login call calls"]],
    mostRefreshes: 1,
  },
  {
    name: "two processes with one store refresh at once",
    runs: [["login call"], ["call", "call"], ["call"]],
    onRefresh: async ({ fake, entry }) => {
      if (entry.number === 1) await until(() => fake.refreshes.length > 1);
      return false;
    },
    mayChangeKeys: true,
  },
  {
    name: "another process has the answer, and goes on: read the store again",
    runs: [["login call"], ["call", "call"], ["call"]],
    onRefresh: late,
    mayChangeKeys: true,
    mayPresentReplaced: true,
  },
];

const clock = (name, ahead) => ({
  name: `the device's clock is ${name}`,
  runs: [["login call call call wait=3 call"]],
  ahead,
  accessTtl: 5,
  expireAfter: Infinity,
  mostRefreshes: 2,
});

const dated = (name) => faulty(name, FAULTS["429 with a date"]);

const TIMES = [
  clock("ten years behind", 10 * YEAR),
  clock("ten years ahead", -10 * YEAR),
  { ...dated("429 with a date, and the device's clock is ten years behind"), ahead: 10 * YEAR },
  { ...dated("429 with a date, and the device's clock is ten years ahead"), ahead: -10 * YEAR },
  {
    name: "keyturn is away for eight seconds",
    runs: [["login call call"]],
    onRefresh: ({ at, fake, response }) => at < fake.refreshes[0].at + OUTAGE && (send(response, page(503)), true),
    mostRefreshes: Infinity,
  },
];

const refusedOnce = (name, reply) => ({
  name: `a call gets ${name}`,
  runs: [["login call try? call"]],
  expireAfter: Infinity,
  onCall: ({ entry, response }) => entry.number === 2 && (send(response, reply), true),
  mostRefreshes: 1,
});

const stepUp = "insufficient_user_authentication";
const stepUpReply = problem(401, stepUp, challenge(stepUp, ", max_age=600"));

const CALLS = [
  refusedOnce("401 with a page", page(401)),
  refusedOnce("403 with a page", page(403)),
  refusedOnce("503 with a page", page(503)),
  { ...refusedOnce("a demand for a recent login", stepUpReply), mostRefreshes: 0 },
  {
    name: "a call gets 401 invalid_token for three seconds, however fresh the token is",
    runs: [["login call try? call"]],
    expireAfter: Infinity,
    onCall({ entry, fake, response }) {
      const second = fake.calls[1];
      if (entry.number === 1 || entry.at > second.at + 3000) return false;
      send(response, problem(401, "invalid_token", challenge("invalid_token")));
      return true;
    },
    mostRefreshes: Infinity,
  },
  {
    name: "a call is redirected to another server",
    runs: [["login call try?"]],
    expireAfter: Infinity,
    onCall: ({ entry, fake, response }) =>
      entry.number === 2 && (send(response, empty(302, { location: `${fake.elsewhereUrl}/` })), true),
    mostRefreshes: 0,
  },
  { name: "another server is called", runs: [["login call elsewhere?"]], expireAfter: Infinity, mostRefreshes: 0 },
];

const LOGOUTS = [
  {
    name: "a logout",
    runs: [["login call logout call!"], ["call!"]],
    expireAfter: Infinity,
    signedOut: "logout",
    endsSession: true,
    mostRefreshes: 0,
  },
  {
    name: "a logout after the access token has expired",
    runs: [["login call logout call!"], ["call!"]],
    signedOut: "logout",
    endsSession: true,
    mostRefreshes: 1,
  },
  {
    name: "a logout during a refresh",
    runs: [["login call call&! wait=0.5 logout call!"], ["call!"]],
    onRefresh: when(1, async ({ answer, response }) => {
      const made = answer();
      await new Promise((resolve) => setTimeout(resolve, 1500));
      send(response, made);
      return true;
    }),
    signedOut: "logout",
    endsSession: true,
    mostRefreshes: 2,
  },
  {
    name: "a logout while keyturn is away",
    runs: [["login call logout call!"], ["call!"]],
    expireAfter: Infinity,
    isAway: (fake) => fake.calls.length > 0 && performance.now() < (fake.awayUntil ??= performance.now() + 3000),
    signedOut: "logout",
    mostRefreshes: 0,
  },
];

export const SCENARIOS = [
  { name: "a refresh gets its answer", runs: [["login call call"], ["call"]], mostRefreshes: 2 },
  ...Object.entries(FAULTS).map(([name, fault]) => faulty(name, fault)),
  ...FINALS,
  ...KILLED,
  ...TOGETHER,
  ...TIMES,
  ...CALLS,
  ...LOGOUTS,
];
