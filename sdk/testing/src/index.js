// Starts the server's program by `keyturn testing`, and does what tests of an app need.
import { execFile, spawn } from "node:child_process";
import { randomUUID } from "node:crypto";
import { rm } from "node:fs/promises";
import { createInterface } from "node:readline";
import { readEmails } from "./emails.js";
import { totp } from "./totp.js";

export { totp };

const PASSWORD = "seven ravens over the harbour";
// Of codes, in milliseconds (RFC 6238).
const STEP = 30_000;
const UNITS = { days: 86_400, hours: 3600, minutes: 60, seconds: 1 };
// How long an email may be on its way. It takes milliseconds.
const PATIENCE = 10_000;

/** Starts the program, and returns it with the first line that it prints. */
async function launch(binary, settings) {
  const given = Object.entries(settings).map(([name, value]) => `${name}=${value}`);
  const child = spawn(binary, ["testing", ...given], { stdio: ["pipe", "pipe", "pipe"] });
  const errors = [];
  child.stderr.on("data", (piece) => errors.push(piece));
  const lines = createInterface(child.stdout)[Symbol.asyncIterator]();
  const exited = new Promise((resolve) => child.once("close", (code, signal) => resolve(code ?? signal)));
  const failed = new Promise((_, reject) => child.once("error", reject));
  failed.catch(() => {});
  // What comes to a program that has ended is told by its end.
  child.stdin.on("error", () => {});
  const first = await Promise.race([lines.next(), failed]).catch((error) => {
    const hint = "install keyturn, or name its program by `binary` or KEYTURN_BINARY";
    throw new Error(`${binary} cannot be started (${error.code ?? error.message}): ${hint}`, { cause: error });
  });
  const said = () => Buffer.concat(errors).toString();
  if (first.done) throw new Error(`keyturn ended with ${await exited}: ${said()}`);
  return { child, lines, exited, said, ready: JSON.parse(first.value) };
}

/** Runs a command of the program on the server's own data, and returns what it prints. */
function run(binary, dataDir, args, input) {
  const env = { PATH: process.env.PATH, DATA_DIR: dataDir, DATABASE_URL: "embedded", ARGON2: "m=7168,t=1,p=1" };
  return new Promise((resolve, reject) => {
    const child = execFile(binary, ["--json", ...args], { env }, (error, stdout, stderr) => {
      if (error) reject(new Error(`keyturn ${args.join(" ")}: ${stderr || error.message}`));
      else resolve(JSON.parse(stdout));
    });
    child.stdin.end(input);
  });
}

function secondsOf(duration) {
  const parts = typeof duration === "object" && duration ? Object.entries(duration) : [["seconds", duration]];
  const isKnown = ([unit, count]) => Object.hasOwn(UNITS, unit) && Number.isFinite(count);
  const seconds = parts.every(isKnown) ? parts.reduce((sum, [unit, count]) => sum + count * UNITS[unit], 0) : NaN;
  if (Number.isInteger(seconds) && seconds >= 0) return seconds;
  throw new TypeError(`a duration is a whole number of seconds, or numbers of ${Object.keys(UNITS).join(", ")}`);
}

function listOf(name, values) {
  if (Array.isArray(values)) return values;
  throw new TypeError(`${name} is a list`);
}

/** Runs one task after another. */
function inOrder() {
  let last = Promise.resolve();
  return (task) => {
    const done = last.then(task);
    last = done.catch(() => {});
    return done;
  };
}

const isSameAddress = (one, other) => one.toLowerCase() === other.toLowerCase();

/** Starts a server. */
export async function startKeyturn({ binary = process.env.KEYTURN_BINARY || "keyturn", settings = {} } = {}) {
  const { child, lines, exited, said, ready } = await launch(binary, settings);
  const { url, data_dir: dataDir } = ready;
  // Whoever forgets to stop it can end nevertheless, and it ends with them.
  [child, child.stdin, child.stdout, child.stderr].forEach((handle) => handle.unref());
  const oneLine = inOrder();
  const oneCode = inOrder();
  // Authenticator apps by email address.
  const apps = new Map();
  // Emails that `email` has handed out.
  const seen = new Set();
  let operator;

  /** Sends a line and returns the answer to it. */
  const instruct = (instruction) =>
    oneLine(async () => {
      child.stdout.ref();
      child.stdin.write(`${JSON.stringify(instruction)}\n`);
      const { done, value } = await lines.next();
      child.stdout.unref();
      if (done) throw new Error(`keyturn has ended: ${said()}`);
      const answer = JSON.parse(value);
      if (answer.error) throw new Error(answer.error);
      return new Date(answer.now);
    });
  const now = () => instruct({ advance_seconds: 0 });

  function checkRunning() {
    if (child.exitCode !== null || child.signalCode) throw new Error(`keyturn has ended: ${said()}`);
  }

  /** Runs a command on the data of the server, which has to be there to use it. */
  async function command(args, input) {
    checkRunning();
    return run(binary, dataDir, args, input);
  }

  /** Calls the server. Throws if it refuses. */
  async function call(method, path, { body, token, userAgent } = {}) {
    const headers = { ...(token && { authorization: `Bearer ${token}` }), ...(userAgent && { "user-agent": userAgent }) };
    if (body) headers["content-type"] = "application/json";
    const response = await fetch(url + path, { method, headers, ...(body && { body: JSON.stringify(body) }) });
    const text = await response.text();
    if (!response.ok) throw new Error(`${method} ${path}: ${response.status} ${text}`);
    return text ? JSON.parse(text) : undefined;
  }

  async function login(person, { deviceName, userAgent } = {}) {
    const { email, password } = person;
    const body = { email, password, ...(deviceName && { device_name: deviceName }) };
    const answer = await call("POST", "/api/v1/auth/login", { body, userAgent });
    if (!answer.mfa_required) return answer;
    const app = apps.get(email);
    if (!app) throw new Error(`${email} has two-step login that was not enabled by person({ mfa: true })`);
    return app.use((code) => {
      const second = { mfa_token: answer.mfa_token, method: "totp", code };
      return call("POST", "/api/v1/auth/mfa", { body: second, userAgent });
    });
  }

  /** Makes an authenticator app. A code is taken once, and none before it is taken then: for more, time has to pass. */
  function authenticator(secret) {
    let used = -Infinity;
    const next = async () => {
      const time = await now();
      used = Math.max(used + 1, Math.floor(time / STEP));
      // The server takes the code after the present one, too.
      const early = (used - 1) * STEP - time;
      if (early > 0) await instruct({ advance_seconds: Math.ceil(early / 1000) });
      return totp(secret, new Date(used * STEP));
    };
    // A code and its use are one, as another person's may let time pass.
    return { code: () => oneCode(next), use: (act) => oneCode(async () => act(await next())) };
  }

  /** Enables two-step login. */
  async function enrol(person) {
    const { access_token: token } = await login(person);
    const { secret } = await call("POST", "/api/v1/auth/mfa/totp", { token });
    const app = authenticator(secret);
    const confirm = (code) => call("POST", "/api/v1/auth/mfa/totp/confirm", { token, body: { code } });
    const { recovery_codes: recoveryCodes } = await app.use(confirm);
    await call("POST", "/api/v1/auth/logout", { token });
    apps.set(person.email, app);
    return { ...person, secret, code: app.code, recoveryCodes };
  }

  async function person({ email, password = PASSWORD, name, roles = [], verified = true, mfa = false } = {}) {
    if (/[\r\n]/.test(password)) throw new TypeError("password: must be one line");
    const options = [...(name ? [`--name=${name}`] : []), ...listOf("roles", roles).map((role) => `--role=${role}`)];
    if (verified) options.push("--verified");
    const address = email ?? `person-${randomUUID()}@example.com`;
    const created = await command(["user", "create", ...options, "--", address], `${password}\n`);
    const made = { id: created.id, email: created.email, password };
    return mfa ? enrol(made) : made;
  }

  /** Does what operators do. */
  async function operate(method, path) {
    operator ??= person({ roles: ["admin"] });
    const { access_token: token } = await login(await operator);
    return call(method, `/api/v1/admin${path}`, { token });
  }

  async function emails({ to, subject } = {}) {
    const all = await readEmails(`${dataDir}/outbox`);
    const isAbout = ({ subject: own }) =>
      subject instanceof RegExp ? own.search(subject) >= 0 : !subject || own.includes(subject);
    return all.filter((email) => (!to || isSameAddress(email.to, to)) && isAbout(email));
  }

  async function email(wanted = {}) {
    const deadline = Date.now() + PATIENCE;
    for (;;) {
      const found = (await emails(wanted)).filter((email) => !seen.has(email)).at(-1);
      if (found) {
        seen.add(found);
        return found;
      }
      checkRunning();
      if (Date.now() > deadline) {
        const told = (await emails()).map(({ to, subject }) => `\n  ${to}: ${subject}`).join("");
        throw new Error(`no new email came to ${wanted.to ?? "anybody"}${told ? `; those that came:${told}` : ""}`);
      }
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
  }

  async function stop() {
    child.ref();
    child.stdin.end();
    await exited;
    // One that was killed could not do it.
    await rm(dataDir, { recursive: true, force: true });
  }

  return {
    url,
    pid: child.pid,
    person,
    login,
    client: ({ name = "backend", scopes = [], audiences = [] } = {}) => {
      const options = [
        ...listOf("scopes", scopes).map((scope) => `--scope=${scope}`),
        ...listOf("audiences", audiences).map((audience) => `--audience=${audience}`),
      ];
      return command(["client", "create", `--name=${name}`, ...options]);
    },
    endSession: (id) => operate("DELETE", `/sessions/${encodeURIComponent(id)}`),
    endSessions: ({ id }) => operate("DELETE", `/users/${encodeURIComponent(id)}/sessions`),
    advance: async (duration) => instruct({ advance_seconds: secondsOf(duration) }),
    now,
    emails,
    email,
    log: said,
    stop,
    [Symbol.asyncDispose ?? Symbol.for("nodejs.asyncDispose")]: stop,
  };
}
