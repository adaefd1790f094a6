// The package: how large it is, what it needs, and whether its types are those of the server.
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { existsSync, readFileSync, readdirSync } from "node:fs";
import { test } from "node:test";
import { fileURLToPath } from "node:url";
import { gzipSync } from "node:zlib";
import { build } from "esbuild";
import { publint } from "publint";
import { formatMessage } from "publint/utils";

const root = fileURLToPath(new URL("..", import.meta.url));
const about = JSON.parse(readFileSync(`${root}package.json`, "utf8"));

async function bundle(entry, options = {}) {
  const given = { stdin: { contents: entry, resolveDir: root }, bundle: true, minify: true, format: "esm", write: false };
  const { outputFiles, metafile } = await build({ ...given, target: "es2020", metafile: true, ...options });
  return { size: gzipSync(outputFiles[0].contents, { level: 9 }).length, inputs: Object.keys(metafile.inputs) };
}

test("the core is six kilobytes at the most, minified and compressed", async () => {
  const { size, inputs } = await bundle('export * from "@keyturn/client"');
  console.log(`${size} bytes`);
  assert.ok(size <= 6000, `${size} bytes`);
  assert.ok(inputs.every((path) => path === "<stdin>" || /(^|\/)dist\//.test(path)), String(inputs));
});

test("what is not used is not bundled", async () => {
  const { size } = await bundle('import "@keyturn/client"');
  assert.ok(size < 60, `${size} bytes`);
});

test("nothing is needed at run time, and React only by who has it", () => {
  assert.equal(about.dependencies, undefined);
  assert.equal(about.sideEffects, false);
  assert.deepEqual(Object.keys(about.peerDependencies), ["react"]);
  assert.equal(about.peerDependenciesMeta.react.optional, true);
});

test("every module has types and a source map", () => {
  for (const name of readdirSync(`${root}src`)) {
    const base = `${root}dist/${name.replace(/\.ts$/, "")}`;
    for (const end of [".js", ".js.map", ".d.ts"]) assert.ok(existsSync(base + end), base + end);
  }
});

test("the package is sound for those who install it", async () => {
  const { messages } = await publint({ pkgDir: root, pack: false, strict: true });
  assert.deepEqual(messages.map((message) => formatMessage(message, about)), []);
});

test("the types of what is sent are those of the server's document", { skip: !process.env.OPENAPI }, () => {
  const made = execFileSync(process.execPath, [`${root}wire.mjs`, process.env.OPENAPI], { encoding: "utf8" });
  const kept = readFileSync(`${root}src/wire.ts`, "utf8");
  assert.ok(made === kept, "run node wire.mjs ../../docs/openapi.json > src/wire.ts");
});
