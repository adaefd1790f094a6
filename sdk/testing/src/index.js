// Starts the server's program by `keyturn testing`, and does what tests of an app need.
import { execFile, spawn } from "node:child_process";
import { randomUUID } from "node:crypto";
import { createInterface } from "node:readline";
import { readEmails } from "./emails.js";
import { totp } from "./totp.js";

export { totp };

const PASSWORD = "seven ravens over the harbour";
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
    const child = execFile(binary, [...args, "--json"], { env }, (error, stdout, stderr) => {
      if (error) reject(new Error(`keyturn ${args.join(" ")}: ${stderr || error.message}`));
      else resolve(JSON.parse(stdout));
    });
    child.stdin.end(input);
  });
}

function secondsOf(duration) {
  if (typeof duration === "number") return duration;
  const parts = Object.entries(duration);
  const unknown = parts.find(([unit]) => !Object.hasOwn(UNITS, unit));
  if (unknown) throw new TypeError(`${unknown[0]}: a duration has ${Object.keys(UNITS).join(", ")}`);
  return parts.reduce((sum, [unit, count]) => sum + count * UNITS[unit], 0);
}

/** Starts a server. */
export async function startKeyturn({ binary = process.env.KEYTURN_BINARY || "keyturn", settings = {} } = {}) {
  const { child, lines, exited, said, ready } = await launch(binary, settings);
  const { url, data_dir: dataDir } = ready;
  // Whoever forgets to stop it can end nevertheless, and it ends with them.
  [child, child.stdin, child.stdout, child.stderr].forEach((handle) => handle.unref());
  let queue = Promise.resolve();
  let operator;

  /** Sends a line and returns the answer to it. Lines are answered in their order. */
  function instruct(instruction) {
    queue = queue.then(async () => {
      child.stdout.ref();
      child.stdin.write(`${JSON.stringify(instruction)}\n`);
      const { done, value } = await lines.next();
      child.stdout.unref();
      if (done) throw new Error(`keyturn has ended: ${said()}`);
      const answer = JSON.parse(value);
      if (answer.error) throw new Error(answer.error);
      return new Date(answer.now);
    });
    const answered = queue;
    queue = queue.catch(() => {});
    return answered;
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
    if (!person.code) throw new Error(`${email} has two-step login that was not enabled by person({ mfa: true })`);
    const second = { mfa_token: answer.mfa_token, method: "totp", code: await person.code() };
    return call("POST", "/api/v1/auth/mfa", { body: second, userAgent });
  }

  /** Enables two-step login, and returns what makes codes. Each code is of a time of its own, as each is taken once. */
  async function enrol(person) {
    const { access_token: token } = await login(person);
    const { secret } = await call("POST", "/api/v1/auth/mfa/totp", { token });
    const code = async () => totp(secret, await instruct({ advance_seconds: 30 }));
    const confirmed = await call("POST", "/api/v1/auth/mfa/totp/confirm", { token, body: { code: await code() } });
    await call("POST", "/api/v1/auth/logout", { token });
    return { secret, code, recoveryCodes: confirmed.recovery_codes };
  }

  async function person({ email, password = PASSWORD, name, roles = [], verified = true, mfa = false } = {}) {
    const address = email ?? `person-${randomUUID()}@example.com`;
    const options = [...(name ? ["--name", name] : []), ...roles.flatMap((role) => ["--role", role])];
    if (verified) options.push("--verified");
    const { id } = await run(binary, dataDir, ["user", "create", address, ...options], `${password}\n`);
    const created = { id, email: address, password };
    return mfa ? { ...created, ...(await enrol(created)) } : created;
  }

  /** Returns an access token of an operator, which is recent enough for everything. */
  async function operate(method, path) {
    operator ??= person({ roles: ["admin"] });
    const { access_token: token } = await login(await operator);
    return call(method, `/api/v1/admin${path}`, { token });
  }

  async function emails({ to, subject } = {}) {
    const all = await readEmails(`${dataDir}/outbox`);
    const isMeant = (email) => (!to || email.to === to) && (!subject || email.subject.match(subject));
    return all.filter(isMeant);
  }

  async function email(wanted = {}) {
    const deadline = Date.now() + PATIENCE;
    for (;;) {
      const found = await emails(wanted);
      if (found.length > 0) return found.at(-1);
      if (Date.now() > deadline) {
        const told = (await emails()).map(({ to, subject }) => `\n  ${to}: ${subject}`).join("");
        throw new Error(`no email came to ${wanted.to ?? "anybody"}${told ? `; those that came:${told}` : ""}`);
      }
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
  }

  async function stop() {
    child.ref();
    child.stdin.end();
    await exited;
  }

  return {
    url,
    person,
    login,
    client: ({ name = "backend", scopes = [], audiences = [] } = {}) => {
      const list = (option, values) => (values.length > 0 ? [option, ...values] : []);
      const options = [...list("--scope", scopes), ...list("--audience", audiences)];
      return run(binary, dataDir, ["client", "create", "--name", name, ...options]);
    },
    endSession: (id) => operate("DELETE", `/sessions/${encodeURIComponent(id)}`),
    endSessions: ({ id }) => operate("DELETE", `/users/${encodeURIComponent(id)}/sessions`),
    advance: async (duration) => instruct({ advance_seconds: secondsOf(duration) }),
    now: () => instruct({ advance_seconds: 0 }),
    emails,
    email,
    log: said,
    stop,
    [Symbol.asyncDispose ?? Symbol.for("nodejs.asyncDispose")]: stop,
  };
}
