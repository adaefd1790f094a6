// Searches people in the console while typing, and reports what is shown.
import { launch } from "./chromium.mjs";

const given = JSON.parse(process.argv[2]);
const browser = await launch(given.chromium);
const context = await browser.newContext({ locale: "en" });
await context.addCookies(given.cookies);
const page = await context.newPage();
const wrong = [];
page.on("console", (message) => wrong.push(message.text()));
page.on("pageerror", (error) => wrong.push(error.message));
await page.goto(given.url);
const before = await page.locator("#results tbody tr").count();
await page.locator("[name=q]").pressSequentially(given.text);
await page.waitForFunction(() => document.querySelectorAll("#results tbody tr").length === 1);
const report = {
  wrong,
  before,
  found: await page.locator("#results tbody a").first().textContent(),
  address: new URL(page.url()).search,
  announced: await page.locator("body > [role=status]").textContent(),
  typed: await page.evaluate(() => document.activeElement?.getAttribute("name")),
};
await browser.close();
process.stdout.write(JSON.stringify(report));
