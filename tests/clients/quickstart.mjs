// Uses the app of a quick start in Chromium as its guide says: logs in, sees what is for people who are logged in, ends
// another device, logs out.
import { launch } from "./chromium.mjs";

const { chromium: executablePath, keyturn, app, email, password } = JSON.parse(process.argv[2]);
async function login(device_name) {
  const [body, headers] = [JSON.stringify({ email, password, device_name }), { "content-type": "application/json" }];
  return (await fetch(`${keyturn}/api/v1/auth/login`, { method: "POST", headers, body })).json();
}
const { access_token } = await login("phone");
const phone = () => fetch(`${keyturn}/api/v1/auth/me`, { headers: { authorization: `Bearer ${access_token}` } });

const browser = await launch(executablePath);
const page = await browser.newPage();
const complaints = [];
page.on("pageerror", (error) => complaints.push(String(error)));
const button = (name) => page.getByRole("button", { name, exact: true });
const hello = page.getByText(`Hello, ${email}`);
const device = (name) => page.locator("#sessions li", { hasText: name });

async function logIn(typed) {
  await page.getByLabel("Email").fill(email);
  await page.getByLabel("Password").fill(typed);
  await button("Log in").click();
}

await page.goto(app);
await logIn("not the password");
const alert = page.locator('[role="alert"]:not(:empty):visible').first();
await alert.waitFor();
const refused = await alert.textContent();
const kept = await page.getByLabel("Email").inputValue();
await logIn(password);
await hello.waitFor();
// An app may greet before it has loaded the rest.
await page.locator("#orders li").first().waitFor();
for (const name of ["(this device)", "phone"]) await device(name).waitFor();
const orders = await page.locator("#orders li").allTextContents();
const devices = await page.locator("#sessions li").allTextContents();

await page.reload();
await device("phone").getByRole("button").click();
await device("phone").waitFor({ state: "detached" });
await device("(this device)").waitFor();
const [left, ended] = [await page.locator("#sessions li").count(), (await phone()).status];

await button("Log out").click();
await button("Log in").waitFor();
await page.goto(app);
await button("Log in").waitFor();
const is_out = await hello.isHidden();

// And a session that another device ends.
await logIn(password);
await hello.waitFor();
const other = await login("tablet");
const authorization = `Bearer ${other.access_token}`;
await fetch(`${keyturn}/api/v1/sessions`, { method: "DELETE", headers: { authorization } });
await page.reload();
await button("Log in").waitFor();
console.log(JSON.stringify({ refused, kept, orders, devices, left, ended, is_out, complaints }));
await browser.close();
