// Shows pages in Chromium as different people have them, and reports what is wrong with any.
import { createRequire } from "node:module";
import { readFileSync } from "node:fs";
import { launch } from "./chromium.mjs";

const given = JSON.parse(process.argv[2]);
const axe = readFileSync(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");
const tags = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"];
const wide = { width: 1280, height: 800 };
const ways = [
  { name: "light", language: "en", viewport: wide },
  { name: "dark", language: "de", viewport: wide, colorScheme: "dark" },
  { name: "forced colours", language: "en", viewport: wide, forcedColors: "active" },
  { name: "narrow", language: "de", viewport: { width: 320, height: 640 }, reducedMotion: "reduce" },
  // A window of 1280 pixels, at twice the size.
  { name: "zoom", language: "en", viewport: { width: 640, height: 400 }, deviceScaleFactor: 2 },
  { name: "accented", language: "en-XA", viewport: { width: 320, height: 640 } },
  { name: "right to left", language: "ar-XB", viewport: { width: 320, height: 640 }, colorScheme: "dark" },
];

const browser = await launch(given.chromium);

// Runs in the page: returns texts that are seen or read out and are neither in brackets nor marked as not to be
// translated.
function plainTexts() {
  const plain = [];
  const isName = (element) => element.closest("[translate=no], script, style") !== null;
  let depth = 0;
  const walker = document.createTreeWalker(document.documentElement, NodeFilter.SHOW_TEXT);
  while (walker.nextNode()) {
    const { nodeValue, parentElement } = walker.currentNode;
    // A script writes times as the browser does.
    if (isName(parentElement) || parentElement.tagName === "TIME") continue;
    // The title ends with the name of the server.
    const text = parentElement.tagName === "TITLE" ? nodeValue.replace(/( – )?[^⟧]*$/, "") : nodeValue;
    for (const letter of text) {
      if (letter === "⟦") depth += 1;
      else if (letter === "⟧") depth -= 1;
      else if (depth === 0 && /\p{L}/u.test(letter)) {
        plain.push(text.trim());
        break;
      }
    }
  }
  for (const name of ["aria-label", "alt", "title", "placeholder"]) {
    for (const element of document.querySelectorAll(`[${name}]`)) {
      const text = element.getAttribute(name);
      if (!isName(element) && text && !/^⟦.*⟧$/u.test(text)) plain.push(`${name}: ${text}`);
    }
  }
  return plain;
}

// Shows a page, after its form was filled in and sent if `typed` says with what, and returns what is wrong with it.
async function look(context, { url, typed, cookie }, way) {
  const wrong = [];
  const page = await context.newPage();
  page.on("console", (message) => {
    // The status of a page that refuses is no error of the page.
    if (!/Failed to load resource: the server responded with a status of 4/.test(message.text())) {
      wrong.push(`console: ${message.text()}`);
    }
  });
  page.on("pageerror", (error) => wrong.push(`script: ${error.message}`));
  await page.addInitScript(() => {
    globalThis.violations = [];
    document.addEventListener("securitypolicyviolation", (event) => {
      globalThis.violations.push(`${event.violatedDirective} ${event.blockedURI}`);
    });
  });
  const session = await context.newCDPSession(page);
  await session.send("Network.enable");
  // As in a browser that has nothing of the server's yet.
  await session.send("Network.setCacheDisabled", { cacheDisabled: true });
  let bytes = 0;
  let requests = 0;
  // What a page asks for later on is not what it takes to show it.
  const later = new Set();
  session.on("Network.requestWillBeSent", ({ request, requestId }) => {
    if (new URL(request.url).pathname.endsWith("/live")) later.add(requestId);
    else if (!request.url.startsWith("data:")) requests += 1;
  });
  session.on("Network.loadingFinished", ({ encodedDataLength, requestId }) => {
    if (!later.has(requestId)) bytes += encodedDataLength;
  });

  // Of somebody who is logged in.
  await page.setExtraHTTPHeaders(cookie ? { cookie } : {});
  await page.goto(url, { waitUntil: "load" });
  if (typed) {
    for (const [name, value] of Object.entries(typed)) await page.fill(`[name="${name}"]`, value);
    bytes = requests = 0;
    await Promise.all([page.waitForNavigation(), page.keyboard.press("Enter")]);
  }
  // Without what the page's script asks for later.
  const loaded = { bytes, requests };
  // A browser moves the focus when it next draws the page.
  await page.waitForFunction(() => document.activeElement !== document.body).catch(() => {});
  const seen = await page.evaluate(() => ({
    lang: document.documentElement.lang,
    focused: document.activeElement?.tagName === "H1" || document.activeElement?.getAttribute("role") === "alert",
    headings: document.querySelectorAll("h1").length,
    hidden: document.scrollingElement.scrollWidth - document.scrollingElement.clientWidth,
    small: [...document.querySelectorAll("main button, main input:not([type=hidden], [hidden])")]
      .filter((target) => target.getBoundingClientRect().height < 24)
      .map((target) => target.outerHTML),
  }));
  if (seen.lang !== way.language) wrong.push(`is in ${seen.lang}`);
  if (!seen.focused) wrong.push("neither the heading nor an alert has the focus");
  if (seen.headings !== 1) wrong.push(`${seen.headings} headings`);
  if (seen.hidden > 0) wrong.push(`${seen.hidden} pixels are beside the window`);
  wrong.push(...seen.small.map((target) => `too small: ${target}`));
  if (way.language === "en-XA") {
    wrong.push(...(await page.evaluate(plainTexts)).map((text) => `in no catalogue: ${text}`));
  }
  // Each letter of the accented language takes two bytes, which those of no catalogue do.
  if (loaded.bytes > (way.language === "en-XA" ? 30_000 : 25_000)) wrong.push(`${loaded.bytes} bytes`);
  if (loaded.requests > 4) wrong.push(`${loaded.requests} requests`);
  // Before the checks, which are not the page's own.
  wrong.push(...(await page.evaluate(() => globalThis.violations)).map((violation) => `policy: ${violation}`));
  await page.evaluate(axe);
  const { violations } = await page.evaluate((values) => globalThis.axe.run({ runOnly: values }), tags);
  for (const { id, nodes } of violations) wrong.push(`${id}: ${nodes.map(({ html }) => html).join(" ")}`);
  await page.close();
  return { wrong: wrong.map((text) => `${way.name}: ${new URL(url).pathname}: ${text}`), ...loaded };
}

const report = { wrong: [], pages: 0, most_bytes: 0, most_requests: 0 };
async function show({ name, language, ...settings }) {
  const context = await browser.newContext({ ...settings, locale: language });
  await context.addCookies(given.cookies ?? []);
  for (const page of given.pages) {
    const { wrong, bytes, requests } = await look(context, page, { name, language });
    report.wrong.push(...wrong);
    report.pages += 1;
    report.most_bytes = Math.max(report.most_bytes, bytes);
    report.most_requests = Math.max(report.most_requests, requests);
  }
  await context.close();
}
await Promise.all(ways.map(show));
await browser.close();
process.stdout.write(JSON.stringify(report));
