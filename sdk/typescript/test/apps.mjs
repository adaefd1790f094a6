// Apps with pages of their own that use the elements, under a policy that allows hardly anything.
import { readFileSync } from "node:fs";
import { createServer } from "node:http";
import { script } from "./browser.mjs";
import { KEYTURN, PASSWORD } from "./server.mjs";

const dist = new URL("../dist/", import.meta.url);
const production = {
  minify: true,
  define: {
    "process.env.NODE_ENV": '"production"',
    __VUE_OPTIONS_API__: "true",
    __VUE_PROD_DEVTOOLS__: "false",
    __VUE_PROD_HYDRATION_MISMATCH_DETAILS__: "false",
  },
};

// All of them show the same, and leave their client and what the elements told in the page's globals.
const setUp = `
  const query = new URLSearchParams(location.search);
  document.documentElement.lang = query.get("lang") ?? "en";
  document.documentElement.dir = query.get("dir") ?? "ltr";
  const baseUrl = query.get("keyturn");
  globalThis.told = [];
  const names = ["signed-out", "session-ended", "sessions-ended", "session-renamed", "password-changed",
    "two-step-changed", "recovery-codes-replaced", "trusted-devices-removed", "alerts-changed"];
  for (const name of names) {
    addEventListener("keyturn-" + name, ({ detail }) => told.push([name, detail]));
  }
  const pseudo = (english) => Object.fromEntries(Object.entries(english).map(([key, text]) =>
    [key, typeof text === "string" ? "⟦" + text + "⟧" : (...given) => "⟦" + text(...given) + "⟧"]));
  const textsOf = ({ english, german }) => ({ pseudo: pseudo(english), german })[query.get("texts")];
  const onStepUp = query.has("step-up") && { onStepUp: (required) => globalThis.stepUp(required) };
  const transport = query.has("cookie") ? "cookie" : "bearer";
  globalThis.client = createClient({ baseUrl, transport, live: query.has("live"), ...onStepUp });
`;

const APPS = {
  html: `
    import { createClient } from "/dist/index.js";
    import { defineElements, english, german } from "/dist/elements.js";
    ${setUp}
    globalThis.defineElements = defineElements;
    const texts = textsOf({ english, german });
    if (query.has("early")) {
      for (const element of document.querySelectorAll("#app > *")) Object.assign(element, { client, texts });
      defineElements();
    } else {
      defineElements({ client, texts });
    }
  `,
  react: `
    import { createElement as h, StrictMode, useState } from "react";
    import { createRoot } from "react-dom/client";
    import { createClient } from "@keyturn/client";
    import { defineElements, english, german } from "@keyturn/client/elements";
    ${setUp}
    defineElements();
    const texts = textsOf({ english, german });
    function App() {
      const [count, setCount] = useState(0);
      globalThis.render = () => setCount((now) => now + 1);
      globalThis.rendered = count;
      return h("div", null,
        h("keyturn-sessions", { client, texts, "onkeyturn-signed-out": ({ detail }) => (globalThis.reactTold = detail) },
          h("a", { slot: "signed-out", href: "/login" }, "Log in")),
        h("keyturn-security", { client, texts: texts && { ...texts } }));
    }
    createRoot(document.querySelector("#app")).render(h(StrictMode, null, h(App)));
  `,
  vue: `
    import { createApp, h, ref } from "vue";
    import { createClient } from "@keyturn/client";
    import { defineElements, english, german } from "@keyturn/client/elements";
    ${setUp}
    defineElements();
    const texts = textsOf({ english, german });
    const count = ref(0);
    globalThis.render = () => (globalThis.rendered = count.value += 1);
    createApp({
      render: () => h("div", { "data-count": count.value }, [
        h("keyturn-sessions", { client, texts, "onKeyturn-signed-out": ({ detail }) => (globalThis.vueTold = detail) },
          [h("a", { slot: "signed-out", href: "/login" }, "Log in")]),
        h("keyturn-security", { client, texts: texts && { ...texts } }),
      ]),
    }).mount("#app");
  `,
};

const ELEMENTS = `<keyturn-sessions><a slot="signed-out" href="/login">Log in</a></keyturn-sessions>
  <keyturn-security><a slot="signed-out" href="/login">Log in</a></keyturn-security>`;
const STYLE = `
  :root { color-scheme: light dark; font-family: sans-serif; background: light-dark(#fafaf9, #141312) }
  body { margin: 1rem auto; max-width: 44rem; padding: 0 1rem }
  keyturn-security { margin-block-start: 2.5rem }
`;

/** Starts the server of an app, for as long as a test lasts. Returns its address. */
export async function app(context, kind, port = 0) {
  const code = kind === "html" ? APPS.html : await script(APPS[kind], production);
  const policy = [
    "default-src 'none'; script-src 'self'; style-src 'self'; base-uri 'none'; form-action 'none'",
    `connect-src ${KEYTURN}; require-trusted-types-for 'script'`,
  ].join("; ");
  const page = `<!doctype html><html lang="en"><title>app</title><meta name="viewport" content="width=device-width">
    <link rel="stylesheet" href="/app.css"><script type="module" src="/app.js"></script>
    <main><h1>Your account</h1><div id="app">${kind === "html" ? ELEMENTS : ""}</div></main>`;
  const answers = { "/": ["text/html", page], "/app.css": ["text/css", STYLE], "/app.js": ["text/javascript", code] };
  const server = createServer(({ url }, response) => {
    const { pathname } = new URL(url, "http://localhost");
    // A copy of the package is one at another address.
    const [, file] = /^\/(?:dist|copy)\/([a-z_/]+\.js)$/.exec(pathname) ?? [];
    const found = file ? ["text/javascript", readFileSync(new URL(file, dist))] : answers[pathname];
    const [type, text] = found ?? ["text/plain", "nothing"];
    const headers = { "content-type": `${type}; charset=utf-8`, "content-security-policy": policy };
    response.writeHead(found ? 200 : 404, headers).end(text);
  });
  await new Promise((resolve) => server.listen(port, "127.0.0.1", resolve));
  context.after(() => (server.closeAllConnections(), server.close()));
  return `http://127.0.0.1:${server.address().port}/?keyturn=${encodeURIComponent(KEYTURN)}`;
}

/** Opens an app in Chromium, and fails the test for whatever the page complains of. */
export async function opened(context, pages, url) {
  const page = await pages.newPage();
  const wrong = [];
  page.on("pageerror", (error) => wrong.push(`script: ${error.message}`));
  page.on("console", (message) => {
    // The status of a request that is refused is no error of the page.
    const isStatus = /Failed to load resource: the server responded with a status of 4/.test(message.text());
    if (["error", "warning"].includes(message.type()) && !isStatus) wrong.push(`console: ${message.text()}`);
  });
  await page.addInitScript(() => {
    globalThis.violations = [];
    document.addEventListener("securitypolicyviolation", ({ violatedDirective, blockedURI }) => {
      globalThis.violations.push(`${violatedDirective} ${blockedURI}`);
    });
  });
  await page.goto(url);
  await page.waitForFunction(() => globalThis.client && customElements.get("keyturn-security"));
  return { page, wrong };
}

/** Logs somebody in to an app that is open. */
export function logIn(page, email) {
  return page.evaluate(([email, password]) => client.login({ email, password }), [email, PASSWORD]);
}
