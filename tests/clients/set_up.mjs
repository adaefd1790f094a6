// Sets a server up on its first page, by keyboard, and reports where that leads to.
import { launch } from "./chromium.mjs";

const given = JSON.parse(process.argv[2]);
const browser = await launch(given.chromium);
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
