// Starts the kit as its users do.
import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { availableParallelism } from "node:os";
import { fileURLToPath } from "node:url";
import { SCENARIOS } from "../src/scenarios.js";

const folder = fileURLToPath(new URL("..", import.meta.url));
// Clients wait for most of their time. More of them would run into their own timeouts.
const JOBS = String(4 * availableParallelism());

export const all = SCENARIOS.map(({ name }) => name);

export function kit(options, command = []) {
  const argv = ["main.js", "--jobs", JOBS, ...options, "--", ...command];
  return new Promise((resolve) => {
    execFile(process.execPath, argv, { cwd: folder, maxBuffer: 1 << 26 }, (error, stdout, stderr) => {
      resolve({ status: error ? error.code : 0, stdout, stderr });
    });
  });
}

export async function judged(command, names = all) {
  const { status, stdout, stderr } = await kit(["--json", "-", ...names.flatMap((name) => ["--only", name])], command);
  assert.equal(stderr, "");
  const result = JSON.parse(stdout);
  assert.equal(result.passed + result.failed, result.scenarios.length);
  assert.equal(status, result.failed > 0 ? 1 : 0);
  return result.scenarios;
}

export const wrong = (scenarios) => {
  const failed = scenarios.filter(({ passed }) => !passed);
  return failed.map(({ name, checks }) => ({ name, checks: checks.filter(({ passed }) => !passed) }));
};
