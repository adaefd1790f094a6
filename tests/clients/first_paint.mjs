// Reports whether pages look the same when a browser first paints them and once they have loaded. Styles hold the
// first paint up, and scripts run after it: without scripts a page stays as it was painted first.
import { launch } from "./chromium.mjs";

const given = JSON.parse(process.argv[2]);
const browser = await launch(given.chromium);
const report = {};
for (const path of given.paths) {
  const pictures = [];
  for (const javaScriptEnabled of [false, true]) {
    const context = await browser.newContext({ javaScriptEnabled, locale: "en", reducedMotion: "reduce" });
    const page = await context.newPage();
    await page.goto(given.url + path, { waitUntil: "networkidle" });
    pictures.push(await page.screenshot({ caret: "hide" }));
    await context.close();
  }
  report[path] = pictures[0].equals(pictures[1]);
}
await browser.close();
process.stdout.write(JSON.stringify(report));
