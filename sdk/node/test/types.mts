// What the types allow. It is compiled only.
import { Refusal, Verifier, createVerifier, demand } from "@keyturn/verify";
import type { Bound, Claims, Code, Demands } from "@keyturn/verify";
import { authenticate } from "@keyturn/verify/express";
import { authenticate as hook } from "@keyturn/verify/fastify";
import { authenticate as middleware } from "@keyturn/verify/hono";

const verifier = createVerifier({ issuer: "a", audience: "b", clientId: "c", clientSecret: "d", whenStale: "accept" });
await verifier.ready();
const claims: Claims = await verifier.check("x");
const sub: string = claims.sub;
const roles: string[] = claims.roles ?? [];
const bound: Bound = { token: "x", proof: "y", method: "GET", url: "https://api.example/orders" };
const key: string | undefined = (await verifier.checkBound(bound)).cnf?.jkt;
createVerifier({ issuer: "a", audience: "b", clientId: "c", clientSecret: "d", publicUrl: "e", claimProof: () => true });
const demands: Demands = { role: "admin", maxAge: 300, owner: true };
demand(claims, demands);
const age: number | undefined = verifier.age();
const offline = new Verifier({ issuer: "a", audiences: ["b"], feed: false });
await offline.setKeys({ keys: [] });
offline.apply("reset", {});
const code: Code = new Refusal("expired").code;
authenticate(verifier, { scope: "a b" });
hook(verifier);
middleware(verifier, demands);
// @ts-expect-error a client is needed
createVerifier({ issuer: "a", audience: "b" });
// @ts-expect-error no such policy
new Verifier({ issuer: "a", audience: "b", whenStale: "wait" });
// @ts-expect-error no such code
new Refusal("teapot");
verifier.close();
export { age, code, key, roles, sub };
