// Asks the Next app of the quick start for many pages and routes at once, with one stale cookie, and counts how often
// keyturn is asked for the next one.
import { launch } from "./chromium.mjs";

const { chromium: executablePath, keyturn, app, email, password } = JSON.parse(process.argv[2]);
const NAME = "keyturn";
const browser = await launch(executablePath);
const context = await browser.newContext();
const page = await context.newPage();
const button = (name) => page.getByRole("button", { name, exact: true });

async function logIn() {
  await page.goto(`${app}/login`);
  await page.getByLabel("Email").fill(email);
  await page.getByLabel("Password").fill(password);
  await button("Log in").click();
  await page.locator("#sessions").waitFor();
}

const cookie = async () => (await context.cookies(app)).find(({ name }) => name === NAME)?.value;

// Session cookies: refresh token, key, session, end and time to refresh of the access token, and the access token.
const aged = (value, due, end = due) => value.split("!").with(3, end).with(4, due).join("!");
const expired = (value) => aged(value, 1);
const due = (value) => aged(value, 1, value.split("!")[3]);
// As after a change of roles.
const refused = (value) => `${value.slice(0, -9)}wrong`;

async function refreshes() {
  const text = await (await fetch(`${keyturn}/metrics`)).text();
  const lines = text.matchAll(/^keyturn_http_requests_total\{.*route="\/api\/v1\/sessions\/refresh".*\} (\d+)$/gm);
  return Array.from(lines, ([, count]) => Number(count)).reduce((sum, count) => sum + count, 0);
}

async function load(path, cookie) {
  const response = await fetch(app + path, { headers: { cookie }, redirect: "manual" });
  const { status, headers } = response;
  return { status, text: await response.text(), set: headers.getSetCookie(), to: headers.get("location") };
}

// Loads pages at once, and tells how often keyturn was asked to refresh, and which cookies came of it.
async function loadAll(paths, cookie) {
  const before = await refreshes();
  const all = await Promise.all(paths.map((path) => load(path, cookie)));
  const cookies = new Set(all.flatMap(({ set }) => set.map((line) => line.split(";")[0])));
  return {
    refreshes: (await refreshes()) - before,
    statuses: [...new Set(all.map(({ status }) => status))],
    lines: [...new Set(all.map(({ set }) => set.length))],
    cookies: [...cookies],
  };
}

const loaders = async (query, cookie) => {
  const { text } = await load(`/loaders${query}`, cookie);
  return [...new Set(Array.from(text.matchAll(/<li>([^<]*)<\/li>/g), ([, seen]) => seen))];
};

await logIn();
const seen = {};
const groups = { pages: ["/", "/loaders"], routes: ["/api/orders"], both: ["/", "/api/orders"] };
for (const [kind, make] of Object.entries({ expired, refused })) {
  for (const [name, paths] of Object.entries(groups)) {
    const stale = make(await cookie());
    const twenty = Array.from({ length: 20 }, (_, index) => paths[index % paths.length]);
    const { cookies: [fresh, ...others], ...rest } = await loadAll(twenty, `${NAME}=${stale}`);
    seen[`${kind} ${name}`] = { ...rest, others, again: (await loadAll(twenty, fresh)).refreshes };
    await context.addCookies([{ name: NAME, value: fresh.slice(NAME.length + 1), url: app, httpOnly: true }]);
  }
}

// Components whose cookie nobody refreshes, until somebody does.
const [fresh, unrefreshed] = [await cookie(), (value) => `unrefreshed=${value}`];
const own = (value) => loaders("?name=unrefreshed", unrefreshed(value));
const before = await refreshes();
seen.unrefreshed = [await own(fresh), await own(due(fresh)), await own(expired(fresh)), await own("")];
seen.unrefreshed.push((await refreshes()) - before);
const [line] = (await load("/", `${NAME}=${expired(fresh)}`)).set;
seen.known = await own(expired(fresh));
await context.addCookies([{ name: NAME, value: line.slice(NAME.length + 1).split(";")[0], url: app, httpOnly: true }]);

// Actions with a stale cookie: its session goes on, and after the logout nothing is left.
async function makeStale() {
  await context.addCookies([{ name: NAME, value: expired(await cookie()), url: app, httpOnly: true }]);
}
const authorization = async () => ({ authorization: `Bearer ${(await cookie()).split("!")[5]}` });
await page.goto(app);
const count = await page.locator("#sessions li").count();
await makeStale();
await page.locator("#sessions li").getByRole("button").first().click();
await page.waitForFunction((count) => document.querySelectorAll("#sessions li").length === count, count - 1);
const headers = await authorization();
await makeStale();
await button("Log out").click();
await button("Log in").waitFor();
seen.left = (await cookie()) ?? null;
seen.ended = (await fetch(`${keyturn}/api/v1/auth/me`, { headers })).status;
seen.lost = await load("/", `${NAME}=${line.slice(NAME.length + 1).split(";")[0]}`);
delete seen.lost.text;
console.log(JSON.stringify(seen));
await browser.close();
