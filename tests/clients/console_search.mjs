// Searches people in the console while typing, and reports what is shown.
import { chromium } from "playwright-core";

const given = JSON.parse(process.argv[2]);
const browser = await chromium.launch({
  executablePath: given.chromium,
  args: [
    ...["--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-sync"],
    ...["--disable-background-networking", "--disable-component-update"],
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",
  ],
});
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
