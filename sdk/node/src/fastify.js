// A hook for Fastify: `app.addHook("onRequest", authenticate(verifier))`. The claims are in `request.auth`.

import { authorize, presented } from "./bearer.js";

export function authenticate(verifier, demands = {}) {
  return async (request, reply) => {
    const presentation = presented(request, request.originalUrl);
    const { claims, status, headers } = await authorize(verifier, demands, presentation);
    if (!claims) return reply.code(status).headers(headers).send();
    request.auth = claims;
  };
}
