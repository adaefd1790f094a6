// Logs in, logs out, and takes the time until a verifier that never asks refuses the token:
//
//     ISSUER=… CLIENT_ID=… CLIENT_SECRET=… node demo.mjs
import { createVerifier } from "@keyturn/verify";

const { ISSUER: issuer, AUDIENCE: audience = "keyturn", CLIENT_ID: clientId, CLIENT_SECRET: clientSecret } = process.env;
const verifier = createVerifier({ issuer, audience, clientId, clientSecret });
await verifier.ready();

const body = JSON.stringify({ email: `${crypto.randomUUID()}@example.com`, password: "seven ravens over the harbour" });
const call = (path, options) => fetch(`${issuer}/api/v1/auth${path}`, { method: "POST", ...options });
const login = await call("/register", { headers: { "content-type": "application/json" }, body });
const { access_token: token } = await login.json();
console.log(`valid: ${(await verifier.verify(token)).sub}`);

await call("/logout", { headers: { authorization: `Bearer ${token}` } });
const start = performance.now();
for (;;) {
  const code = await verifier.verify(token).then(() => undefined, (refusal) => refusal.code);
  if (code) {
    console.log(`refused: ${code}, ${(performance.now() - start).toFixed(1)} ms after the answer to the logout`);
    break;
  }
  await new Promise((resolve) => setTimeout(resolve, 1));
}
verifier.close();
