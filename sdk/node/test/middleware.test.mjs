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
import { fake, prove } from "./fake.mjs";

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

const BOUND = tokenOf("proof: of a token that is valid at any time");
const PUBLIC_URL = "https://api.example/base";
const PROOF_REQUIRED = 'DPoP error="invalid_token", algs="ES256 EdDSA RS256"';
const INVALID_PROOF = 'DPoP error="invalid_dpop_proof", algs="ES256 EdDSA RS256"';

// `Authorization` and `DPoP`, and the status and the challenge of the response.
async function boundCases() {
  const url = `${PUBLIC_URL}/a%2Fb`;
  const proof = (method = "GET", asked = url, token = BOUND) => prove(corpus, token, method, asked);
  const used = await proof();
  const unbound = VALID.split(" ")[1];
  return [
    [`Bearer ${BOUND}`, undefined, 401, PROOF_REQUIRED],
    [`Bearer ${BOUND}`, await proof(), 401, PROOF_REQUIRED],
    [`DPoP ${BOUND}`, undefined, 401, PROOF_REQUIRED],
    [`DPoP ${BOUND}`, used, 200, null],
    [`DPoP ${BOUND}`, used, 401, INVALID_PROOF],
    [`dpop ${BOUND}`, await proof(), 200, null],
    [`DPoP ${BOUND}`, await proof("POST"), 401, INVALID_PROOF],
    [`DPoP ${BOUND}`, await proof("GET", `${PUBLIC_URL}/a`), 401, INVALID_PROOF],
    [`DPoP ${BOUND}`, await proof("GET", "http://localhost/a%2Fb"), 401, INVALID_PROOF],
    [`DPoP ${BOUND}`, `${await proof()}, ${await proof()}`, 401, INVALID_PROOF],
    [`DPoP ${unbound}`, undefined, 401, PROOF_REQUIRED],
    [`DPoP ${unbound}`, await proof("GET", url, unbound), 401, PROOF_REQUIRED],
  ];
}

let server;
let verifier;
let withoutUrl;
before(async () => {
  server = await fake(corpus.keys.usual);
  const [audience] = corpus.options.audiences;
  const { issuer } = corpus.options;
  const options = { issuer, audience, url: server.url, clientId: "a", clientSecret: "b", maxAgeOfFeed: 600_000 };
  verifier = createVerifier({ ...options, publicUrl: `${PUBLIC_URL}/` });
  withoutUrl = createVerifier(options);
  await Promise.all([verifier.ready(), withoutUrl.ready()]);
});
after(() => {
  verifier.close();
  withoutUrl.close();
  server.close();
});

const PATH = "/a%2Fb?c=d";

// Each returns what fetches from an app that answers with the subject of the token.
const APPS = {
  express: async (context, demands, own = verifier) => {
    // A part of the path that a router has taken away is in the URL.
    const router = express.Router().use(forExpress.authenticate(own, demands));
    router.use((request, response) => response.send(request.auth.sub));
    const listener = createServer(express().use("/a%2Fb", router)).listen(0, "127.0.0.1");
    await once(listener, "listening");
    context.after(() => listener.close());
    return (headers) => fetch(`http://127.0.0.1:${listener.address().port}${PATH}`, { headers });
  },
  fastify: async (context, demands, own = verifier) => {
    const app = fastify();
    app.addHook("onRequest", forFastify.authenticate(own, demands));
    app.get("/:path", (request) => request.auth.sub);
    const url = await app.listen({ port: 0, host: "127.0.0.1" });
    context.after(() => app.close());
    return (headers) => fetch(`${url}${PATH}`, { headers });
  },
  hono: async (_, demands, own = verifier) => {
    const app = new Hono().use(forHono.authenticate(own, demands));
    app.get("/*", (c) => c.text(c.get("auth").sub));
    return (headers) => app.request(PATH, { headers });
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

for (const [name, start] of Object.entries(APPS)) {
  test(`${name} takes a token that is bound to a key with a proof`, async (context) => {
    const call = await start(context, {});
    for (const [authorization, dpop, status, challenge] of await boundCases()) {
      const response = await call(dpop === undefined ? { authorization } : { authorization, dpop });
      assert.deepEqual([response.status, response.headers.get("www-authenticate")], [status, challenge], authorization);
    }
    // An API that does not know its URL takes none.
    const other = await start(context, {}, withoutUrl);
    const dpop = await prove(corpus, BOUND, "GET", "http://localhost/a%2Fb");
    const response = await other({ authorization: `DPoP ${BOUND}`, dpop });
    assert.deepEqual([response.status, response.headers.get("www-authenticate")], [401, "Bearer"]);
  });
}
