// Uses the API explorer in Chromium: registers, and sends requests with a path, a query and a body.
import { launch } from "./chromium.mjs";

const { chromium: executablePath, url, password } = JSON.parse(process.argv[2]);
const browser = await launch(executablePath);
const page = await browser.newPage();
const hosts = new Set();
const errors = [];
page.on("request", (request) => hosts.add(new URL(request.url()).host));
// A refused request is logged as an error too; what the policy refuses says so.
page.on("console", (message) => /Content Security Policy/.test(message.text()) && errors.push(message.text()));
page.on("pageerror", (error) => errors.push(error.message));

await page.goto(url);
await page.click("a[href$='docs']");

// Opens an operation, fills in its form, and returns the answer that the page shows.
async function send(id, fields, body) {
  const operation = page.locator(`details#${id}`);
  if (!(await operation.getAttribute("open").then((open) => open !== null))) await operation.locator("summary").click();
  for (const [name, value] of Object.entries(fields)) await operation.locator(`[name="${name}"]`).fill(value);
  if (body) await operation.locator("textarea").fill(JSON.stringify(body));
  await operation.locator("button").click();
  const answer = operation.locator(".answer");
  await answer.filter({ hasText: /^\d{3} / }).waitFor();
  return answer.textContent();
}

const registered = await send("register_account", {}, { email: "visitor@example.com", password });
const { session_id } = JSON.parse(registered.slice(registered.indexOf("{")));
const me = await send("get_me", {});
const renamed = await send("rename_session", { id: session_id }, { name: "in the explorer" });
const limited = await send("list_own_audit_log", { limit: "1" });
const refused = await send("log_in", {}, { email: "visitor@example.com" });
await page.goto("about:blank");
await page.goto(`${url}/docs#list_sessions`);
const open = await page.locator("details[open]").evaluateAll((all) => all.map((operation) => operation.id));
hosts.delete("");
console.log(JSON.stringify({ registered, me, renamed, limited, refused, open, errors, hosts: [...hosts] }));
await browser.close();
