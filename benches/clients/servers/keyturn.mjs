// keyturn, whose refreshes are judged by the conformance kit.
import { keyOf } from "../../../sdk/conformance/src/fake.js";
import { empty, json, problem } from "../../../sdk/conformance/src/replies.js";
import { Sessions } from "../../../sdk/conformance/src/sessions.js";

const STATUS = { already_refreshed: 409, refresh_token_replaced: 503 };

export class Keyturn {
  ahead = 0;
  refreshTtl = 7 * 86_400;
  refreshPath = "/api/v1/sessions/refresh";
  #sessions = new Sessions(() => this.now());

  now() {
    return Date.now() + this.ahead;
  }

  isRefresh(url) {
    return url.pathname === this.refreshPath;
  }

  failure(status) {
    return problem(status, status === 503 ? "database_unavailable" : "internal_error");
  }

  isGood(token) {
    return this.#sessions.use(token) !== undefined;
  }

  hasSession() {
    return this.#sessions.all().some((session) => this.#sessions.isLive(session));
  }

  endAll() {
    for (const session of this.#sessions.all()) this.#sessions.end(session);
  }

  answer({ url, body, headers }) {
    switch (url.pathname) {
      case this.refreshPath:
        return this.#refresh(JSON.parse(body).refresh_token, keyOf(headers["idempotency-key"]));
      case "/api/v1/auth/login":
        return json(200, this.#sessions.grant(this.#sessions.open()));
      case "/oauth/revoke": {
        const session = this.#sessions.find(new URLSearchParams(body).get("token"));
        if (session) this.#sessions.end(session);
        return empty(200);
      }
      default:
        return problem(404, "not_found");
    }
  }

  #refresh(token, key) {
    const { outcome, session } = this.#sessions.refresh(token, key);
    if (session) return json(200, this.#sessions.grant(session));
    const status = STATUS[outcome] ?? 401;
    return problem(status, outcome, status === 503 ? { "retry-after": "1" } : {});
  }
}
