// The real server that tests speak to, and a proxy before it that can be made to fail.
import { createServer } from "node:http";
import { after } from "node:test";
import { createClient, memoryStorage } from "@keyturn/client";
import { startKeyturn, totp } from "@keyturn/testing";
import { fastClock } from "./clocks.mjs";

// Returns a port below those that the system gives away itself, to clients, too.
async function freePort() {
  for (;;) {
    const port = 10_000 + Math.floor(Math.random() * 20_000);
    const server = createServer();
    const isFree = await new Promise((resolve) => {
      server.once("error", () => resolve(false));
      server.listen(port, "127.0.0.1", () => server.close(() => resolve(true)));
    });
    if (isFree) return port;
  }
}

const { KEYTURN_URL, KEYTURN_CLOCK, KEYTURN_ALLOWED_ORIGIN } = process.env;
/** The origin of pages that may use cookies of the server. */
export const ALLOWED_ORIGIN = KEYTURN_ALLOWED_ORIGIN ?? `http://127.0.0.1:${await freePort()}`;
// One that somebody else has started may be of several parts, and has a clock behind a port.
const own = KEYTURN_URL ? undefined : await startKeyturn({ settings: { ALLOWED_ORIGINS: ALLOWED_ORIGIN } });
after(() => own?.stop());
/** The address of a server without limits on logins and refreshes. */
export const KEYTURN = KEYTURN_URL ?? own.url;
export const PASSWORD = "seven ravens over the harbour";
export const REFRESH = "/api/v1/sessions/refresh";

let people = 0;

/** Registers somebody and returns the email address. */
export async function person() {
  const email = `person-${process.pid}-${(people += 1)}@example.com`;
  const body = JSON.stringify({ email, password: PASSWORD });
  const headers = { "content-type": "application/json" };
  const response = await fetch(`${KEYTURN}/api/v1/auth/register`, { method: "POST", headers, body });
  if (response.status !== 201) throw new Error(`${response.status} ${await response.text()}`);
  return email;
}

let ahead = 0;

/** Sets the server's clock ahead. */
export async function advance(seconds) {
  ahead += seconds;
  if (own) return void (await own.advance(seconds));
  const response = await fetch(`${KEYTURN_CLOCK}/${seconds}`);
  if (response.status !== 204) throw new Error("the clock stands still");
}

/** Returns the code that an authenticator app shows by the server's clock, did so many codes ago, or will. */
export function codeOf(secret, ago = 0) {
  return totp(secret, new Date(Date.now() + (ahead - ago * 30) * 1000));
}

/** Half a minute for an answer and five for a call, on a clock that is twenty times as fast. */
export const PATIENT = { timeout: 600_000, patience: 6_000_000 };

/** Returns a client of somebody who has just logged in, with a clock that leaps and what it was told. */
export async function loggedIn(context, options = {}) {
  const clock = fastClock(20);
  const storage = options.storage ?? memoryStorage();
  const client = createClient({ baseUrl: KEYTURN, clock, ...PATIENT, ...options, storage });
  context.after(() => client.dispose());
  const signedOut = [];
  client.on("signedOut", ({ reason }) => signedOut.push(reason));
  await client.login({ email: options.email ?? (await person()), password: PASSWORD });
  return { client, clock, storage, signedOut };
}

async function bodyOf(request) {
  const chunks = [];
  for await (const chunk of request) chunks.push(chunk);
  return Buffer.concat(chunks);
}

/** Starts a proxy before the server, for as long as a test lasts. `intercept` may answer a request itself. */
export async function proxy(context, upstream = KEYTURN) {
  const state = { intercept: () => false, requests: [] };
  const server = createServer(async (request, response) => {
    const body = await bodyOf(request);
    const forward = async () => {
      const { host, connection, "content-length": length, ...headers } = request.headers;
      const init = { method: request.method, headers, redirect: "manual", ...(body.length && { body }) };
      const answer = await fetch(upstream + request.url, init);
      const { "content-encoding": _, "transfer-encoding": __, connection: ___, ...kept } = Object.fromEntries(answer.headers);
      const cookies = answer.headers.getSetCookie();
      if (cookies.length) kept["set-cookie"] = cookies;
      return { status: answer.status, headers: kept, body: Buffer.from(await answer.arrayBuffer()) };
    };
    state.requests.push({ method: request.method, path: request.url, headers: request.headers, at: performance.now() });
    try {
      if (await state.intercept({ request, response, forward })) return;
      const { status, headers, body: found } = await forward();
      response.writeHead(status, headers).end(found);
    } catch (error) {
      response.destroy(error);
    }
  });
  await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
  context.after(() => {
    server.closeAllConnections();
    server.close();
  });
  return Object.assign(state, { url: `http://127.0.0.1:${server.address().port}` });
}
