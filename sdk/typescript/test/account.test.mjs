// Everything that a client offers, beside the real server: a registration, a second factor, a step-up, sessions.
import assert from "node:assert/strict";
import { test } from "node:test";
import { createClient, isKeyturnError, memoryStorage } from "@keyturn/client";
import { KEYTURN, PASSWORD, REFRESH, advance, codeOf, loggedIn, person, proxy } from "./server.mjs";

const failure = (promise) => promise.then(() => assert.fail("it was not refused"), (error) => (assert.ok(isKeyturnError(error)), error));

test("somebody registers, is refused, and logs in", async (context) => {
  const client = createClient({ baseUrl: `${KEYTURN}/`, storage: memoryStorage() });
  context.after(() => client.dispose());
  const told = [];
  client.on("signedIn", ({ session_id, user }) => told.push([session_id, user.email]));
  const email = `grace-${process.pid}@example.com`;
  const weak = await failure(client.register({ email, password: "password1" }));
  assert.deepEqual([weak.kind, weak.status, weak.code], ["refused", 422, "invalid_input"]);
  assert.equal(weak.problem.errors[0].field, "password");
  const done = await client.register({ email, password: PASSWORD, name: "Grace" });
  assert.deepEqual([done.status, done.user.name], ["signed_in", "Grace"]);
  assert.equal((await failure(client.register({ email, password: PASSWORD }))).code, "email_taken");
  await client.logout();
  const wrong = await failure(client.login({ email, password: "not the password" }));
  assert.deepEqual([wrong.kind, wrong.code], ["refused", "invalid_credentials"]);
  const again = await client.login({ email, password: PASSWORD, device_name: "laptop" });
  assert.deepEqual(told, [[done.session_id, email], [again.session_id, email]]);
  const { user, session_id } = await client.me();
  assert.deepEqual([user.email, session_id], [email, again.session_id]);
});

test("sessions are listed, named and ended", async (context) => {
  const email = await person();
  const [{ client }, other, third] = [await loggedIn(context, { email }), await loggedIn(context, { email }), await loggedIn(context, { email })];
  const all = await client.sessions.list();
  const mine = all.find(({ is_current }) => is_current);
  const [theirs] = all.filter(({ is_current }) => !is_current);
  assert.equal((await client.sessions.rename(mine.id, "Kitchen")).name, "Kitchen");
  assert.equal((await client.sessions.rename(mine.id, null)).name, null);
  assert.equal(await client.sessions.end(theirs.id), undefined);
  assert.equal((await failure(client.sessions.end(mine.id))).code, "current_session");
  assert.equal((await client.sessions.endOthers()).sessions_revoked, all.length - 2);
  assert.equal((await client.sessions.list()).length, 1);
  assert.ok((await client.sessions.list({ includeExpired: true })).length >= 3);
  for (const { client: ended } of [other, third]) assert.equal((await failure(ended.me())).reason, "session_revoked");
});

test("a second factor is set up, asked for, and steps up", async (context) => {
  const asked = [];
  let secret;
  const onStepUp = async (required) => {
    asked.push(required);
    await client.reauthenticate({ password: PASSWORD, ...(secret && { code: codeOf(secret) }) });
  };
  const email = await person();
  const { client, clock } = await loggedIn(context, { email, onStepUp });
  const pass = async (seconds) => {
    await advance(seconds);
    clock.leap(seconds * 1000);
  };
  await pass(660);
  const former = await client.accessToken();
  const begun = await client.mfa.begin();
  assert.deepEqual(asked, [{ maxAge: 600 }], "what needs a recent login asks for one, once");
  assert.notEqual(await client.accessToken(), former, "the token of the new login is used");
  const { recovery_codes } = await client.mfa.confirm({ code: codeOf(begun.secret) });
  assert.equal(recovery_codes.length, 10);
  secret = begun.secret;

  await pass(60);
  const other = createClient({ baseUrl: KEYTURN, storage: memoryStorage() });
  context.after(() => other.dispose());
  const waiting = await other.login({ email, password: PASSWORD });
  assert.deepEqual([waiting.status, waiting.methods], ["mfa_required", ["totp", "recovery_code"]]);
  const { mfa_token } = waiting;
  const wrong = await failure(other.mfa.complete({ mfa_token, method: "recovery_code", code: "aaaa-aaaa" }));
  assert.equal(wrong.code, "invalid_code");
  assert.equal((await failure(other.me())).kind, "signed_out");
  const done = await other.mfa.complete({ mfa_token, method: "totp", code: codeOf(secret), remember_device: true });
  assert.equal(done.status, "signed_in");
  assert.ok((await other.me()).mfa_enabled);
  const trusted = await other.login({ email, password: PASSWORD, trusted_device: done.trusted_device });
  assert.equal(trusted.status, "signed_in");

  await pass(660);
  assert.equal((await client.mfa.recoveryCodes()).recovery_codes.length, 10);
  assert.equal(asked.length, 2);
  assert.equal(await client.mfa.disable(), undefined);
  assert.equal(asked.length, 2);
});

test("a logout that is faster than a login wins", async (context) => {
  const email = await person();
  const storage = memoryStorage();
  const client = createClient({ baseUrl: KEYTURN, storage });
  context.after(() => client.dispose());
  const login = failure(client.login({ email, password: PASSWORD }));
  await client.logout();
  assert.equal((await login).kind, "signed_out");
  assert.equal(storage.get(), undefined);
  const { client: other } = await loggedIn(context, { email });
  // That of the registration is the second one.
  while ((await other.sessions.list()).length > 2) await new Promise((resolve) => setTimeout(resolve, 20));
});

test("a login stays, whatever keyturn says meanwhile of the session before", async (context) => {
  const front = await proxy(context);
  const email = await person();
  const { client, clock } = await loggedIn(context, { email, baseUrl: front.url });
  const { client: other } = await loggedIn(context, { email });
  await other.sessions.endOthers();
  let answer;
  const asked = new Promise((resolve) => {
    front.intercept = async ({ request }) => {
      if (request.url !== REFRESH) return false;
      resolve();
      await new Promise((go) => (answer = go));
      return false;
    };
  });
  clock.leap(1_000_000);
  const late = failure(client.me());
  await asked;
  const hold = front.intercept;
  let isHeld = true;
  front.intercept = async (given) => {
    if (given.request.url !== "/api/v1/auth/login") return hold(given);
    // The login is under way while the refusal of the former session arrives.
    answer();
    await late;
    isHeld = false;
    return false;
  };
  assert.equal((await client.login({ email, password: PASSWORD })).status, "signed_in");
  assert.equal(isHeld, false);
  assert.equal((await late).reason, "session_revoked");
  assert.equal((await client.me()).user.email, email);
});

test("what an app's own step-up throws is thrown", async (context) => {
  const refusal = new Error("not now");
  const onStepUp = () => {
    throw refusal;
  };
  const { client, clock } = await loggedIn(context, { onStepUp });
  await advance(660);
  clock.leap(660_000);
  await assert.rejects(client.mfa.begin(), refusal);
});

test("a call can be aborted, and is told so as the platform does", async (context) => {
  const { client } = await loggedIn(context);
  await assert.rejects(client.me({ signal: AbortSignal.abort() }), { name: "AbortError" });
  await assert.rejects(client.login({ email: "a@example.com", password: "x" }, { signal: AbortSignal.abort() }), { name: "AbortError" });
  assert.ok(await client.me());
});
