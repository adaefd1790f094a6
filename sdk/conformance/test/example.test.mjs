// The example of a client passes, which says that the scenarios ask for nothing impossible.
import assert from "node:assert/strict";
import { test } from "node:test";
import { FAULTS } from "../src/faults.js";
import { all, judged, wrong } from "./kit.mjs";

test("there are faults enough, and each scenario has a name of its own", () => {
  assert.ok(Object.keys(FAULTS).length >= 40);
  assert.equal(new Set(all).size, all.length);
});

test("the example passes all scenarios", async () => {
  const scenarios = await judged([process.execPath, "example/main.js"]);
  assert.deepEqual(wrong(scenarios), []);
  assert.equal(scenarios.length, all.length);
});
