// The kit finds what bad clients do, and says so.
import assert from "node:assert/strict";
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { all, judged, kit, wrong } from "./kit.mjs";

// What tells bad clients from each other: a scenario of each kind.
const SOME = [
  "a refresh gets its answer",
  "a reset after the server has refreshed",
  "401 with a page",
  "a final code",
  "429 with seconds",
  "429 with a date, and the device's clock is ten years behind",
  "500 of keyturn",
  "the session is over: session_revoked",
  "killed at the first use of a new access token",
  "killed while the answer",
  "the device's clock is ten years ahead",
  "keyturn is away for eight seconds",
  "another server is called",
  "a logout during a refresh",
];
const ofSome = all.filter((name) => SOME.some((part) => name.includes(part)));

const REPEATED = /^a refresh gets (?!its answer)|before the server has got|while the answer|keyturn is away for/;
const BAD = {
  "signs out at any 401": [/a refresh gets 401/, "did not sign out"],
  "signs out at 500": [/50[0-9]|keyturn is away for/, "did not sign out"],
  "goes by the code alone": [/a final code/, "did not sign out"],
  "makes a key for each request": [REPEATED, "sent the same token again with the same key"],
  "uses before it stores": [/killed at/, "presented no token that it had replaced"],
  "hammers": [/429|keyturn is away for/, /^waited for Retry-After$|^did not hammer/],
  "keeps the tokens at the end": [/the session is over|^a logout/, "forgot the tokens"],
  "believes the clock": [/clock is ten years ahead$/, /^did not refresh more often/],
  "sends its token anywhere": [/another server is called/, "sent no token elsewhere"],
  "writes a log": [/./, "put no token into its output"],
};

async function isFoundOut(way, scenario, check) {
  const failed = wrong(await judged([process.execPath, "test/bad.mjs", way], ofSome));
  const names = failed.map(({ name }) => name);
  assert.deepEqual(names, ofSome.filter((name) => scenario.test(name)));
  for (const { name, checks } of failed) {
    const isNamed = checks.some((found) => (check instanceof RegExp ? check.test(found.name) : check === found.name));
    assert.ok(isNamed, `${name}: ${JSON.stringify(checks)}`);
  }
}

test("a client fails where it should, and nowhere else", { concurrency: 2 }, async (context) => {
  const ways = Object.entries(BAD);
  await Promise.all(ways.map(([way, expected]) => context.test(`if it ${way}`, () => isFoundOut(way, ...expected))));
});

test("a client in a shell that gives up at a failure is found out", async () => {
  const names = ["its answer", "500 of keyturn", "a logout while keyturn is away"];
  const failed = wrong(await judged(["sh", "test/bad.sh"], names));
  assert.deepEqual(failed.map(({ name }) => name), ["a refresh gets its answer", "a refresh gets 500 of keyturn"]);
});

test("what is printed can be read, and is written as JSON", async () => {
  const into = await mkdtemp(join(tmpdir(), "conformance-"));
  try {
    const path = join(into, "result.json");
    const options = ["--only", "its answer", "--only", "401 without", "--json", path];
    const { status, stdout } = await kit(options, [process.execPath, "test/bad.mjs", "signs out at any 401"]);
    assert.equal(status, 1);
    assert.match(stdout, /^ok {4}a refresh gets its answer$/m);
    assert.match(stdout, /^FAIL {2}a refresh gets 401 without a body\n {6}FAIL {2}did each step: /m);
    assert.match(stdout, /^1 of 2 scenarios passed$/m);
    const { passed, failed, scenarios } = JSON.parse(await readFile(path, "utf8"));
    assert.deepEqual([passed, failed, scenarios.length], [1, 1, 2]);
  } finally {
    await rm(into, { recursive: true });
  }
});

test("what cannot be done is said", async () => {
  const cases = [
    [[], [], 2, /there is no COMMAND/],
    [["--only", "no such"], ["true"], 2, /no scenario has such a name/],
    [["--jobs", "many"], ["true"], 2, /--jobs is no number/],
    [["--unknown"], ["true"], 2, /unknown/],
    [["--only", "its answer"], ["/no/such/program"], 1, /^$/],
  ];
  for (const [options, command, expected, said] of cases) {
    const { status, stderr } = await kit(options, command);
    assert.equal(status, expected, options.join(" "));
    assert.match(stderr, said);
  }
  const { stdout } = await kit(["--list"]);
  assert.deepEqual(stdout.trim().split("\n"), all);
});
