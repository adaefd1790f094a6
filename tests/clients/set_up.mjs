// Sets a server up on its first page, by keyboard, and reports where that leads to.
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
const begun = performance.now();
const context = await browser.newContext({ locale: "en", javaScriptEnabled: given.script });
const page = await context.newPage();
const wrong = [];
page.on("console", (message) => wrong.push(message.text()));
page.on("pageerror", (error) => wrong.push(error.message));
await page.goto(given.url);
await page.locator("[name=setup_code]").focus();
for (const text of [given.code, "root@example.com", given.password]) {
  await page.keyboard.insertText(text);
  await page.keyboard.press("Tab");
}
await page.keyboard.press("Enter");
await page.waitForURL((url) => url.pathname !== "/");
const report = {
  wrong,
  path: new URL(page.url()).pathname,
  heading: await page.locator("h1").textContent(),
  seconds: (performance.now() - begun) / 1000,
};
await browser.close();
process.stdout.write(JSON.stringify(report));
