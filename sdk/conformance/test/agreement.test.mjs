// The fake server judges refreshes as a server does: both get the same requests. `KEYTURN_URL` is a server without
// limits, and `KEYTURN_CLOCK` sets its clock ahead by as many seconds as its path says.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { EMAIL, Fake, PASSWORD, REFRESH } from "../src/fake.js";

const { KEYTURN_URL, KEYTURN_CLOCK } = process.env;
const skip = KEYTURN_URL ? false : "it needs a server";
const headers = { "content-type": "application/json" };
let fake;
let real;

class Server {
  constructor(url, advance) {
    Object.assign(this, { url, advance, tokens: {} });
  }

  post(path, body, more = {}) {
    return fetch(this.url + path, { method: "POST", headers: { ...headers, ...more }, body: JSON.stringify(body) });
  }

  // Gives tokens the same names on both servers, in the order in which they are first seen. An access token goes by its
  // `jti`: a repeated one may have another signature.
  name(kind, id, text) {
    const known = (this.tokens[kind] ??= new Map());
    known.set(id, text);
    return `${kind}${[...known.keys()].indexOf(id)}`;
  }

  text(name) {
    const [, kind, number] = /^(\D+)(\d+)$/.exec(name);
    return [...this.tokens[kind].values()][number];
  }

  async outcome(response) {
    const body = await response.json().catch(() => undefined);
    const { status } = response;
    if (status !== 200) return [status, body?.code, response.headers.get("retry-after") ?? undefined];
    const { access_token: access, refresh_token: refresh } = body;
    if (!access) return [status];
    const { jti } = JSON.parse(Buffer.from(access.split(".")[1], "base64url"));
    return [status, this.name("refresh", refresh, refresh), this.name("access", jti, access)];
  }

  async step([does, token, key]) {
    if (does === "advance") return void (await this.advance(token));
    if (does === "login") {
      return this.outcome(await this.post("/api/v1/auth/login", { email: EMAIL, password: PASSWORD }));
    }
    if (does === "refresh") {
      const more = key === undefined ? {} : { "idempotency-key": key };
      const presented = /^refresh\d+$/.test(token) ? this.text(token) : token;
      return this.outcome(await this.post(REFRESH, { refresh_token: presented }, more));
    }
    if (does === "revoke") {
      const body = new URLSearchParams({ token: this.text(token) });
      return [(await fetch(`${this.url}/oauth/revoke`, { method: "POST", body })).status];
    }
    const authorization = `Bearer ${this.text(token)}`;
    if (does === "logout") return this.outcome(await this.post("/api/v1/auth/logout", {}, { authorization }));
    const answer = await fetch(`${this.url}/api/v1/auth/me`, { headers: { authorization } });
    return [...(await this.outcome(answer)), answer.headers.get("www-authenticate")?.split(",")[0]];
  }

  async play(step) {
    return [step.join(" "), ...((await this.step(step)) ?? [])];
  }
}

before(async () => {
  if (skip) return;
  fake = new Fake({});
  await fake.listen();
  real = new Server(KEYTURN_URL, async (seconds) => {
    const response = await fetch(`${KEYTURN_CLOCK}/${seconds}`);
    assert.equal(response.status, 204);
  });
  const response = await real.post("/api/v1/auth/register", { email: EMAIL, password: PASSWORD });
  assert.ok([201, 409].includes(response.status), String(response.status));
});
after(() => fake?.close());

// Returns what plays a step to both servers, so that time passes for both, and the verdict that they agree on.
function both() {
  const judge = new Server(fake.url, (seconds) => void (fake.ahead += seconds * 1000));
  real.tokens = {};
  const judged = [];
  return async (step) => {
    judged.push(await judge.play(step));
    assert.deepEqual(judged.at(-1), await real.play(step), JSON.stringify(judged));
    return judged.at(-1);
  };
}

async function agree(steps) {
  const play = both();
  const outcomes = [];
  for (const step of steps) {
    const [, status, code] = await play(step);
    outcomes.push(status === 200 ? "ok" : code);
  }
  return outcomes;
}

const KEYS = ["the-first-key-of-all", "the-second-key-of-all", "the-third-key-of-all", "the-fourth-key-of-all"];

test("replays, recoveries, echoes and doubts are told apart", { skip }, async () => {
  const outcomes = await agree([
    ["login"],
    ["me", "access0"],
    ["refresh", "refresh0", KEYS[0]],
    ["refresh", "refresh0", KEYS[0]],
    ["refresh", "refresh0", `"${KEYS[0]}"`],
    ["refresh", "refresh1", KEYS[0]],
    ["refresh", "refresh0"],
    ["me", "access0"],
    ["me", "access1"],
    ["advance", 14],
    ["me", "access0"],
    ["refresh", "refresh0", KEYS[0]],
    ["refresh", "refresh1", "short"],
    ["refresh", "refresh1", KEYS[1]],
    ["advance", 60],
    ["refresh", "refresh1", KEYS[1]],
    ["refresh", "refresh1", KEYS[1]],
    ["advance", 14],
    ["refresh", "refresh1", KEYS[2]],
    ["refresh", "refresh2", KEYS[2]],
    ["me", "access4"],
    ["advance", 14],
    ["refresh", "refresh1", KEYS[1]],
    ["refresh", "refresh0", KEYS[0]],
    ["refresh", "refresh1", KEYS[3]],
    ["me", "access4"],
    ["refresh", "refresh3"],
    ["advance", 14],
    ["refresh", "refresh2"],
    ["advance", 2],
    ["refresh", "refresh0", KEYS[0]],
    ["me", "access5"],
    ["refresh", "refresh4"],
    ["refresh", "ktr_nonsense"],
  ]);
  const found = new Set(outcomes);
  const wanted = ["already_refreshed", "refresh_token_replaced", "refresh_token_reused", "invalid_idempotency_key"];
  for (const code of wanted) assert.ok(found.has(code), code);
});

test("whoever logs out or waits for too long is told so", { skip }, async () => {
  await agree([
    ["login"],
    ["refresh", "refresh0", KEYS[0]],
    ["logout", "access1"],
    ["logout", "access1"],
    ["me", "access1"],
    ["refresh", "refresh1", KEYS[1]],
    ["refresh", "refresh0", KEYS[0]],
    ["login"],
    ["revoke", "refresh2"],
    ["refresh", "refresh2", KEYS[0]],
    ["login"],
    ["advance", 950],
    ["me", "access3"],
    ["refresh", "refresh3", KEYS[0]],
    ["advance", 700_000],
    ["refresh", "refresh4", KEYS[1]],
    ["refresh", "refresh3", KEYS[0]],
    ["login"],
    ["refresh", "refresh5", KEYS[0]],
    ["refresh", "refresh6", KEYS[1]],
    ["revoke", "refresh5"],
    ["refresh", "refresh5"],
    ["refresh", "refresh7"],
  ]);
});

// mulberry32: the same numbers for the same seed.
function random(seed) {
  return (limit) => {
    seed = (seed + 0x6d2b79f5) | 0;
    let mixed = Math.imul(seed ^ (seed >>> 15), 1 | seed);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) % limit;
  };
}

const PAUSES = [2, 2, 4, 14, 14, 60, 400];

// Each step depends on what came before: a client that goes on, loses answers, and is copied.
async function wander(seed, length) {
  const below = random(seed);
  const pick = (list) => list[below(list.length)];
  const playBoth = both();
  const outcomes = [];
  let refresh = 0;
  let access = 0;
  let isOver = true;
  const play = async (step) => {
    const outcome = await playBoth(step);
    outcomes.push(outcome);
    if (/^refresh\d+$/.test(outcome[2])) {
      refresh = Math.max(refresh, Number(outcome[2].slice(7)));
      access = Math.max(access, Number(outcome[3].slice(6)));
    }
    return outcome;
  };
  for (let index = 0; index < length; index += 1) {
    if (isOver) await play(["login"]);
    const presented = Math.max(refresh - pick([0, 0, 0, 1, 1, 1, 2, 3]), 0);
    const own = `the-own-key-of-${presented}`;
    const former = `the-own-key-of-${presented - 1}`;
    const key = pick([own, own, former, `a-foreign-key-${index}-`, undefined]);
    const [, , code] = await play(["refresh", `refresh${presented}`, ...(key ? [key] : [])]);
    isOver = ["refresh_token_reused", "session_revoked"].includes(code) && presented === refresh;
    if (below(3) === 0) await play(["me", `access${Math.max(access - below(2), 0)}`]);
    // Never so that a limit is nearly met: requests take their time.
    await play(["advance", pick(PAUSES)]);
  }
  return outcomes;
}

test("so are random clients and thieves", { skip }, async () => {
  const outcomes = new Set();
  for (let seed = 1; seed <= 4; seed += 1) {
    for (const [, status, code] of await wander(seed, 60)) outcomes.add(status === 200 ? "ok" : code);
  }
  for (const code of ["already_refreshed", "refresh_token_replaced", "refresh_token_reused", "session_revoked", "ok"]) {
    assert.ok(outcomes.has(code), code);
  }
});
