// Runs a client in a scenario: starts it, reads what it prints, and has it judged.
import { spawn } from "node:child_process";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { EMAIL, Fake, PASSWORD } from "./fake.js";
import { judge } from "./checks.js";

const plain = (steps) => steps.replaceAll(/[!?](?= |$)/g, "");

// Starts the client once, and returns what it printed when it has ended.
function start(steps, command, environment, patience) {
  const [program, ...rest] = command;
  const env = { ...process.env, ...environment, KEYTURN_STEPS: plain(steps) };
  // In a group of its own, so that a script that starts the client is killed with it.
  const child = spawn(program, rest, { env, stdio: ["ignore", "pipe", "pipe"], detached: true });
  const run = { steps, lines: [], output: "", startedAt: performance.now(), isKilled: false, isLate: false };
  const end = () => {
    try {
      process.kill(-child.pid, "SIGKILL");
    } catch {
      // It has ended.
    }
  };
  run.kill = () => {
    run.isKilled = true;
    end();
  };
  const timer = setTimeout(() => {
    run.isLate = true;
    end();
  }, patience * 1000);
  createInterface({ input: child.stdout }).on("line", (line) => {
    run.output += `${line}\n`;
    const said = line.startsWith("{") && parse(line);
    if (said && ("step" in said || "signedOut" in said)) run.lines.push(said);
  });
  child.stderr.on("data", (bytes) => (run.output += bytes));
  child.on("error", (error) => (run.output += error.message));
  process.once("exit", end);
  run.ended = new Promise((resolve) => {
    child.on("close", () => {
      clearTimeout(timer);
      process.off("exit", end);
      resolve();
    });
  });
  return run;
}

function parse(text) {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

// The hooks of a scenario, with what it needs of its runs.
function scriptOf(scenario, running, stallFor) {
  const { expireAfter = 1, afterCall, onRefresh, onCall, isAway } = scenario;
  const kill = () => {
    for (const run of running) run.kill();
    return true;
  };
  let served = 0;
  return {
    isAway,
    onRefresh: onRefresh && ((given) => onRefresh({ ...given, stallFor, kill: () => dropped(given, kill) })),
    onCall: onCall && ((given) => onCall({ ...given, kill: () => dropped(given, kill) })),
    afterCall({ fake, session, entry }) {
      if (!entry.isServed || (served += 1) !== expireAfter) return;
      if (afterCall) afterCall({ fake, session });
      fake.sessions.expireAccess(session);
    },
  };
}

// Kills the client before it gets an answer.
function dropped({ response }, kill) {
  kill();
  response.destroy();
  return true;
}

/** Runs the command as the client in a scenario. Returns the checks, each with whether it is met. */
export async function run(scenario, command, { host, port, patience = 90, stallFor = 30 } = {}) {
  const folder = await mkdtemp(join(tmpdir(), "keyturn-client-"));
  const running = new Set();
  const { ahead, accessTtl } = scenario;
  const fake = new Fake({ script: scriptOf(scenario, running, stallFor), host, port, ahead, accessTtl });
  const runs = [];
  try {
    await fake.listen();
    const environment = {
      KEYTURN_URL: fake.url,
      KEYTURN_ELSEWHERE: fake.elsewhereUrl,
      KEYTURN_FOLDER: folder,
      KEYTURN_EMAIL: EMAIL,
      KEYTURN_PASSWORD: PASSWORD,
    };
    for (const together of scenario.runs) {
      if (runs.length > 0) scenario.between?.({ fake });
      const started = together.map((steps) => start(steps, command, environment, patience));
      for (const one of started) running.add(one);
      runs.push(...started);
      await Promise.all(started.map(({ ended }) => ended));
      running.clear();
    }
    const checks = judge(scenario, fake, runs);
    const output = runs.map((one) => one.output).join("");
    return { name: scenario.name, isMet: checks.every(({ isMet }) => isMet), checks, output };
  } finally {
    for (const one of running) one.kill();
    await fake.close();
    await rm(folder, { recursive: true, force: true });
  }
}
