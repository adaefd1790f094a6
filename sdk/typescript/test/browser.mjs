// Pages in Chromium that use the client, at an origin of their own.
import { createServer } from "node:http";
import { chromium } from "playwright-core";
import { build } from "esbuild";

const ARGUMENTS = [
  ...["--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-sync"],
  ...["--disable-background-networking", "--disable-component-update"],
  "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1, EXCLUDE localhost",
];
const launched = { executablePath: process.env.KEYTURN_TEST_CHROMIUM, args: ARGUMENTS };

/** Returns the client as a script of one global. */
export async function script(entry = 'export * from "@keyturn/client"', format = { globalName: "sdk" }) {
  const stdin = { contents: entry, resolveDir: new URL("..", import.meta.url).pathname };
  const { outputFiles } = await build({ stdin, bundle: true, format: "iife", target: "es2020", write: false, ...format });
  return outputFiles[0].text;
}

/** Starts a server of pages that have the client, on this port. */
export async function site(context, { port = 0, entry, head = "" } = {}) {
  const code = await script(entry);
  const server = createServer(({ url }, response) => {
    const isScript = url === "/client.js";
    response.writeHead(200, { "content-type": isScript ? "text/javascript" : "text/html" });
    response.end(isScript ? code : `<!doctype html><title>app</title>${head}<script src="/client.js"></script><main></main>`);
  });
  await new Promise((resolve) => server.listen(port, "127.0.0.1", resolve));
  context.after(() => (server.closeAllConnections(), server.close()));
  return `http://127.0.0.1:${server.address().port}`;
}

/** Starts Chromium, for as long as a test lasts. */
export async function browser(context) {
  const started = await chromium.launch(launched);
  context.after(() => started.close());
  return started;
}

/** Starts Chromium with a profile, for as long as a test lasts. */
export async function profile(context, folder) {
  const started = await chromium.launchPersistentContext(folder, launched);
  context.after(() => started.close());
  return started;
}
