// What was disposed of leaves nothing behind.
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { test } from "node:test";
import { fileURLToPath } from "node:url";
import { createClient, memoryStorage, webStorage } from "@keyturn/client";
import { HandClock } from "./clocks.mjs";
import { Model } from "./model.mjs";

// Counts listeners and channels, in the place of a page's globals.
function page(context) {
  const open = new Map();
  let id = 0;
  const target = () => {
    const own = (id += 1);
    return {
      visibilityState: "visible",
      addEventListener(type, call, { signal } = {}) {
        const name = `${own} ${type}`;
        open.set(name, call);
        signal?.addEventListener("abort", () => open.delete(name));
      },
      removeEventListener: (type) => open.delete(`${own} ${type}`),
    };
  };
  const globals = {
    document: target(),
    window: target(),
    ...target(),
    localStorage: { getItem: () => null, setItem() {}, removeItem() {} },
    BroadcastChannel: class {
      constructor() {
        Object.assign(this, target());
        open.set(this);
      }
      postMessage() {
        assert.ok(open.has(this), "a closed channel is left alone");
      }
      close() {
        open.delete(this);
      }
    },
  };
  const former = Object.fromEntries(Object.keys(globals).map((name) => [name, Object.getOwnPropertyDescriptor(globalThis, name)]));
  for (const [name, value] of Object.entries(globals)) {
    Object.defineProperty(globalThis, name, { value, configurable: true, writable: true });
  }
  context.after(() => {
    for (const [name, descriptor] of Object.entries(former)) {
      if (descriptor) Object.defineProperty(globalThis, name, descriptor);
      else delete globalThis[name];
    }
  });
  return open;
}

test("no listener, channel and timer is left, whatever was on its way", async (context) => {
  const open = page(context);
  for (let mount = 0; mount < 20; mount += 1) {
    const clock = new HandClock();
    const model = new Model(() => 1_800_000_000_000 + clock.time);
    const fetch = async (url, init) => model.answer(url, init);
    const storage = mount % 2 ? { ...memoryStorage(), watch: webStorage().watch } : memoryStorage();
    const client = createClient({ baseUrl: "https://auth.example", fetch, clock, storage, live: mount % 3 === 0 });
    client.on("signedOut", () => assert.fail("nobody logged out"));
    await client.login({ email: "ada@example.com", password: "x" });
    assert.ok(open.size >= 6, String(open.size));
    // In the middle of a refresh, of a back-off, of a call, of nothing.
    clock.advance(1_000_000);
    model.refresh = [model.refresh, () => new Response("", { status: 503 }), () => new Promise(() => {})][mount % 3];
    const call = mount % 4 === 0 ? undefined : client.me().catch((error) => error);
    for (let turn = 0; turn < mount; turn += 1) await Promise.resolve();
    if (mount > 10) await new Promise(setImmediate);
    client.dispose();
    client.dispose();
    assert.equal(open.size, 0);
    const error = await call;
    assert.ok(!(error instanceof Error) || error.kind === "disposed", error?.kind);
    await new Promise(setImmediate);
    assert.equal(clock.timers.size, 0);
    assert.equal((await client.me().catch((thrown) => thrown)).kind, "disposed");
  }
});

test("a program that has disposed of its client ends", () => {
  const text = `
    import { createClient } from "@keyturn/client";
    const fetch = () => new Promise(() => {});
    const random = (length) => new Uint8Array(length);
    const client = createClient({ baseUrl: "https://auth.example", fetch, timeout: 600_000, live: true });
    void client.login({ email: "ada@example.com", password: "x" }).catch(() => {});
    setTimeout(() => client.dispose(), 50);
  `;
  const cwd = fileURLToPath(new URL("..", import.meta.url));
  execFileSync(process.execPath, ["--input-type=module", "-e", text], { cwd, timeout: 60_000 });
});
