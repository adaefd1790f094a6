#!/usr/bin/env node
// The conformance kit: see README.md.
import { writeFile } from "node:fs/promises";
import { parseArgs } from "node:util";
import { inJson, inText, summary } from "./src/report.js";
import { run } from "./src/run.js";
import { SCENARIOS } from "./src/scenarios.js";

const USAGE = `Usage: node main.js [OPTION...] -- COMMAND [ARGUMENT...]

Starts COMMAND as a client of a fake keyturn in each scenario, and says whether it behaved.

  --only TEXT     the scenarios whose names contain it; may be given several times
  --list          print the names of the scenarios
  --json FILE     write the result as JSON, too; - is the standard output, instead of the text
  --jobs N        how many scenarios run at once (4)
  --host ADDRESS  where the fake server listens (127.0.0.1)
  --port N        its port; 0, the default, is any that is free, others run one scenario after the other
  --patience N    how many seconds a run of the client may take (90)
  --stall N       how many seconds a client may wait for an answer that does not come (30)
  --verbose       print all checks, and what a client that failed has printed
`;

const OPTIONS = {
  only: { type: "string", multiple: true, default: [] },
  list: { type: "boolean", default: false },
  json: { type: "string" },
  jobs: { type: "string", default: "4" },
  host: { type: "string", default: "127.0.0.1" },
  port: { type: "string", default: "0" },
  patience: { type: "string", default: "90" },
  stall: { type: "string", default: "30" },
  verbose: { type: "boolean", default: false },
  help: { type: "boolean", default: false },
};

function fail(message) {
  process.stderr.write(`${message}\n\n${USAGE}`);
  process.exit(2);
}

function parsed() {
  try {
    const { values, positionals } = parseArgs({ options: OPTIONS, allowPositionals: true });
    const number = (name) => (/^\d+$/.test(values[name]) ? Number(values[name]) : fail(`--${name} is no number`));
    const [port, jobs, patience, stallFor] = [number("port"), number("jobs"), number("patience"), number("stall")];
    return { ...values, command: positionals, port, jobs: port ? 1 : Math.max(jobs, 1), patience, stallFor };
  } catch (error) {
    return fail(error.message);
  }
}

const options = parsed();
const isChosen = ({ name }) => options.only.length === 0 || options.only.some((text) => name.includes(text));
const chosen = SCENARIOS.filter(isChosen);
const print = (text) => process.stdout.write(text);
if (options.help) {
  print(USAGE);
  process.exit(0);
}
if (options.list) {
  print(chosen.map(({ name }) => `${name}\n`).join(""));
  process.exit(0);
}
if (options.command.length === 0) fail("there is no COMMAND");
if (chosen.length === 0) fail("no scenario has such a name");

// The clients, which are in groups of their own, end with the kit.
process.setMaxListeners(0);
for (const signal of ["SIGINT", "SIGTERM"]) process.once(signal, () => process.exit(1));

const results = new Array(chosen.length);
const isText = options.json !== "-";
let next = 0;
async function work() {
  while (next < chosen.length) {
    const index = next++;
    results[index] = await run(chosen[index], options.command, options);
    if (isText) print(inText(results[index], options.verbose));
  }
}
await Promise.all(Array.from({ length: options.jobs }, work));

if (isText) print(summary(results));
if (options.json === "-") print(inJson(results));
else if (options.json) await writeFile(options.json, inJson(results));
process.exitCode = results.every(({ isMet }) => isMet) ? 0 : 1;
