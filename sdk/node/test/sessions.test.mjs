// The table of revoked sessions holds what a Map would, in less memory.
import assert from "node:assert/strict";
import { test } from "node:test";
import { Sessions, numbers } from "../src/sessions.js";

// A generator of numbers that are the same in every run.
function random(seed) {
  let state = seed;
  return (most) => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return Math.floor((state / 2 ** 32) * most);
  };
}

const hex = (next, digits) => Array.from({ length: digits }, () => next(16).toString(16)).join("");
const uuid = (next) => [8, 4, 4, 4, 12].map((digits) => hex(next, digits)).join("-");

test("a table of sessions is as a map", () => {
  const next = random(7);
  const ids = Array.from({ length: 3000 }, () => uuid(next));
  // Some differ in few digits only.
  ids.push(...ids.slice(0, 500).map((id) => `0${id.slice(1)}`), ...ids.slice(0, 500).map((id) => `${id.slice(0, -1)}0`));
  const sessions = new Sessions();
  const expected = new Map();
  let snapshot = 0;
  for (let step = 0; step < 40_000; step += 1) {
    const id = ids[next(ids.length)];
    const end = 1 + next(1000);
    sessions.add(id, end, snapshot);
    expected.set(id, { end: Math.max(end, expected.get(id)?.end ?? 0), snapshot });
    if (next(5000) === 0) {
      const now = next(500);
      const only = next(2) === 0 ? snapshot : undefined;
      sessions.remove(now, only);
      for (const [known, entry] of expected) {
        if (entry.end <= now || (only !== undefined && entry.snapshot !== only)) expected.delete(known);
      }
      snapshot = (snapshot + next(2)) % 256;
    }
    if (step % 500 === 0) {
      assert.equal(sessions.size, expected.size);
      for (const known of ids) assert.equal(sessions.endOf(numbers(known)), expected.get(known)?.end ?? 0);
    }
  }
});
