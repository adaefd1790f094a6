// Components in Chromium show who is logged in, in strict mode, which mounts everything twice.
import assert from "node:assert/strict";
import { test } from "node:test";
import { browser, site } from "./browser.mjs";
import { KEYTURN, PASSWORD, loggedIn, person } from "./server.mjs";

const entry = `
  import { StrictMode, createElement } from "react";
  import { createRoot } from "react-dom/client";
  import { createClient } from "@keyturn/client";
  import { KeyturnProvider, useKeyturn, useSession } from "@keyturn/client/react";

  window.start = (baseUrl) => {
    window.calls = 0;
    const counted = (input, init) => ((window.calls += 1), fetch(input, init));
    window.client = createClient({ baseUrl, fetch: counted });
    window.shown = [];
    function Who() {
      const session = useSession();
      const { login } = useKeyturn();
      window.login = login;
      const text = session.status === "signed_in" ? session.me.user.email : session.reason ?? session.status;
      if (window.shown.at(-1) !== text) window.shown.push(text);
      return createElement("p", null, text);
    }
    const app = createElement(KeyturnProvider, { client: window.client }, createElement(Who), createElement(Who));
    window.root = createRoot(document.querySelector("main"));
    window.root.render(createElement(StrictMode, null, app));
  };
`;

test("components show who is logged in, and each change of it", async (context) => {
  const app = await site(context, { entry });
  const pages = await (await browser(context)).newContext();
  const email = await person();
  const open = async () => {
    const page = await pages.newPage();
    page.on("pageerror", (error) => assert.fail(error));
    page.on("console", (message) => message.type() === "error" && assert.fail(message.text()));
    await page.goto(app);
    await page.evaluate((url) => start(url), KEYTURN);
    return page;
  };
  const shows = (page, text) => page.locator(`p:text-is("${text}")`).nth(1).waitFor();
  const [page, other] = [await open(), await open()];
  await Promise.all([page, other].map((each) => shows(each, "signed_out")));
  await page.evaluate(([email, password]) => login({ email, password }), [email, PASSWORD]);
  await Promise.all([page, other].map((each) => shows(each, email)));
  // A page that is loaded again shows it at once, by one call.
  await other.reload();
  await other.evaluate((url) => start(url), KEYTURN);
  await shows(other, email);
  assert.ok((await other.evaluate(() => calls)) <= 2, "strict mode loads twice at the most");
  assert.deepEqual(await other.evaluate(() => shown), ["loading", email]);
  await page.evaluate(() => client.logout());
  await Promise.all([page, other].map((each) => shows(each, "logout")));
  await page.evaluate(() => root.unmount());
});

test("a session that ends elsewhere is shown with its reason", async (context) => {
  const app = await site(context, { entry });
  const page = await (await (await browser(context)).newContext()).newPage();
  await page.goto(app);
  const email = await person();
  await page.evaluate((url) => start(url), KEYTURN);
  await page.locator('p:text-is("signed_out")').first().waitFor();
  await page.evaluate(([email, password]) => login({ email, password }), [email, PASSWORD]);
  await page.locator(`p:text-is("${email}")`).first().waitFor();
  const { client } = await loggedIn(context, { email });
  await client.sessions.endOthers();
  await page.evaluate(() => client.me().catch(() => {}));
  await page.locator('p:text-is("session_revoked")').first().waitFor();
});
