// The client that a guide shows passes, as it stands there.
import assert from "node:assert/strict";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { judged, wrong } from "./kit.mjs";

test("the client of the guide for mobile apps passes all scenarios", async () => {
  const page = await readFile(new URL("../../../docs/guides/mobile-app.md", import.meta.url), "utf8");
  const [, code] = /^```js file=session\.mjs\n(.*?)^```$/ms.exec(page);
  const folder = await mkdtemp(join(tmpdir(), "guide-"));
  try {
    const path = join(folder, "session.mjs");
    await writeFile(path, code);
    assert.deepEqual(wrong(await judged([process.execPath, "test/guide.mjs", path])), []);
  } finally {
    await rm(folder, { recursive: true });
  }
});
