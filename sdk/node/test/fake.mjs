// A server that says what a test wants, in place of keyturn.
import { createHash } from "node:crypto";
import { createServer } from "node:http";
import { once } from "node:events";
import { SignJWT, importJWK } from "jose";

export const event = (name, data, id) => `event: ${name}\n${id ? `id: ${id}\n` : ""}data: ${JSON.stringify(data)}\n\n`;
const time = "2027-01-15T08:00:00.000Z";
export const sync = (id) => event("sync", { age_ms: 0, server_time: time }, id);
export const revoked = (sid) =>
  event("revoked", { sid, jti: null, reason: "logout", revoked_at: time, expires_at: "2027-01-15T08:16:00.000Z" });

export async function fake(keys) {
  const readers = new Set();
  const script = {
    keys,
    keyRequests: 0,
    feedRequests: [],
    feedStatus: 200,
    greeting: event("reset", {}) + sync("1"),
    active: undefined,
    introspections: 0,
    say: (text) => readers.forEach((reader) => reader.write(text)),
    hangUp: () => readers.forEach((reader) => reader.destroy()),
  };
  const server = createServer((request, response) => {
    if (request.url === "/.well-known/jwks.json") {
      script.keyRequests += 1;
      return response.end(JSON.stringify(script.keys));
    }
    if (request.url === "/oauth/introspect") {
      script.introspections += 1;
      response.statusCode = script.active === undefined ? 503 : 200;
      return response.end(JSON.stringify({ active: script.active }));
    }
    script.feedRequests.push(request.headers);
    response.writeHead(script.feedStatus, { "content-type": "text/event-stream" });
    if (script.feedStatus !== 200) return response.end();
    readers.add(response);
    response.on("close", () => readers.delete(response));
    response.write(script.greeting);
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  script.url = `http://127.0.0.1:${server.address().port}`;
  script.close = () => {
    server.close();
    server.closeAllConnections();
  };
  return script;
}

export async function until(what, is) {
  for (let time = 0; time < 2000; time += 1) {
    if (await is()) return;
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
  throw new Error(`never: ${what}`);
}

// Returns a new proof for a request at the current time, by the key of the corpus.
export async function prove({ proof_key: key }, token, method, url) {
  const { d, ...jwk } = key;
  const ath = createHash("sha256").update(token).digest("base64url");
  const claims = { jti: crypto.randomUUID(), htm: method, htu: url, iat: Math.floor(Date.now() / 1000), ath };
  const header = { typ: "dpop+jwt", alg: "ES256", jwk };
  return new SignJWT(claims).setProtectedHeader(header).sign(await importJWK(key, "ES256"));
}
