// A program that keeps its session in a file, calls once, and is killed at a step if it is told to.
import { existsSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { createClient } from "@keyturn/client";

const { url, file, shared, killAt } = JSON.parse(process.argv[2]);
let steps = 0;

// Every step of the storage and of the network is one that a process may not survive.
function step() {
  if (steps === killAt) process.kill(process.pid, "SIGKILL");
  steps += 1;
}

async function around(act) {
  step();
  const result = await act();
  step();
  return result;
}

const storage = {
  shared,
  get: () => around(async () => (existsSync(file) ? readFileSync(file, "utf8") : null)),
  set: (text) => around(async () => writeFileSync(file, text)),
  remove: () => around(async () => rmSync(file, { force: true })),
};
const fetching = (input, init) =>
  around(async () => {
    const response = await fetch(input, init);
    const text = await around(() => response.text());
    const { status, headers } = response;
    return new Response(text || null, { status, headers });
  });

const client = createClient({ baseUrl: url, storage, fetch: fetching });
client.on("signedOut", ({ reason }) => console.log(`signed out: ${reason}`));
console.log((await client.me()).user.email);
console.log(`steps: ${steps}`);
