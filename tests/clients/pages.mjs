// Calls keyturn, and an app behind forward authentication, from pages of several origins in Chromium.
import assert from "node:assert/strict";
import { createServer } from "node:http";
import { launch } from "./chromium.mjs";

const given = JSON.parse(process.argv[2]);
const at = (host) => `https://${host}.localhost:${given.port}`;
// `other` is of the same site as keyturn, so it is sent the same cookies; `shop` is of another site.
const [api, app, orders, other, shop] = ["api.kt", "app.kt", "orders.kt", "other.kt", "shop"].map(at);
const tracing = {
  "sentry-trace": "12345678901234567890123456789012-1234567890123456-1",
  baggage: "sentry-environment=production,sentry-trace_id=12345678901234567890123456789012",
  traceparent: "00-12345678901234567890123456789012-1234567890123456-01",
};
const json = { ...tracing, "content-type": "application/json" };

// The pages, and the app that is protected. It lets the pages of one origin call it.
const reached = [];
const server = createServer((request, response) => {
  const user = request.headers["x-auth-user"] ?? null;
  if (request.url !== "/orders") {
    response.setHeader("content-type", "text/html").end("<!doctype html><title>page</title>");
    return;
  }
  reached.push(`${request.method} ${request.headers.origin} ${user !== null}`);
  response.setHeader("access-control-allow-origin", app).setHeader("access-control-allow-credentials", "true");
  if (request.method === "OPTIONS") {
    response.setHeader("access-control-allow-methods", "PUT").setHeader("access-control-max-age", "0");
    response.setHeader("access-control-allow-headers", request.headers["access-control-request-headers"] ?? "");
    response.writeHead(204).end();
  } else {
    const names = Object.keys(request.headers).filter((name) => name.startsWith("x-auth-"));
    response.setHeader("content-type", "application/json").end(JSON.stringify({ user, names }));
  }
});
await new Promise((listening) => server.listen(given.app_port, "127.0.0.1", listening));

const browser = await launch(given.chromium, "MAP * ~NOTFOUND, EXCLUDE *.localhost, EXCLUDE 127.0.0.1");

async function open(context, origin) {
  const page = await context.newPage();
  await page.goto(`${origin}/`);
  // Returns `null` where the browser keeps the answer from the page.
  return (url, options = {}) =>
    page.evaluate(
      async ([url, options]) => {
        let response;
        try {
          response = await fetch(url, options);
        } catch {
          return null;
        }
        const text = await response.text();
        const id = response.headers.get("x-request-id");
        return { status: response.status, id, body: text.startsWith("{") ? JSON.parse(text) : text };
      },
      [url, options],
    );
}

const account = { email: given.email, password: given.password };
const post = (body, more = {}) => ({ method: "POST", headers: json, body: JSON.stringify(body), ...more });

async function bearer(origin) {
  const call = await open(await browser.newContext({ ignoreHTTPSErrors: true }), origin);
  const login = await call(`${api}/api/v1/auth/login`, post(account));
  assert.equal(login?.status, 200);
  assert.ok(login.id, "the id of the request is exposed");
  const refreshed = await call(`${api}/api/v1/sessions/refresh`, post({ refresh_token: login.body.refresh_token }));
  assert.equal(refreshed?.status, 200);
  const headers = { ...tracing, authorization: `Bearer ${refreshed.body.access_token}` };
  const sessions = await call(`${api}/api/v1/sessions`, { headers });
  assert.equal(sessions?.status, 200);
  assert.ok(JSON.stringify(sessions.body).includes(refreshed.body.session_id ?? "current"));
  assert.equal((await call(`${api}/.well-known/jwks.json`, { headers: tracing }))?.status, 200);
  const refused = await call(`${api}/api/v1/auth/login`, post({ ...account, password: "not the password" }));
  assert.equal(refused?.body.code, "invalid_credentials", "a page can read why it is refused");
  return { call, headers };
}

async function cookies() {
  const context = await browser.newContext({ ignoreHTTPSErrors: true });
  const credentials = "include";
  const call = await open(context, app);
  const login = await call(`${api}/api/v1/auth/login`, post({ ...account, transport: "cookie" }, { credentials }));
  assert.equal(login?.status, 200);
  assert.ok(!JSON.stringify(login.body).includes("ktr_"));
  const kept = (await context.cookies()).map(({ name, domain, path, httpOnly, secure, sameSite }) => {
    assert.ok(httpOnly && secure);
    return [name, domain, path, sameSite].join(" ");
  });
  assert.deepEqual(kept.sort(), [
    "__Secure-keyturn_access .kt.localhost / Lax",
    "__Secure-keyturn_refresh api.kt.localhost /api/v1/auth/logout Strict",
    "__Secure-keyturn_refresh api.kt.localhost /api/v1/sessions/refresh Strict",
  ]);
  const me = () => call(`${api}/api/v1/auth/me`, { credentials, headers: tracing });
  assert.equal((await me())?.status, 200);
  const refresh = () => call(`${api}/api/v1/sessions/refresh`, { method: "POST", credentials, headers: tracing });
  assert.equal((await refresh())?.status, 200);

  // What pages of no allowed origin can try: requests without a preflight, with the cookies where the site is the same.
  for (const origin of [other, shop]) {
    const foreign = await open(context, origin);
    assert.equal(await foreign(`${api}/api/v1/auth/me`, { credentials }), null);
    for (const path of ["auth/logout", "sessions/refresh"]) {
      for (const mode of ["cors", "no-cors"]) {
        await foreign(`${api}/api/v1/${path}`, { method: "POST", credentials, mode });
      }
    }
    const body = JSON.stringify({ ...account, transport: "cookie" });
    await foreign(`${api}/api/v1/auth/login`, { method: "POST", credentials, mode: "no-cors", body });
    const login = post({ ...account, transport: "cookie" }, { credentials });
    assert.equal(await foreign(`${api}/api/v1/auth/login`, login), null);
    assert.equal(await foreign(`${orders}/orders`, { method: "PUT", credentials, headers: tracing }), null);
  }
  assert.equal((await me())?.status, 200, "the session lives on");
  assert.equal((await refresh())?.status, 200);
  return { call, context };
}

try {
  const { headers } = await bearer(shop);
  const { call, context } = await cookies();
  assert.deepEqual(reached, [], "no preflight of a foreign page passes");

  const pretending = { ...tracing, "x-auth-user": "mallory", "x-auth-actor": "mallory" };
  const withCookie = await call(`${orders}/orders`, { method: "PUT", credentials: "include", headers: pretending });
  const outside = await open(await browser.newContext({ ignoreHTTPSErrors: true }), app);
  const withBearer = await outside(`${orders}/orders`, { method: "PUT", headers: { ...pretending, ...headers } });
  const withNeither = await outside(`${orders}/orders`, { method: "PUT", headers: pretending });
  assert.equal(withNeither?.status ?? 401, 401);

  const logout = await call(`${api}/api/v1/auth/logout`, { method: "POST", credentials: "include", headers: tracing });
  assert.equal(logout?.status, 204);
  assert.deepEqual(await context.cookies(), []);
  process.stdout.write(JSON.stringify({ answers: [withCookie?.body, withBearer?.body], reached }));
} finally {
  await browser.close();
  server.close();
}
