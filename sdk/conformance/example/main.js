// Has the client do the steps of a scenario, and prints a line of JSON for each: what the conformance kit starts.
import { pathToFileURL } from "node:url";
import { Client, SignedOut, Store } from "./client.js";

const { KEYTURN_URL, KEYTURN_ELSEWHERE, KEYTURN_FOLDER, KEYTURN_EMAIL, KEYTURN_PASSWORD, KEYTURN_STEPS } = process.env;
const say = (line) => console.log(JSON.stringify(line));
const sleep = (seconds) => new Promise((resolve) => setTimeout(resolve, seconds * 1000));

export async function drive(client, isSignedOut = (error) => error instanceof SignedOut) {
  const get = async (url) => {
    const response = await client.fetch(url);
    if (response.status !== 200) throw new Error(`refused with ${response.status}`);
  };
  const attempt = () => get(`${KEYTURN_URL}/api/v1/auth/me`);
  // Again and again, as long as somebody is logged in.
  const call = async (tries = 20) => {
    for (;;) {
      try {
        return await attempt();
      } catch (error) {
        if (isSignedOut(error) || (tries -= 1) === 0) throw error;
        await sleep(1);
      }
    }
  };
  const actions = {
    login: () => client.login(KEYTURN_EMAIL, KEYTURN_PASSWORD),
    call,
    calls: () => Promise.all([call(), call(), call(), call(), call()]),
    try: attempt,
    elsewhere: () => get(KEYTURN_ELSEWHERE),
    logout: () => client.logout(),
    wait: sleep,
  };
  const inBackground = [];
  for (const step of KEYTURN_STEPS.split(" ")) {
    const [, name, value, background] = /^(\w+)=?([\d.]*)(&?)$/.exec(step);
    const done = actions[name](value ? Number(value) : undefined);
    const failed = ({ message }) => say({ step, ok: false, error: message });
    const told = done.then(() => say({ step, ok: true })).catch(failed);
    if (background) inBackground.push(told);
    else await told;
  }
  await Promise.all(inBackground);
}

export const tell = (reason) => say({ signedOut: reason });

if (import.meta.url === pathToFileURL(process.argv[1]).href) {
  await drive(new Client(KEYTURN_URL, new Store(KEYTURN_FOLDER), tell));
}
