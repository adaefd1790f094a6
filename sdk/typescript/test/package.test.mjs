// The package: how large it is, what it needs, and whether its types are those of the server.
import assert from "node:assert/strict";
import { execFileSync, spawnSync } from "node:child_process";
import { existsSync, readFileSync, readdirSync, writeFileSync } from "node:fs";
import { test } from "node:test";
import { fileURLToPath } from "node:url";
import { gzipSync } from "node:zlib";
import { parse } from "acorn";
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

test("the elements are twelve kilobytes more at the most, in one language", async () => {
  // Errors and answers are read by the core.
  const external = ["../client.js", "../errors.js", "../http.js"];
  const { size } = await bundle('export { defineElements } from "@keyturn/client/elements"', { external });
  console.log(`${size} bytes`);
  assert.ok(size <= 12_000, `${size} bytes`);
  const german = await bundle('export { german } from "@keyturn/client/elements"');
  assert.ok(german.size <= 2500, `${german.size} bytes`);
});

test("what is not used is not bundled", async () => {
  for (const name of ["@keyturn/client", "@keyturn/client/elements"]) {
    const { size } = await bundle(`import "${name}"`);
    assert.ok(size < 60, `${size} bytes`);
  }
});

test("nothing is needed at run time, and React only by who has it", () => {
  assert.equal(about.dependencies, undefined);
  assert.equal(about.sideEffects, false);
  assert.deepEqual(Object.keys(about.peerDependencies), ["react"]);
  assert.equal(about.peerDependenciesMeta.react.optional, true);
});

test("every module has types and a source map", () => {
  for (const name of readdirSync(`${root}src`, { recursive: true }).filter((name) => name.endsWith(".ts"))) {
    const base = `${root}dist/${name.replace(/\.ts$/, "")}`;
    for (const end of [".js", ".js.map", ".d.ts"]) assert.ok(existsSync(base + end), base + end);
  }
});

test("phones with a JavaScript of 2020 can run it", () => {
  const files = readdirSync(`${root}dist`, { recursive: true }).filter((name) => name.endsWith(".js"));
  for (const name of files) parse(readFileSync(`${root}dist/${name}`, "utf8"), { ecmaVersion: 2020, sourceType: "module" });
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

test("the examples of the README compile", () => {
  const blocks = readFileSync(`${root}README.md`, "utf8").split("```ts").slice(1).map((rest) => rest.split("```")[0]);
  assert.ok(blocks.length >= 6, String(blocks.length));
  const given = `
    declare const email: string, password: string, router: { push(path: string): void };
    declare function show(text: string): void;
    declare function askForPassword(): Promise<string>;
  `;
  const modules = `
    declare module "expo-secure-store" {
      export function getItemAsync(name: string): Promise<string | null>;
      export function setItemAsync(name: string, text: string): Promise<void>;
      export function deleteItemAsync(name: string): Promise<void>;
    }
    declare module "react-native" {
      export const AppState: { addEventListener(name: "change", call: (state: string) => void): { remove(): void } };
    }
  `;
  writeFileSync(`${root}test/modules.d.ts`, modules);
  const files = ["modules.d.ts"];
  for (const [index, block] of blocks.entries()) {
    const isJsx = block.startsWith("x\n");
    const code = isJsx ? block.slice(1) : block;
    const client = /(const|export const) keyturn\b/.test(code) ? "" : 'declare const keyturn: import("@keyturn/client").Client;';
    files.push(`readme-${index}.${isJsx ? "tsx" : "mts"}`);
    writeFileSync(`${root}test/${files.at(-1)}`, `${code}\n${given}${client}\nexport {};\n`);
  }
  const own = JSON.parse(readFileSync(`${root}test/tsconfig.json`, "utf8")).compilerOptions;
  // As those have it who use Next.
  const resolution = { module: "esnext", moduleResolution: "bundler" };
  const options = { ...own, ...resolution, jsx: "react-jsx", skipLibCheck: true };
  writeFileSync(`${root}test/tsconfig.readme.json`, JSON.stringify({ compilerOptions: options, files }));
  const compiled = spawnSync(process.execPath, ["node_modules/typescript/bin/tsc", "-p", "test/tsconfig.readme.json"], { cwd: root });
  assert.equal(String(compiled.stdout), "");
});
