// The middlewares of frameworks let valid tokens through, and tell others what is wrong.
import assert from "node:assert/strict";
import { once } from "node:events";
import { readFileSync } from "node:fs";
import { createServer } from "node:http";
import { after, before, test } from "node:test";
import express from "express";
import fastify from "fastify";
import { Hono } from "hono";
import { createVerifier } from "@keyturn/verify";
import * as forExpress from "@keyturn/verify/express";
import * as forFastify from "@keyturn/verify/fastify";
import * as forHono from "@keyturn/verify/hono";
import { fake } from "./fake.mjs";

const corpus = JSON.parse(readFileSync(process.env.CORPUS, "utf8"));
const tokenOf = (name) => corpus.cases.find((case_) => case_.name === name).token;
const VALID = `Bearer ${tokenOf("time: valid at any time")}`;
const INVALID = 'Bearer error="invalid_token"';
const CASES = [
  [VALID, {}, 200, null],
  [VALID, { role: "editor", scope: "orders:read" }, 200, null],
  [undefined, {}, 401, "Bearer"],
  ["Basic YTpi", {}, 401, "Bearer"],
  ["Bearer x", {}, 401, INVALID],
  [`Bearer ${tokenOf("ES256: both zero")}`, {}, 401, INVALID],
  [VALID, { role: "admin" }, 403, 'Bearer error="insufficient_scope"'],
  [VALID, { amr: "hwk" }, 401, 'Bearer error="insufficient_user_authentication"'],
];

let server;
let verifier;
before(async () => {
  server = await fake(corpus.keys.usual);
  const [audience] = corpus.options.audiences;
  const { issuer } = corpus.options;
  verifier = createVerifier({ issuer, audience, url: server.url, clientId: "a", clientSecret: "b" });
  await verifier.ready();
});
after(() => {
  verifier.close();
  server.close();
});

// Each returns what fetches from an app that answers with the subject of the token.
const APPS = {
  express: async (context, demands) => {
    const app = express().use(forExpress.authenticate(verifier, demands));
    app.get("/", (request, response) => response.send(request.auth.sub));
    const own = createServer(app).listen(0, "127.0.0.1");
    await once(own, "listening");
    context.after(() => own.close());
    return (headers) => fetch(`http://127.0.0.1:${own.address().port}/`, { headers });
  },
  fastify: async (context, demands) => {
    const app = fastify();
    app.addHook("onRequest", forFastify.authenticate(verifier, demands));
    app.get("/", (request) => request.auth.sub);
    const url = await app.listen({ port: 0, host: "127.0.0.1" });
    context.after(() => app.close());
    return (headers) => fetch(url, { headers });
  },
  hono: async (_, demands) => {
    const app = new Hono().use(forHono.authenticate(verifier, demands));
    app.get("/", (c) => c.text(c.get("auth").sub));
    return (headers) => app.request("/", { headers });
  },
};

for (const [name, start] of Object.entries(APPS)) {
  test(`${name} lets valid tokens through`, async (context) => {
    for (const [authorization, demands, status, challenge] of CASES) {
      const call = await start(context, demands);
      const response = await call(authorization ? { authorization } : {});
      const told = [response.status, response.headers.get("www-authenticate")];
      assert.deepEqual(told, [status, challenge], `${authorization} ${JSON.stringify(demands)}`);
      assert.equal((await response.text()).length, status === 200 ? 36 : 0);
    }
  });
}
