// Whenever a process is killed, it goes on when it is started again: at once, an hour later, a day later.
import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { fileURLToPath } from "node:url";
import { createClient, memoryStorage } from "@keyturn/client";
import { KEYTURN, PASSWORD, advance, person } from "./server.mjs";

const child = fileURLToPath(new URL("crash-child.mjs", import.meta.url));

// Runs the program to its end, or to where it is killed.
function run(given) {
  return new Promise((resolve) => {
    const argument = JSON.stringify({ url: KEYTURN, ...given });
    execFile(process.execPath, [child, argument], (error, printed, said) => {
      const steps = Number(/steps: (\d+)/.exec(printed)?.[1]);
      resolve({ killed: error?.signal === "SIGKILL", failed: error && !error.signal ? said : "", printed, steps });
    });
  });
}

async function logIn(file, shared, login) {
  const storage = { ...memoryStorage(), shared };
  const client = createClient({ baseUrl: KEYTURN, storage });
  await client.login(login);
  writeFileSync(file, await storage.get());
  client.dispose();
}

// Does something for each, a few at a time.
async function forEach(all, act) {
  const left = [...all];
  await Promise.all(Array.from({ length: 3 }, async () => {
    while (left.length) await act(left.shift());
  }));
}

let killed = 0;
for (const shared of [false, true]) {
  for (const [name, seconds] of [["a second", 1], ["an hour", 3600], ["a day", 86_400]]) {
    test(`a ${shared ? "page" : "phone"} that is killed goes on after ${name}`, async (context) => {
      const folder = mkdtempSync(join(tmpdir(), "crash-"));
      context.after(() => rmSync(folder, { recursive: true, force: true }));
      const email = await person();
      const login = { email, password: PASSWORD };
      const whole = join(folder, "whole");
      await logIn(whole, shared, login);
      await advance(1000);
      const { steps, printed } = await run({ file: whole, shared });
      assert.match(printed, new RegExp(email));
      // A refresh, its storage and the call after it.
      assert.ok(steps >= 14, String(steps));
      const all = Array.from({ length: steps }, (_, step) => ({ step, file: join(folder, String(step)), shared }));
      for (const { file } of all) await logIn(file, shared, login);
      await advance(1000);
      await forEach(all, async (each) => {
        const outcome = await run({ ...each, killAt: each.step });
        assert.ok(outcome.killed, `step ${each.step}: ${outcome.failed}${outcome.printed}`);
        killed += 1;
      });
      for (const wait of [seconds, 1000]) {
        await advance(wait);
        await forEach(all, async (each) => {
          const outcome = await run(each);
          assert.match(outcome.printed, new RegExp(`^${email}`), `step ${each.step}: ${outcome.failed}${outcome.printed}`);
        });
      }
    });
  }
}

test("every step was one at which it was killed", () => {
  console.log(`killed ${killed} times`);
  assert.ok(killed >= 6 * 14, String(killed));
});
