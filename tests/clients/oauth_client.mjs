// Uses the standard endpoints with oauth4webapi, as its documentation shows. Prints what each step found.
import * as oauth from "oauth4webapi";

const { issuer, audience, id, secret, access, refresh } = JSON.parse(process.argv[2]);
const insecure = { [oauth.allowInsecureRequests]: true };

const url = new URL(issuer);
const server = await oauth.processDiscoveryResponse(
  url,
  await oauth.discoveryRequest(url, { algorithm: "oauth2", ...insecure }),
);
const client = { client_id: id };
const methods = { basic: oauth.ClientSecretBasic(secret), post: oauth.ClientSecretPost(secret) };

async function introspect(method, token) {
  const answer = await oauth.introspectionRequest(server, client, method, token, insecure);
  return oauth.processIntrospectionResponse(server, client, answer);
}

async function tokenOfItsOwn(method) {
  const parameters = new URLSearchParams({ scope: "introspect", audience });
  const answer = await oauth.clientCredentialsGrantRequest(server, client, method, parameters, insecure);
  return (await oauth.processClientCredentialsResponse(server, client, answer)).access_token;
}

async function exchange(method, token) {
  const type = "urn:ietf:params:oauth:token-type:access_token";
  const parameters = { subject_token: token, subject_token_type: type, scope: "orders:read" };
  const grant = "urn:ietf:params:oauth:grant-type:token-exchange";
  const answer = await oauth.genericTokenEndpointRequest(server, client, method, grant, parameters, insecure);
  return (await oauth.processGenericTokenEndpointResponse(server, client, answer)).access_token;
}

const own = { client_id: "keyturn" };

async function refreshed(token) {
  const answer = await oauth.refreshTokenGrantRequest(server, own, oauth.None(), token, insecure);
  return oauth.processRefreshTokenResponse(server, own, answer);
}

async function revoke(token) {
  await oauth.processRevocationResponse(await oauth.revocationRequest(server, own, oauth.None(), token, insecure));
}

const found = {};
for (const [name, method] of Object.entries(methods)) {
  const narrow = await exchange(method, access);
  found[name] = {
    subject: (await introspect(method, access)).sub,
    own: (await introspect(method, await tokenOfItsOwn(method))).sub,
    exchanged: (await introspect(method, narrow)).scope,
    unknown: await introspect(method, "unknown"),
  };
}
const next = await refreshed(refresh);
await revoke(next.access_token);
const dead = (await introspect(methods.basic, next.access_token)).active;
const alive = (await introspect(methods.basic, next.refresh_token)).active;
await revoke(next.refresh_token);
let refused;
try {
  await refreshed(next.refresh_token);
} catch (error) {
  refused = error.error;
}
console.log(JSON.stringify({ ...found, dead, alive, refused }));
