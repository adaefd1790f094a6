// A middleware for Hono: `app.use(authenticate(verifier))`. The claims are in `context.get("auth")`.

import { authorize } from "./bearer.js";

export function authenticate(verifier, demands = {}) {
  return async (context, next) => {
    const { claims, status, headers } = await authorize(verifier, demands, context.req.header("authorization"));
    if (!claims) return context.body(null, status, headers);
    context.set("auth", claims);
    await next();
  };
}
