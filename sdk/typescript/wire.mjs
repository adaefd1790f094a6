// Prints the types of what this package sends and gets, as the server's OpenAPI document has them:
//
//     node wire.mjs ../../docs/openapi.json > src/wire.ts
import { readFileSync } from "node:fs";
import openapiTS, { astToString } from "openapi-typescript";

const ROOTS = [
  ...["RegisterRequest", "RegisterResponse", "LoginRequest", "LoginResponse", "SecondFactorRequest", "TokenResponse"],
  ...["ReauthenticateRequest", "Me", "Session", "SessionList", "SessionsRevoked", "RenameRequest"],
  ...["TotpEnrolment", "ConfirmTotpRequest", "RecoveryCodes", "ProblemDetails"],
  ...["ChangePasswordRequest", "UpdateMeRequest", "TrustedDeviceList", "TrustedDevicesDeleted"],
];

const document = JSON.parse(readFileSync(process.argv[2], "utf8"));
const all = document.components.schemas;
const kept = new Set();

// Keeps a schema and those that it refers to.
function keep(name) {
  if (kept.has(name)) return;
  kept.add(name);
  for (const [, other] of JSON.stringify(all[name]).matchAll(/"#\/components\/schemas\/(\w+)"/g)) keep(other);
}

ROOTS.forEach(keep);
const schemas = Object.fromEntries([...kept].sort().map((name) => [name, all[name]]));
const ast = await openapiTS({ openapi: document.openapi, info: document.info, paths: {}, components: { schemas } });
const types = astToString(ast.filter(({ name }) => name.text === "components"));
process.stdout.write(`// Made by wire.mjs of the server's OpenAPI document. Not to be changed by hand.\n\n${types}`);
