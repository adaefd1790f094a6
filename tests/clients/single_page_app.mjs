// Uses the page of the guide to single-page apps in Chromium: logs in, ends another device, loses cookies, logs out.
import { launch } from "./chromium.mjs";

const { chromium: executablePath, keyturn, app, email, password } = JSON.parse(process.argv[2]);
const json = { "content-type": "application/json" };
const post = (path, body) =>
  fetch(`${keyturn.replace("localhost", "127.0.0.1")}${path}`, { method: "POST", headers: json, body: JSON.stringify(body) });
await post("/api/v1/auth/register", { email, password, device_name: "phone" });

const browser = await launch(executablePath, "MAP localhost 127.0.0.1, MAP * ~NOTFOUND, EXCLUDE 127.0.0.1");
const context = await browser.newContext();
const page = await context.newPage();

async function open(tab) {
  await tab.goto(app);
  await tab.locator("#login:visible, #app:visible").waitFor();
  return (await tab.locator("#app").isVisible()) ? tab.locator("#who").textContent() : null;
}

async function logIn(typed) {
  await page.fill("[name=email]", email);
  await page.fill("[name=password]", typed);
  await page.click("#login button");
}

await open(page);
await logIn("not the password");
await page.locator("#error:not(:empty)").waitFor();
const refused = await page.locator("#error").textContent();
await logIn(password);
await page.locator("#app:visible").waitFor();
const who = await page.locator("#who").textContent();
const devices = await page.locator("#sessions li").count();
await page.locator("#sessions li", { hasText: "phone" }).locator("button").click();
await page.locator("#sessions li", { hasText: "phone" }).waitFor({ state: "detached" });
const left = await page.locator("#sessions li").count();
await post("/api/v1/auth/login", { email, password, device_name: "tablet" });

// The access token's cookie goes as it does when it expires: the page has to refresh, and so have its other tabs.
await context.clearCookies({ name: /access/ });
const others = await Promise.all([context.newPage(), context.newPage()]);
const tabs = await Promise.all([page, ...others].map(open));
const [scripts_see, stored] = await page.evaluate(() => [document.cookie, Object.values(localStorage).join()]);
const tokens = stored.match(/kt[a-z]_|eyJ/g) ?? [];

const ended = page.waitForResponse((response) => response.url().endsWith("/auth/logout"));
await page.click("#logout");
await ended;
await page.locator("#login:visible").waitFor();
const after_logout = (await open(others[0])) === null;
console.log(JSON.stringify({ refused, who, devices, left, tabs, scripts_see, tokens, after_logout }));
await browser.close();
