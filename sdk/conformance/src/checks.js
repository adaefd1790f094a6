// Judges what a client did in a scenario.

const MOST_IN_TEN_SECONDS = 10;
// Timers of clients may be early by this, in milliseconds.
const TOLERANCE = 100;
// The length of a piece of a token that nobody may see.
const PIECE = 12;
const REPLACED = ["already_refreshed", "refresh_token_replaced", "refresh_token_reused"];

// The steps of a run, each with whether it is expected to succeed; `undefined` if both are right.
function expected({ steps }) {
  return steps.split(" ").map((word) => {
    const [, step, mark] = /^(.*?)([!?]?)$/.exec(word);
    return { step, ok: mark === "?" ? undefined : mark !== "!" };
  });
}

function* didEachStep(runs) {
  for (const run of runs) {
    if (run.isLate) yield `took too long, in the run "${run.steps}"`;
    const said = run.lines.filter(({ step }) => step !== undefined);
    // Steps in the background end when they end.
    for (const { step, ok } of expected(run)) {
      const index = said.findIndex((line) => line.step === step);
      if (index < 0) {
        if (!run.isKilled && !run.isLate) yield `printed no line for the step ${step}`;
        continue;
      }
      const [line] = said.splice(index, 1);
      const why = line.error ? `: ${line.error}` : "";
      if (ok === true && line.ok !== true && !line.skipped) yield `${step} did not succeed${why}`;
      if (ok === false && line.ok === true) yield `${step} succeeded, though nobody was logged in`;
    }
    for (const { step } of said) yield `printed one line too many for the step ${step}`;
  }
}

function* wasKilled(runs, kills) {
  const killed = runs.filter(({ isKilled }) => isKilled).length;
  if (killed !== kills) yield "never did that at which it was to be killed";
}

function* saidWhoIsLoggedIn(runs, reason) {
  const told = runs.flatMap(({ lines }) => lines.filter((line) => "signedOut" in line).map((line) => line.signedOut));
  if (reason === "logout" && told.length === 0) return;
  const isRight = reason ? told.length === 1 && told[0] === reason : told.length === 0;
  if (!isRight) yield told.length > 0 ? `signed out: ${told.join(", ")}` : "said nothing";
}

function keysByToken(refreshes) {
  const keys = new Map();
  for (const { token, key } of refreshes) keys.set(token, [...(keys.get(token) ?? []), key]);
  return keys;
}

function* usedOneKey(refreshes) {
  for (const keys of keysByToken(refreshes).values()) {
    if (keys.some((key) => typeof key !== "string")) yield "sent no Idempotency-Key of 16 to 255 characters";
    else if (new Set(keys).size > 1) yield `sent ${new Set(keys).size} keys with one token`;
  }
}

function* usedNewKeys(refreshes) {
  const used = new Map();
  for (const { token, key } of refreshes.filter((refresh) => refresh.key)) {
    if (used.has(key) && used.get(key) !== token) yield "sent one key with several tokens";
    used.set(key, token);
  }
}

function* presentedNothingOld(refreshes) {
  for (const { outcome, number } of refreshes) {
    if (REPLACED.includes(outcome)) yield `the refresh number ${number} was judged ${outcome}`;
  }
}

function* didNotHammer(refreshes) {
  for (const [index, { at }] of refreshes.entries()) {
    const later = refreshes[index + MOST_IN_TEN_SECONDS];
    if (later && later.at - at < 10_000) {
      yield `${refreshes.filter((other) => other.at >= at && other.at < at + 10_000).length} refreshes in ten seconds`;
      return;
    }
  }
}

function* waited(refreshes) {
  for (const [index, { retryAfter, closedAt }] of refreshes.entries()) {
    const next = refreshes[index + 1];
    if (!retryAfter || !next || next.at - closedAt >= retryAfter * 1000 - TOLERANCE) continue;
    yield `came back after ${Math.round(next.at - closedAt)} ms and not after ${retryAfter} s`;
  }
}

function tokensOf({ sessions, refreshes, calls }) {
  const issued = sessions.all().flatMap((session) => [...session.tokens, session.access.text]);
  return [...new Set([...issued, ...[...refreshes, ...calls].map(({ token }) => token).filter(Boolean)])];
}

// Says whether a piece of a token is in a text. What all tokens begin with is no secret.
function hasPiece(text, token) {
  const secret = token.startsWith("ey") ? token.slice(token.lastIndexOf(".") + 1) : token.slice(4);
  for (let index = 0; index + PIECE <= secret.length; index += 1) {
    if (text.includes(secret.slice(index, index + PIECE))) return true;
  }
  return false;
}

function* keptTokensFrom(texts, tokens, where) {
  if (texts.some((text) => tokens.some((token) => hasPiece(text, token)))) yield where;
}

function* forgotTheTokens({ refreshes, calls }, runs) {
  // Those starts at which nobody is logged in.
  const last = runs.filter((run) => expected(run).every(({ ok }) => ok === false));
  const from = Math.min(...last.map(({ startedAt }) => startedAt));
  if ([...refreshes, ...calls].some(({ at }) => at > from)) yield "came back with a token of a session that was over";
}

function* refreshedAtMost(count, refreshes) {
  if (refreshes.length > count) yield `${refreshes.length} refreshes`;
}

function* gaveUp(refreshes) {
  for (const { waitedFor } of refreshes) if (waitedFor) yield `waited for ${waitedFor} seconds`;
}

function* endedTheSession({ sessions }) {
  if (sessions.all().some((session) => sessions.isLive(session))) yield "it is still live";
}

/** Returns the checks of a scenario, each with what was wrong. */
export function judge(scenario, fake, runs) {
  const { signedOut, kills = 0, mostRefreshes = Infinity, mayChangeKeys, mayPresentReplaced, endsSession } = scenario;
  const { refreshes } = fake;
  const tokens = tokensOf(fake);
  const output = runs.map((run) => run.output);
  const checks = [
    ["did each step", didEachStep(runs)],
    [signedOut ? `signed out once: ${signedOut}` : "did not sign out", saidWhoIsLoggedIn(runs, signedOut)],
  ];
  const check = (name, found) => checks.push([name, found]);
  if (kills > 0) check("could be killed", wasKilled(runs, kills));
  if (refreshes.length > 0) {
    if (!mayChangeKeys) check("sent the same token again with the same key", usedOneKey(refreshes));
    check("used a new key for each refresh", usedNewKeys(refreshes));
    if (!mayPresentReplaced) check("presented no token that it had replaced", presentedNothingOld(refreshes));
    if (refreshes.some(({ retryAfter }) => retryAfter)) check("waited for Retry-After", waited(refreshes));
    check("gave up waiting for an answer", gaveUp(refreshes));
    check(`did not hammer: at most ${MOST_IN_TEN_SECONDS} refreshes in ten seconds`, didNotHammer(refreshes));
  }
  if (mostRefreshes < Infinity) {
    const name = `did not refresh more often than needed: ${mostRefreshes} at most`;
    check(name, refreshedAtMost(mostRefreshes, refreshes));
  }
  if (endsSession) check("ended the session at the server", endedTheSession(fake));
  if (signedOut) check("forgot the tokens", forgotTheTokens(fake, runs));
  check("sent no token elsewhere", keptTokensFrom(fake.elsewhere, tokens, "the other server got one"));
  check("put no token into a URL", keptTokensFrom(fake.urls, tokens, "there is one in a URL"));
  check("put no token into its output", keptTokensFrom(output, tokens, "it printed one"));
  return checks.map(([name, found]) => {
    const wrong = [...found];
    return { name, isMet: wrong.length === 0, ...(wrong.length > 0 && { wrong }) };
  });
}
