// Binds tokens to a key (DPoP) with oauth4webapi, as its documentation shows, at a server that asks for nonces. Prints what
// each step found.
import * as oauth from "oauth4webapi";

const { issuer, audience, id, secret, email, password } = JSON.parse(process.argv[2]);
const insecure = { [oauth.allowInsecureRequests]: true };

const url = new URL(issuer);
const server = await oauth.processDiscoveryResponse(
  url,
  await oauth.discoveryRequest(url, { algorithm: "oauth2", ...insecure }),
);
const client = { client_id: id };
const own = { client_id: "keyturn" };
const basic = oauth.ClientSecretBasic(secret);
let nonces = 0;

// The first request has no nonce: it is refused, and repeated with the one that the refusal gave.
async function withNonce(request) {
  try {
    return await request();
  } catch (error) {
    if (!oauth.isDPoPNonceError(error)) throw error;
    nonces += 1;
    return await request();
  }
}

const keys = await oauth.generateKeyPair("ES256");
const DPoP = oauth.DPoP(client, keys);
const bound = await withNonce(async () => {
  const parameters = new URLSearchParams({ scope: "introspect", audience });
  const options = { ...insecure, DPoP };
  const answer = await oauth.clientCredentialsGrantRequest(server, client, basic, parameters, options);
  return oauth.processClientCredentialsResponse(server, client, answer);
});
const told = await oauth.processIntrospectionResponse(
  server,
  client,
  await oauth.introspectionRequest(server, client, basic, bound.access_token, insecure),
);

const ownDPoP = oauth.DPoP(own, keys);
const get = (token, path) => {
  const options = { ...insecure, DPoP: ownDPoP };
  return oauth.protectedResourceRequest(token, "GET", new URL(path, url), new Headers(), null, options);
};
// The login itself is keyturn's own, so the proof is made by hand.
const proof = async (path, nonce) => {
  const text = (value) => Buffer.from(value).toString("base64url");
  const jwk = await crypto.subtle.exportKey("jwk", keys.publicKey);
  const header = { typ: "dpop+jwt", alg: "ES256", jwk: { kty: jwk.kty, crv: jwk.crv, x: jwk.x, y: jwk.y } };
  const iat = Math.floor(Date.now() / 1000);
  const claims = { jti: crypto.randomUUID(), htm: "POST", htu: new URL(path, url).href, iat, nonce };
  const message = `${text(JSON.stringify(header))}.${text(JSON.stringify(claims))}`;
  const signature = await crypto.subtle.sign({ name: "ECDSA", hash: "SHA-256" }, keys.privateKey, Buffer.from(message));
  return `${message}.${text(signature)}`;
};
const logIn = async (nonce) => {
  const path = "/api/v1/auth/login";
  const headers = { "content-type": "application/json", dpop: await proof(path, nonce) };
  return fetch(new URL(path, url), { method: "POST", headers, body: JSON.stringify({ email, password }) });
};
const asked = await logIn();
const session = await (await logIn(asked.headers.get("dpop-nonce"))).json();
const boundRefresh = await withNonce(async () => {
  const options = { ...insecure, DPoP: ownDPoP };
  const answer = await oauth.refreshTokenGrantRequest(server, own, oauth.None(), session.refresh_token, options);
  return oauth.processRefreshTokenResponse(server, own, answer);
});
const me = await withNonce(() => get(boundRefresh.access_token, "/api/v1/auth/me"));
const downgraded = await fetch(new URL("/api/v1/auth/me", url), {
  headers: { authorization: `Bearer ${boundRefresh.access_token}` },
});
const found = {
  client: bound.token_type,
  told: told.token_type,
  thumbprint: told.cnf.jkt === (await DPoP.calculateThumbprint()),
  nonce: (await asked.json()).code,
  refreshed: boundRefresh.token_type,
  me: (await me.json()).user.email,
  nonces,
  downgraded: (await downgraded.json()).code,
};
console.log(JSON.stringify(found));
