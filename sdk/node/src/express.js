// A middleware for Express: `app.use(authenticate(verifier))`. The claims are in `request.auth`.

import { authorize, presented } from "./bearer.js";

export function authenticate(verifier, demands = {}) {
  return async (request, response, next) => {
    try {
      const presentation = presented(request, request.originalUrl);
      const { claims, status, headers } = await authorize(verifier, demands, presentation);
      if (!claims) return void response.status(status).set(headers).end();
      request.auth = claims;
    } catch (error) {
      return void next(error);
    }
    next();
  };
}
