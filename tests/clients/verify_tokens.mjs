// Verifies an access token with the libraries of Node, each as its documentation shows. Prints the subject that each
// of them read.
import { createServer } from "node:http";
import { once } from "node:events";
import express from "express";
import { auth } from "express-oauth2-jwt-bearer";
import * as jose from "jose";
import * as oauth from "oauth4webapi";

const { issuer, audience, algorithm, token } = JSON.parse(process.argv[2]);
const insecure = { [oauth.allowInsecureRequests]: true };

async function withJose() {
  const keys = jose.createRemoteJWKSet(new URL(`${issuer}/.well-known/jwks.json`));
  const options = { issuer, audience, typ: "at+jwt", algorithms: [algorithm], requiredClaims: ["sub", "sid", "jti"] };
  return (await jose.jwtVerify(token, keys, options)).payload.sub;
}

async function withOauth4webapi(kind) {
  const url = new URL(issuer);
  const discovered = await oauth.discoveryRequest(url, { algorithm: kind, ...insecure });
  const server = await oauth.processDiscoveryResponse(url, discovered);
  const request = new Request("https://api.example/", { headers: { authorization: `Bearer ${token}` } });
  const options = { signingAlgorithms: [algorithm], ...insecure };
  return (await oauth.validateJwtAccessToken(server, request, audience, options)).sub;
}

async function withExpress() {
  const app = express();
  app.use(auth({ issuerBaseURL: issuer, audience, tokenSigningAlg: algorithm, strict: true }));
  app.get("/", (request, response) => response.json(request.auth.payload));
  const server = createServer(app).listen(0, "127.0.0.1");
  await once(server, "listening");
  const url = `http://127.0.0.1:${server.address().port}/`;
  const answer = await fetch(url, { headers: { authorization: `Bearer ${token}` } });
  const unknown = await fetch(url, { headers: { authorization: `Bearer ${token.slice(0, -8)}AAAAAAAA` } });
  server.close();
  if (answer.status !== 200 || unknown.status !== 401) {
    throw new Error(`express: ${answer.status}, ${unknown.status} ${answer.headers.get("www-authenticate")}`);
  }
  return (await answer.json()).sub;
}

const read = {
  jose: await withJose(),
  "oauth4webapi, RFC 8414": await withOauth4webapi("oauth2"),
  "oauth4webapi, OpenID": await withOauth4webapi("oidc"),
};
// The library does not know EdDSA.
if (algorithm !== "EdDSA") read["express-oauth2-jwt-bearer"] = await withExpress();
console.log(JSON.stringify(read));
