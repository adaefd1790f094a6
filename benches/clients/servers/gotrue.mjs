// Supabase Auth as its documentation has it: a refresh token may be used again within ten seconds, and the parent of
// the active one at any time; both return the active one. Any other reuse ends the session.
// https://supabase.com/docs/guides/auth/sessions
import { json, empty } from "../../../sdk/conformance/src/replies.js";
import { Tokens } from "./tokens.mjs";

const REUSE_INTERVAL = 10_000;
const version = { "x-supabase-api-version": "2024-01-01" };
const refused = (status, code) => json(status, { code, message: `This is ${code}.` }, version);

export class GoTrue extends Tokens {
  refreshPath = "/auth/v1/token";

  isRefresh(url) {
    return url.pathname === this.refreshPath && url.searchParams.get("grant_type") === "refresh_token";
  }

  failure(status) {
    return refused(status, "unexpected_failure");
  }

  answer({ url, bearer, body }) {
    if (this.isRefresh(url)) return this.#refresh(JSON.parse(body).refresh_token);
    if (url.pathname === this.refreshPath) return this.#grant(this.open());
    if (url.pathname !== "/auth/v1/logout") return refused(404, "not_found");
    const session = this.sessionOf(bearer);
    if (session) this.end(session);
    return session ? empty(204) : refused(403, "session_not_found");
  }

  #refresh(text) {
    const token = this.find(text);
    if (!token || !this.isLive(token.session)) return refused(400, "refresh_token_not_found");
    const { session } = token;
    if (!token.usedAt) {
      this.next(token);
    } else if (session.active.parent !== token && this.now() - token.usedAt > REUSE_INTERVAL) {
      this.end(session);
      return refused(400, "refresh_token_already_used");
    }
    return this.#grant(session);
  }

  #grant(session) {
    const user = { id: session.id, aud: "authenticated", role: "authenticated", email: "ada@example.com" };
    const grant = {
      access_token: this.access(session),
      token_type: "bearer",
      expires_in: this.accessTtl,
      expires_at: Math.floor(this.now() / 1000) + this.accessTtl,
      refresh_token: session.active.text,
      user: { ...user, app_metadata: {}, user_metadata: {}, created_at: new Date(session.began).toISOString() },
    };
    return json(200, grant, version);
  }
}
