// Measures how many tokens a second are verified, beside jose alone in the same run. Prints the rates.
import { generateKeyPair, exportJWK, jwtVerify, SignJWT } from "jose";
import { Verifier } from "@keyturn/verify";

const ISSUER = "https://auth.example";
const id = () => crypto.randomUUID();
const { publicKey, privateKey } = await generateKeyPair("ES256");
const keys = { keys: [{ ...(await exportJWK(publicKey)), kid: "main", alg: "ES256", use: "sig" }] };
const now = Math.floor(Date.now() / 1000);

async function sign() {
  for (;;) {
    const claims = {
      iss: ISSUER, sub: id(), aud: "keyturn", exp: now + 900, iat: now, nbf: now, jti: id(), sid: id(), rev: 1,
      client_id: "keyturn", roles: ["user"], auth_time: now, amr: ["pwd"],
    };
    const token = await new SignJWT(claims).setProtectedHeader({ alg: "ES256", typ: "at+jwt", kid: "main" }).sign(privateKey);
    // Only the lower of the two forms of a signature is accepted.
    if (Buffer.from(token.split(".")[2], "base64url")[32] < 0x7f) return token;
  }
}

const tokens = [];
for (let count = 0; count < 1000; count += 1) tokens.push(await sign());

async function rate(verify, seconds) {
  const start = performance.now();
  let count = 0;
  while (performance.now() - start < seconds * 1000) {
    for (let each = 0; each < 100; each += 1) await verify(tokens[count++ % tokens.length]);
  }
  return Math.round((count * 1000) / (performance.now() - start));
}

const options = { issuer: ISSUER, audience: "keyturn", feed: false };
const fresh = new Verifier({ ...options, remembered: 0 });
await fresh.setKeys(keys);
const remembering = new Verifier(options);
await remembering.setKeys(keys);
const expected = { issuer: ISSUER, audience: "keyturn", typ: "at+jwt", algorithms: ["ES256"] };
const bare = (token) => jwtVerify(token, publicKey, expected);
const own = (token) => fresh.verify(token);
// In turns of some milliseconds, so that what else the machine does concerns both.
const taken = [0, 0];
const TURN = 20;
let count = 0;
for (const end = performance.now() + 6000; performance.now() < end; count += TURN) {
  for (const [which, verify] of [bare, own].entries()) {
    const start = performance.now();
    for (let each = 0; each < TURN; each += 1) await verify(tokens[(count + each) % tokens.length]);
    taken[which] += performance.now() - start;
  }
}
const [bareRate, ownRate] = taken.map((milliseconds) => Math.round((count * 1000) / milliseconds));
const remembered = await rate((token) => remembering.verify(token), 1);
console.log(JSON.stringify({ bare: bareRate, own: ownRate, ratio: ownRate / bareRate, remembered }));
