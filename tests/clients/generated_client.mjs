// Generates types of the committed OpenAPI document, compiles generated_client.ts with them, and runs it.
import { execFileSync } from "node:child_process";
import { copyFileSync, writeFileSync } from "node:fs";

const given = JSON.parse(process.argv[2]);
copyFileSync(given.document, "openapi.json");
writeFileSync("package.json", '{"type": "module"}');

function run(program, ...options) {
  execFileSync(process.execPath, [`node_modules/${program}`, ...options], { stdio: ["ignore", 2, 2] });
}

run("openapi-typescript/bin/cli.js", "openapi.json", "--output", "schema.d.ts");
const compilerOptions = {
  strict: true,
  noUncheckedIndexedAccess: true,
  exactOptionalPropertyTypes: true,
  target: "es2022",
  module: "nodenext",
  lib: ["es2022", "dom"],
  types: [],
};
writeFileSync("tsconfig.json", JSON.stringify({ compilerOptions, files: ["generated_client.ts"] }));
run("typescript/bin/tsc");
process.stdout.write(execFileSync(process.execPath, ["generated_client.js", process.argv[2]]));
