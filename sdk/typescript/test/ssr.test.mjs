// A server that renders pages: many loaders with one cookie refresh once, and cookies that cannot be set harm nobody.
import assert from "node:assert/strict";
import { createServer } from "node:http";
import { test } from "node:test";
import { cookiesOf, createServerClient } from "@keyturn/client/server";
import { KEYTURN, PASSWORD, REFRESH, advance, person, proxy } from "./server.mjs";

const NAME = "keyturn";

// Cookies as frameworks have them: those of the request, and those that the response sets.
function request(cookie, { isReadOnly = false } = {}) {
  const set = [];
  const jar = new Map(cookie === undefined ? [] : [[NAME, cookie]]);
  const cookies = {
    get: (name) => (jar.has(name) ? { name, value: jar.get(name) } : undefined),
    set(name, value, attributes) {
      if (isReadOnly) throw new Error("Cookies can only be modified in a Server Action or Route Handler");
      assert.match(value, /^[\w.!-]*$/, "it needs no encoding");
      jar.set(name, value);
      set.push([name, value, attributes]);
    },
  };
  return { cookies, set, sent: () => new Map(set.map(([name, value]) => [name, value])).get(NAME) };
}

const LONG = { timeout: 60_000, patience: 60_000 };
const make = (cookies, options) => createServerClient({ baseUrl: KEYTURN, cookies, ...LONG, ...options });

async function loggedIn(email) {
  const { cookies, set, sent } = request();
  await make(cookies).login({ email, password: PASSWORD });
  const [[, , attributes]] = set;
  assert.deepEqual(attributes, { httpOnly: true, secure: false, sameSite: "lax", path: "/", maxAge: 90 * 86_400 });
  assert.ok(sent().length < 3000, String(sent().length));
  return sent();
}

const counted = async (context) => {
  const front = await proxy(context);
  return Object.assign(front, { refreshes: () => front.requests.filter(({ path }) => path === REFRESH).length });
};

for (const [name, one] of [["in one request", true], ["in twenty requests", false]]) {
  test(`twenty loaders ${name} with one stale cookie refresh once`, async (context) => {
    const front = await counted(context);
    const email = await person();
    const cookie = await loggedIn(email);
    await advance(1000);
    const shared = request(cookie);
    const each = Array.from({ length: 20 }, () => (one ? shared : request(cookie)));
    const load = async ({ cookies }) => (await make(cookies, { baseUrl: front.url }).me()).user.email;
    const seen = await Promise.all(each.map(load));
    assert.deepEqual(new Set(seen), new Set([email]));
    assert.equal(front.refreshes(), 1, JSON.stringify(front.requests.map(({ path, at }) => [path, at])));
    const sent = new Set(each.map(({ sent }) => sent()));
    assert.equal(sent.size, 1);
    assert.notEqual([...sent][0], cookie);
    for (const { set } of each) assert.equal(new Set(set.map(([, value]) => value)).size <= 2, true);
    // A loader that comes late with the old cookie, and the next request with the new one.
    for (const next of [cookie, [...sent][0]]) assert.equal(await load(request(next)), email);
    assert.equal(front.refreshes(), 1);
  });
}

test("copies of the module in one process refresh once, and know what became of a cookie", async (context) => {
  const front = await counted(context);
  const email = await person();
  const cookie = await loggedIn(email);
  const copies = await Promise.all(["proxy", "routes"].map((name) => import(`../dist/server.js?${name}`)));
  assert.notEqual(copies[0].createServerClient, copies[1].createServerClient);
  await advance(1000);
  const load = async ({ createServerClient }, { cookies }) =>
    (await createServerClient({ baseUrl: front.url, cookies, ...LONG }).me()).user.email;
  assert.deepEqual(await Promise.all(copies.map((copy) => load(copy, request(cookie)))), [email, email]);
  for (const copy of copies) assert.equal(await load(copy, request(cookie, { isReadOnly: true })), email);
  assert.equal(front.refreshes(), 1);
});

test("cookies that cannot be set never throw, and the access token is used until it expires", async (context) => {
  const front = await counted(context);
  const email = await person();
  const cookie = await loggedIn(email);
  for (const { cookies } of [request(cookie, { isReadOnly: true }), { cookies: { get: () => cookie } }]) {
    assert.equal((await make(cookies, { baseUrl: front.url }).me()).user.email, email);
  }
  // It is to be refreshed, and nobody is kept from calling by it.
  await advance(700);
  const { cookies } = request(cookie, { isReadOnly: true });
  assert.equal((await make(cookies, { baseUrl: front.url }).me()).user.email, email);
  await advance(300);
  const late = request(cookie, { isReadOnly: true });
  const error = await make(late.cookies, { baseUrl: front.url }).me().catch((thrown) => thrown);
  assert.equal(error.kind, "read_only");
  assert.equal(front.refreshes(), 0, "what could not be stored is not asked for");
  // Where they can be set, it goes on; and then those that cannot set it know, too.
  assert.equal((await make(request(cookie).cookies, { baseUrl: front.url }).me()).user.email, email);
  assert.equal((await make(late.cookies, { baseUrl: front.url }).me()).user.email, email);
  assert.equal(front.refreshes(), 1);
});

test("whoever has no cookie is nobody, and a session that has ended takes its cookie along", async (context) => {
  const front = await counted(context);
  const none = request();
  assert.equal((await make(none.cookies).me().catch((error) => error)).kind, "signed_out");
  assert.deepEqual(none.set, []);
  const cookie = await loggedIn(await person());
  const leaving = request(cookie);
  await make(leaving.cookies).logout();
  assert.equal(leaving.sent(), "");
  assert.equal(leaving.set.at(-1)[2].maxAge, 0);
  await advance(1000);
  const late = request(cookie);
  assert.equal((await make(late.cookies, { baseUrl: front.url }).me().catch((error) => error)).kind, "signed_out");
  assert.equal(late.sent(), "");
});

test("a response of Node's is given its cookies, for as long as a session can last", async (context) => {
  const email = await person();
  const app = createServer(async (incoming, response) => {
    response.setHeader("set-cookie", "theme=dark");
    const cookies = cookiesOf(incoming, response);
    const client = createServerClient({ baseUrl: KEYTURN, cookies, headers: incoming.headers, ...LONG });
    if (incoming.url === "/login") await client.login({ email, password: PASSWORD });
    const { user } = await client.me();
    const [{ device }] = await client.sessions.list();
    response.end(`${user.email} ${device.browser} ${cookies.headers().get("user-agent") === incoming.headers["user-agent"]}`);
  });
  await new Promise((resolve) => app.listen(0, "127.0.0.1", resolve));
  context.after(() => (app.closeAllConnections(), app.close()));
  const firefox = "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0";
  const visit = async (path, cookie = "") => {
    const headers = { cookie, "user-agent": firefox };
    const response = await fetch(`http://127.0.0.1:${app.address().port}${path}`, { headers });
    assert.equal(await response.text(), `${email} Firefox true`);
    return response.headers.getSetCookie();
  };
  const [theme, line, ...others] = await visit("/login");
  assert.deepEqual([theme, others], ["theme=dark", []]);
  assert.match(line, /^keyturn=ktr_.*; Path=\/; Max-Age=7776000; HttpOnly; SameSite=Lax$/);
  assert.deepEqual(await visit("/", line.split(";")[0]), ["theme=dark"]);
  await advance(1000);
  assert.match((await visit("/", `a=b; ${line.split(";")[0]}`))[1], /^keyturn=ktr_/);
});

test("a cookie that somebody has written is no session", async () => {
  for (const cookie of ["x", "a!b!c", "ktr_x!short!s", `ktr_${"x".repeat(91)}!${"é".repeat(20)}!s`]) {
    const { cookies } = request(cookie);
    assert.equal((await make(cookies).me().catch((error) => error)).kind, "signed_out", cookie);
  }
});

test("a request and its response are enough", async () => {
  const email = await person();
  const first = cookiesOf(new Request("https://app.example", { headers: { cookie: "other=1; theme=dark" } }));
  assert.equal(first.get("theme"), "dark");
  await createServerClient({ baseUrl: KEYTURN, cookies: first, secure: true, ...LONG }).login({ email, password: PASSWORD });
  const [line, ...others] = first.setCookie();
  assert.deepEqual(others, []);
  assert.match(line, /^__Host-keyturn=[\w.!-]+; Path=\/; Max-Age=7776000; HttpOnly; SameSite=Lax; Secure$/);
  const headers = { cookie: `a=b; ${line.split(";")[0]}` };
  const second = cookiesOf(new Request("https://app.example", { headers }));
  const client = createServerClient({ baseUrl: KEYTURN, cookies: second, secure: true, ...LONG });
  assert.equal((await client.me()).user.email, email);
  assert.deepEqual(second.setCookie(), []);
  assert.equal(second.headers().get("cookie"), headers.cookie);
});

test("who handles a request next gets the cookies that were set for it", async () => {
  const email = await person();
  const cookie = await loggedIn(email);
  await advance(1000);
  const headers = { cookie: `theme=dark; ${NAME}=${cookie}`, "accept-language": "de" };
  const cookies = cookiesOf(new Request("http://app.example", { headers }));
  await make(cookies).me();
  const next = cookiesOf(new Request("http://app.example", { headers: cookies.headers() }));
  assert.equal(cookies.headers().get("accept-language"), "de");
  assert.equal(next.get("theme"), "dark");
  assert.equal(`${NAME}=${next.get(NAME)}`, cookies.setCookie()[0].split(";")[0]);
  await make(next).logout();
  assert.equal(next.headers().get("cookie"), `theme=dark; ${NAME}=`);
});

test("keyturn knows the browser, and no other server is told of it", async (context) => {
  const front = await counted(context);
  const other = await counted(context);
  const browser = { "user-agent": "Mozilla/5.0 (X11; Linux x86_64; rv:150.0) Gecko/20100101 Firefox/150.0" };
  const headers = new Headers({ ...browser, "accept-language": "de", "x-forwarded-for": "192.0.2.7", cookie: "a=b" });
  const { cookies } = request();
  const client = make(cookies, { baseUrl: `${front.url}/`, headers, origins: [other.url] });
  await client.login({ email: await person(), password: PASSWORD });
  await client.fetch(`${other.url}/api/v1/auth/me`);
  const [session] = await client.sessions.list();
  assert.match(session.device.label, /^Firefox/);
  assert.ok(front.requests.length >= 2);
  for (const { headers: sent } of front.requests) {
    for (const name of ["user-agent", "accept-language", "x-forwarded-for"]) assert.equal(sent[name], headers.get(name));
    assert.equal(sent.cookie, undefined);
  }
  const [{ headers: told }] = other.requests;
  assert.ok(told.authorization);
  assert.notEqual(told["user-agent"], browser["user-agent"]);
  assert.equal(told["x-forwarded-for"], undefined);
});
