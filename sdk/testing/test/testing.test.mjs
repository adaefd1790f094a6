// What the package promises, with the server's program that KEYTURN_BINARY names.
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { existsSync, mkdtempSync, readFileSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { startKeyturn, totp } from "@keyturn/testing";
import { readEmails } from "../src/emails.js";

// Other tests start servers, too.
process.env.TMPDIR = mkdtempSync(join(tmpdir(), "own-"));
after(() => rmSync(process.env.TMPDIR, { recursive: true, force: true }));

let keyturn;
before(async () => (keyturn = await startKeyturn({ settings: { ALLOWED_ORIGINS: "http://localhost:3000" } })));
after(() => keyturn.stop());

const me = async ({ access_token: token }) => {
  const response = await fetch(`${keyturn.url}/api/v1/auth/me`, { headers: { authorization: `Bearer ${token}` } });
  const { code, user } = await response.json();
  return { status: response.status, code, user };
};

test("people and their sessions", async () => {
  const ada = await keyturn.person({ name: "Ada Lovelace", roles: ["editor"] });
  const phone = await keyturn.login(ada, { deviceName: "phone" });
  const laptop = await keyturn.login(ada, { userAgent: "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0" });
  const { user } = await me(phone);
  assert.deepEqual([user.id, user.name, user.email_verified], [ada.id, "Ada Lovelace", true]);
  assert.deepEqual([...user.roles].sort(), ["editor", "user"]);
  await keyturn.endSession(phone.session_id);
  assert.equal((await me(phone)).status, 401);
  assert.equal((await me(laptop)).status, 200);
  await keyturn.endSessions(ada);
  assert.equal((await me(laptop)).status, 401);
});

test("time that passes at once", async () => {
  const session = await keyturn.login(await keyturn.person());
  const before = await keyturn.now();
  const later = await keyturn.advance({ minutes: 15, seconds: 1 });
  const passed = later - before;
  assert.ok(passed >= 901_000 && passed < 930_000, String(passed));
  assert.equal((await me(session)).code, "invalid_token");
  const [one, two] = await Promise.all([keyturn.advance(60), keyturn.advance(60)]);
  assert.ok(two - one >= 60_000);
  for (const wrong of [{ weeks: 1 }, -1, 0.5, 1e12]) await assert.rejects(async () => keyturn.advance(wrong), String(wrong));
  assert.ok((await keyturn.now()) >= two, "what is refused changes nothing");
});

test("codes of authenticator apps are those of RFC 6238, appendix B", () => {
  const secret = "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ";
  const expected = { 59: "287082", 1111111109: "081804", 1234567890: "005924", 20000000000: "353130" };
  for (const [seconds, code] of Object.entries(expected)) assert.equal(totp(secret, new Date(seconds * 1000)), code);
});

test("two-step login, of many at once, which moves the clock no more than it has to", async () => {
  const [before, began] = [await keyturn.now(), performance.now()];
  const ada = await keyturn.person({ mfa: true });
  assert.equal(ada.recoveryCodes.length, 10);
  assert.equal((await me(await keyturn.login(ada))).status, 200);
  const moved = (await keyturn.now()) - before - (performance.now() - began);
  assert.ok(moved < 20_000, `two codes are there at any time: ${moved}`);
  const people = await Promise.all(Array.from({ length: 8 }, () => keyturn.person({ mfa: true })));
  const logins = [...people, ...Array.from({ length: 4 }, () => ({ email: ada.email, password: ada.password }))];
  for (const session of await Promise.all(logins.map((who) => keyturn.login(who)))) assert.ok(session.access_token);
  const codes = [await ada.code(), await ada.code()];
  assert.notEqual(codes[0], codes[1]);
});

test("what is given wrongly is refused where it is given", async () => {
  for (const name of ["--admin", "-x"]) {
    const { email, password } = await keyturn.person({ name });
    const { user } = await me(await keyturn.login({ email, password }));
    assert.deepEqual([user.name, user.roles], [name, ["user"]]);
  }
  await assert.rejects(keyturn.person({ roles: "admin" }), /roles is a list/);
  await assert.rejects(keyturn.person({ password: "two\nlines of it" }), /one line/);
  await assert.rejects(async () => keyturn.client({ scopes: "introspect" }), /scopes is a list/);
  for (const wrong of [NaN, "16m", null, { minutes: undefined }, { minutes: "1" }]) {
    await assert.rejects(async () => keyturn.advance(wrong), /a duration is/);
  }
});

test("emails, with the links in them", async () => {
  const email = "grace@example.com";
  await keyturn.person({ email, verified: false });
  const body = JSON.stringify({ email });
  const headers = { "content-type": "application/json", "accept-language": "de" };
  const forgot = await fetch(`${keyturn.url}/api/v1/auth/password/forgot`, { method: "POST", headers, body });
  assert.equal(forgot.ok, true);
  const { subject, links, text, html } = await keyturn.email({ to: email, subject: /Passwort/ });
  assert.match(subject, /Passwort/);
  assert.match(links[0], new RegExp(`^${keyturn.url}/\\S+token=kto_[\\w-]{43}$`));
  assert.ok(text.includes("Grüße") || /[äöüß]/.test(text), text);
  assert.match(html, /<html lang="de"/);
  const page = await fetch(links[0]);
  assert.equal(page.status, 200);
  assert.deepEqual(await keyturn.emails({ to: "nobody@example.com" }), []);
  assert.deepEqual(await keyturn.emails({ to: email, subject: "(" }), []);
  // The next one is another one.
  await fetch(`${keyturn.url}/api/v1/auth/password/forgot`, { method: "POST", headers, body });
  const next = await keyturn.email({ to: email.toUpperCase() });
  assert.notEqual(next.links[0], links[0]);
  assert.equal((await keyturn.emails({ to: email, subject: "Passwort" })).length, 2);
});

test("an email that is being written is none yet", async () => {
  const folder = mkdtempSync(join(tmpdir(), "outbox-"));
  writeFileSync(join(folder, ".half.eml"), "Subject: ");
  assert.deepEqual(await readEmails(folder), []);
});

test("a backend's client", async () => {
  const { client_id: id, client_secret: secret } = await keyturn.client({ scopes: ["introspect"] });
  const { access_token: token } = await keyturn.login(await keyturn.person());
  const headers = { authorization: `Basic ${btoa(`${id}:${secret}`)}` };
  const body = new URLSearchParams({ token });
  const answer = await fetch(`${keyturn.url}/oauth/introspect`, { method: "POST", headers, body });
  assert.equal((await answer.json()).active, true);
});

test("a setting that does not exist is refused, and so is what would touch other data", async () => {
  await assert.rejects(startKeyturn({ settings: { ALOWED_ORIGINS: "x" } }), /alowed_origins/i);
  for (const name of ["DATABASE_URL", "REDIS_URL", "DATA_DIR", "BIND"]) {
    await assert.rejects(startKeyturn({ settings: { [name]: "x" } }), new RegExp(`${name} cannot be set`));
  }
  await assert.rejects(startKeyturn({ binary: "/no/such/program" }), /KEYTURN_BINARY/);
});

test("one that was killed says so, and leaves nothing either", async () => {
  const server = await startKeyturn();
  process.kill(server.pid, "SIGKILL");
  await assert.rejects(server.email(), /has ended/);
  await assert.rejects(async () => server.person(), /has ended/);
  await assert.rejects(async () => server.client(), /has ended/);
  await server.stop();
});

test("several run at once, and each leaves nothing behind", async () => {
  const folders = () => readdirSync(tmpdir()).filter((name) => name.startsWith("keyturn-testing-"));
  const own = folders();
  const started = await Promise.all([startKeyturn(), startKeyturn()]);
  assert.notEqual(started[0].url, started[1].url);
  assert.equal(folders().length, own.length + 2);
  await Promise.all(started.map((server) => server.stop()));
  assert.deepEqual(folders(), own);
  await assert.rejects(fetch(started[0].url));
  await assert.rejects(started[0].advance(1), /has ended/);
});

test("it ends with the process that has started it", { timeout: 60_000 }, async () => {
  const program = `
    import { startKeyturn, totp } from "@keyturn/testing";
    const keyturn = await startKeyturn();
    console.log(keyturn.url);
    if (process.argv[1] === "killed") process.kill(process.pid, "SIGKILL");
  `;
  for (const end of ["forgets", "killed"]) {
    const options = { encoding: "utf8", cwd: import.meta.dirname, timeout: 30_000 };
    const { stdout } = spawnSync(process.execPath, ["--input-type=module", "-e", program, end], options);
    const url = stdout.trim();
    assert.match(url, /^http:/);
    for (;;) {
      const answers = await fetch(`${url}/health/live`).then(() => true, () => false);
      if (!answers) break;
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
  }
  assert.ok(!existsSync("data"), "nothing was written where it was started");
});

test("the example of the README passes", () => {
  const example = /```js\n(.*?)```/s.exec(readFileSync(new URL("../README.md", import.meta.url), "utf8"))[1];
  const file = new URL("example.mjs", import.meta.url);
  writeFileSync(file, example);
  // Without what says that it is run by a test, which would keep it quiet.
  const { NODE_TEST_CONTEXT: _, ...env } = process.env;
  const { status, stdout } = spawnSync(process.execPath, ["--test", file.pathname], { env, encoding: "utf8" });
  rmSync(file);
  assert.equal(status, 0, stdout);
  assert.match(stdout, /a phone that was ended is out/);
});
