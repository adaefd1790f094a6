// What the conformance kit starts: has the client do the steps of a scenario, and prints a line of JSON for each.
import { readFile, rename, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { createClient } from "@keyturn/client";

const { KEYTURN_URL, KEYTURN_ELSEWHERE, KEYTURN_FOLDER, KEYTURN_EMAIL, KEYTURN_PASSWORD, KEYTURN_STEPS } = process.env;
const say = (line) => console.log(JSON.stringify(line));
const sleep = (seconds) => new Promise((resolve) => setTimeout(resolve, seconds * 1000));
const path = join(KEYTURN_FOLDER, "session");

const storage = {
  get: () => readFile(path, "utf8").catch(() => undefined),
  async set(text) {
    await writeFile(`${path}.${process.pid}`, text);
    await rename(`${path}.${process.pid}`, path);
  },
  remove: () => rm(path, { force: true }),
};
const client = createClient({ baseUrl: KEYTURN_URL, storage });
client.on("signedOut", ({ reason }) => say({ signedOut: reason }));

async function attempt(url = `${KEYTURN_URL}/api/v1/auth/me`) {
  const response = await client.fetch(url);
  if (response.status !== 200) throw new Error(`refused with ${response.status}`);
}

// Again and again, as long as somebody is logged in.
async function call(tries = 20) {
  try {
    await attempt();
  } catch (error) {
    if (error.kind === "signed_out" || tries === 1) throw error;
    await sleep(1);
    await call(tries - 1);
  }
}

const actions = {
  login: () => client.login({ email: KEYTURN_EMAIL, password: KEYTURN_PASSWORD }),
  call: () => call(),
  calls: () => Promise.all(Array.from({ length: 5 }, () => call())),
  try: () => attempt(),
  elsewhere: () => attempt(KEYTURN_ELSEWHERE),
  // Where keyturn is away, nobody is logged in here all the same.
  logout: () => client.logout().catch(() => {}),
  wait: sleep,
};

const inBackground = [];
for (const step of KEYTURN_STEPS.split(" ")) {
  const [, name, value, background] = /^(\w+)=?([\d.]*)(&?)$/.exec(step);
  const done = actions[name](Number(value));
  const told = done.then(() => say({ step, ok: true })).catch(({ message }) => say({ step, ok: false, error: message }));
  if (background) inBackground.push(told);
  else await told;
}
await Promise.all(inBackground);
client.dispose();
