// Plays the same faults to keyturn's client and to others, and prints what becomes of their users, in Markdown.
import { readFileSync } from "node:fs";
import { parseArgs } from "node:util";
import { build } from "esbuild";
import { chromium } from "playwright-core";
import { SCENARIOS } from "./scenarios.mjs";
import { GoTrue } from "./servers/gotrue.mjs";
import { Keyturn } from "./servers/keyturn.mjs";
import { OpenId, auth0 } from "./servers/openid.mjs";
import { World } from "./world.mjs";

// Longer than any run takes that has an end.
const LONGEST = 420_000;

const { values: options } = parseArgs({
  options: {
    rounds: { type: "string", default: "3" },
    jobs: { type: "string", default: "8" },
    only: { type: "string", default: "" },
    library: { type: "string", default: "" },
    chromium: { type: "string", default: "/usr/bin/chromium" },
    verbose: { type: "boolean", default: false },
  },
});

const SUBJECTS = [
  { name: "keyturn", page: "keyturn", server: () => new Keyturn() },
  { name: "supabase-js", page: "supabase", server: () => new GoTrue() },
  { name: "oidc-client-ts", page: "oidc", server: () => new OpenId() },
  { name: "auth0-spa-js", page: "auth0", server: () => auth0(0) },
].filter(({ name }) => name.match(options.library));
// Played where the server's rule matters; told in the cell of Auth0 where it makes a difference.
const OVERLAP = { name: "auth0-spa-js, with an overlap", page: "auth0", server: () => auth0(10) };
const scenarios = SCENARIOS.filter(({ name }) => name.match(options.only));

const launched = {
  executablePath: options.chromium,
  args: [
    ...["--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-sync"],
    ...["--disable-background-networking", "--disable-component-update"],
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",
  ],
};

async function scriptOf(page) {
  const entryPoints = [new URL(`pages/${page}.js`, import.meta.url).pathname];
  const wanted = { bundle: true, minify: true, format: "iife", target: "es2022", write: false };
  const { outputFiles } = await build({ entryPoints, ...wanted });
  return outputFiles[0].text;
}

// Returns the outcome of one run, or why there is none.
async function run(browser, subject, scenario) {
  const world = await World.open(scenario.needsProfile ? undefined : browser, subject, launched);
  try {
    const limit = new Promise((_, reject) => {
      setTimeout(() => reject(new Error("it took too long")), LONGEST).unref();
    });
    return { outcome: await Promise.race([scenario.run(world), limit]), notes: world.notes };
  } catch (error) {
    return { outcome: `FAILED: ${error.message.split("\n")[0]}`, notes: world.notes };
  } finally {
    await world.close();
  }
}

// Returns the outcomes of all runs, by scenario and library.
async function runAll(browser) {
  const isOverlapping = SUBJECTS.some(({ page }) => page === OVERLAP.page);
  const subjectsOf = ({ isUnseen }) => (isOverlapping && !isUnseen ? [...SUBJECTS, OVERLAP] : SUBJECTS);
  const all = scenarios.flatMap((scenario) =>
    subjectsOf(scenario).map((subject) => ({ scenario, subject, outcomes: [] })),
  );
  const queue = Array.from({ length: Number(options.rounds) }, () => all).flat();
  const total = queue.length;
  let done = 0;
  const work = async () => {
    for (let next = queue.shift(); next; next = queue.shift()) {
      const { scenario, subject, outcomes } = next;
      const { outcome, notes } = await run(browser, subject, scenario);
      outcomes.push(outcome);
      console.error(`${(done += 1)}/${total} ${scenario.name}: ${subject.name}: ${outcome}`);
      if (options.verbose) for (const note of notes) console.error(`    ${note}`);
    }
  };
  await Promise.all(Array.from({ length: Number(options.jobs) }, work));
  return all;
}

function cell(outcomes) {
  const kinds = [...new Set(outcomes)];
  if (kinds.length === 1) return kinds[0];
  return kinds.map((kind) => `${kind} (${outcomes.filter((outcome) => outcome === kind).length})`).join(", ");
}

function table(heads, rows) {
  const lines = [heads, heads.map(() => "---"), ...rows].map((row) => `| ${row.join(" | ")} |`.replace("|  |", "| |"));
  console.log(`${lines.join("\n")}\n`);
}

function report(all) {
  const heads = ["", ...SUBJECTS.map(({ name }) => name)];
  const of = (scenario) => {
    const own = all.filter((one) => one.scenario === scenario);
    const cells = own.map(({ outcomes }) => cell(outcomes));
    if (own.at(-1).subject !== OVERLAP) return cells;
    const overlapping = cells.pop();
    if (overlapping !== cells.at(-1)) cells.push(`${cells.pop()}; with an overlap ${overlapping}`);
    return cells;
  };
  table(heads, scenarios.map((scenario) => [scenario.name, ...of(scenario)]));
  const faults = all.filter(({ scenario, subject }) => !scenario.control && subject !== OVERLAP);
  const kinds = [...new Set(faults.map(({ outcomes }) => cell(outcomes)))].sort();
  const count = (kind, subject) =>
    faults.filter((one) => one.subject === subject && cell(one.outcomes) === kind).length;
  table(heads, kinds.map((kind) => [kind, ...SUBJECTS.map((subject) => count(kind, subject))]));
}

const browser = await chromium.launch(launched);
for (const subject of [...SUBJECTS, OVERLAP]) subject.script = await scriptOf(subject.page);
const all = await runAll(browser);
report(all);
const { dependencies } = JSON.parse(readFileSync(new URL("package.json", import.meta.url)));
const versions = Object.entries(dependencies).map(([name, version]) => `${name} ${version}`);
const date = new Date().toISOString().slice(0, 10);
console.log(`${[date, ...versions, `Chromium ${browser.version()}`, `Node ${process.versions.node}`].join(", ")}`);
await browser.close();

const wrong = all.filter(({ scenario, outcomes }) =>
  outcomes.some((outcome) => outcome.startsWith("FAILED") || outcome !== (scenario.control ?? outcome)),
);
for (const { scenario, subject } of wrong) console.error(`not measured: ${scenario.name}: ${subject.name}`);
process.exitCode = wrong.length ? 1 : 0;
