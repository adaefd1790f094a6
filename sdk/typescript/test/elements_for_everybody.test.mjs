// The elements are for everybody: whatever the colours, the width, the language and its direction.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { test } from "node:test";
import { app, logIn, opened } from "./apps.mjs";
import { browser } from "./browser.mjs";
import { codeOf, loggedIn, person } from "./server.mjs";

const axe = readFileSync(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");
const wide = { width: 1280, height: 800 };
const narrow = { width: 320, height: 640 };
const WAYS = [
  ["light", "", { viewport: wide }],
  ["dark", "&texts=german&lang=de", { viewport: wide, colorScheme: "dark" }],
  ["forced colours", "", { viewport: wide, forcedColors: "active" }],
  ["narrow", "&texts=german&lang=de", { viewport: narrow, reducedMotion: "reduce" }],
  ["right to left", "&texts=pseudo&lang=ar&dir=rtl", { viewport: narrow, colorScheme: "dark" }],
];

// Runs in the page: returns texts of the elements that are in no brackets, and not names or times.
function plainTexts() {
  const plain = [];
  for (const { shadowRoot } of document.querySelectorAll("keyturn-sessions, keyturn-security")) {
    const walker = document.createTreeWalker(shadowRoot, NodeFilter.SHOW_TEXT);
    while (walker.nextNode()) {
      const { nodeValue, parentElement } = walker.currentNode;
      if (parentElement.closest("time, [translate=no]")) continue;
      if (/\p{L}/u.test(nodeValue.replace(/⟦[^⟧]*⟧/gu, ""))) plain.push(nodeValue);
    }
    for (const element of shadowRoot.querySelectorAll("[aria-label]")) {
      if (!/^⟦.*⟧$/u.test(element.ariaLabel)) plain.push(element.ariaLabel);
    }
  }
  return plain;
}

test("everybody can use them: axe finds nothing, whatever the colours, width, language and direction", async (context) => {
  const chromium = await browser(context);
  const url = await app(context, "html");
  const email = await person();
  await loggedIn(context, { email });
  const tags = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"];
  for (const [name, query, settings] of WAYS) {
    const shown = await opened(context, await chromium.newContext(settings), url + query);
    const { page } = shown;
    const check = async (state) => {
      const where = `${name}, ${state}`;
      await page.evaluate(axe);
      const { violations } = await page.evaluate((runOnly) => globalThis.axe.run({ runOnly }), tags);
      assert.deepEqual(violations.map(({ id, nodes }) => `${id}: ${nodes.map(({ html }) => html).join(" ")}`), [], where);
      const beside = await page.evaluate(() => document.scrollingElement.scrollWidth - document.scrollingElement.clientWidth);
      assert.ok(beside <= 0, `${where}: ${beside} pixels are beside the window`);
      if (query.includes("pseudo")) assert.deepEqual(await page.evaluate(plainTexts), [], where);
      if (process.env.SCREENSHOTS) {
        await page.screenshot({ path: `${process.env.SCREENSHOTS}/${where.replaceAll(/\W+/g, "-")}.png`, fullPage: true });
      }
    };
    const sessions = page.locator("keyturn-sessions");
    const security = page.locator("keyturn-security");
    await sessions.locator(".signed-out").waitFor();
    await check("logged out");
    await logIn(page, email);
    await sessions.locator("li").nth(1).waitFor();
    await security.locator(".two-step .primary").waitFor();
    await check("as it is at first");
    await sessions.locator(".session.current button").click();
    await sessions.locator(".session .danger").first().click();
    await sessions.locator(".others button").click();
    await sessions.locator("summary").click();
    await security.locator(".password button").click();
    await security.locator(".two-step .primary").click();
    await security.locator("[part~=qr]").waitFor();
    await security.locator("summary").click();
    await check("with what is asked");
    const secret = (await security.locator("details code").textContent()).replaceAll(" ", "");
    await security.locator(".two-step input").first().fill(codeOf(secret));
    await page.keyboard.press("Enter");
    await security.locator(".codes").waitFor();
    await check("recovery codes");
    const others = await page.evaluate(() => client.sessions.list());
    assert.ok(others.length >= 3);
    await security.locator(".two-step .primary").click();
    await security.locator(".two-step .danger").click();
    await check("before two-step login is off");
    await page.evaluate(() => client.mfa.disable());
    assert.deepEqual(shown.wrong, []);
    assert.deepEqual(await page.evaluate(() => globalThis.violations), []);
    await page.context().close();
  }
});
