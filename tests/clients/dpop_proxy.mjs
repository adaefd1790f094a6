// Sends requests with proofs (DPoP) through a proxy with forward authentication to an app. Prints how each ended.
import { generateKeyPairSync, createHash, randomUUID, sign } from "node:crypto";
import http from "node:http";
import https from "node:https";

const { keyturn, public_url, proxy_port, app_port, email, password } = JSON.parse(process.argv[2]);
const { privateKey, publicKey } = generateKeyPairSync("ec", { namedCurve: "P-256" });
const { kty, crv, x, y } = publicKey.export({ format: "jwk" });

const part = (value) => Buffer.from(JSON.stringify(value)).toString("base64url");
function prove(method, url, token) {
  const ath = token && createHash("sha256").update(token).digest("base64url");
  const claims = { jti: randomUUID(), htm: method, htu: url, iat: Math.floor(Date.now() / 1000), ath };
  const message = `${part({ typ: "dpop+jwt", alg: "ES256", jwk: { kty, crv, x, y } })}.${part(claims)}`;
  const signature = sign("sha256", Buffer.from(message), { key: privateKey, dsaEncoding: "ieee-p1363" });
  return `${message}.${signature.toString("base64url")}`;
}

const app = http.createServer((request, response) => response.end(request.headers["x-auth-user"] ?? "nobody"));
await new Promise((listening) => app.listen(app_port, "127.0.0.1", listening));

const registering = "/api/v1/auth/register";
const registered = await fetch(new URL(registering, keyturn), {
  method: "POST",
  headers: { "content-type": "application/json", dpop: prove("POST", public_url + registering) },
  body: JSON.stringify({ email, password }),
});
const { access_token: token, user } = await registered.json();

const host = `orders.kt.localhost:${proxy_port}`;
function send(method, path, headers) {
  return new Promise((resolve, reject) => {
    const options = { host: "127.0.0.1", port: proxy_port, servername: "orders.kt.localhost", method, path };
    const all = { host, ...headers };
    const request = https.request({ ...options, headers: all, rejectUnauthorized: false, agent: false }, (response) => {
      let text = "";
      response.on("data", (chunk) => (text += chunk));
      response.on("end", () => resolve({ status: response.statusCode, text }));
    });
    request.on("error", reject);
    request.end();
  });
}
const url = (path) => `https://${host}${path}`;
const bound = (dpop, more) => ({ authorization: `DPoP ${token}`, dpop, ...more });

const right = await send("DELETE", "/orders/7?a=b", bound(prove("DELETE", url("/orders/7"), token)));
const twice = prove("GET", url("/orders/7"), token);
const first = await send("GET", "/orders/7", bound(twice));
const forged = { "x-forwarded-proto": "https", "x-forwarded-host": host, "x-forwarded-uri": "/orders/7" };
const refused = {
  again: await send("GET", "/orders/7", bound(twice)),
  other_path: await send("GET", "/orders/8", bound(prove("GET", url("/orders/7"), token))),
  other_method: await send("DELETE", "/orders/7", bound(prove("GET", url("/orders/7"), token))),
  other_host: await send("GET", "/orders/7", bound(prove("GET", `${public_url}/orders/7`, token))),
  forged_url: await send(
    "GET",
    "/orders/8",
    bound(prove("GET", url("/orders/7"), token), { "x-original-url": url("/orders/7") }),
  ),
  forged_parts: await send("GET", "/orders/8", bound(prove("GET", url("/orders/7"), token), forged)),
  bearer: await send("GET", "/orders/7", { authorization: `Bearer ${token}` }),
};
app.close();
const statuses = Object.fromEntries(Object.entries(refused).map(([name, answer]) => [name, answer.status]));
console.log(JSON.stringify({ user: user.id, right: right.text, first: first.text, refused: statuses }));
