// A middleware for Hono: `app.use(authenticate(verifier))`. The claims are in `context.get("auth")`.

import { authorize } from "./bearer.js";

export function authenticate(verifier, demands = {}) {
  return async (context, next) => {
    const { method, url } = context.req.raw;
    const { authorization, dpop } = context.req.header();
    const { claims, status, headers } = await authorize(verifier, demands, { authorization, dpop, method, path: url });
    if (!claims) return context.body(null, status, headers);
    context.set("auth", claims);
    await next();
  };
}
