// A server of OpenID Connect. A refresh token is used once, and ends its session when it is used again (RFC 9700
// §4.14.2). Auth0 is such a server with an overlap, off by default: for so long the last token that was used may be
// used again, and another one is issued. Its status for a refusal is 403.
// https://auth0.com/docs/secure/tokens/refresh-tokens/configure-refresh-token-rotation
import { json, empty } from "../../../sdk/conformance/src/replies.js";
import { Tokens } from "./tokens.mjs";

const to = (location, parameters) => empty(302, { location: `${location}?${new URLSearchParams(parameters)}` });

export class OpenId extends Tokens {
  #codes = new Map();

  constructor(given = {}) {
    super();
    const paths = { refreshPath: "/token", logoutPath: "/end_session" };
    Object.assign(this, { overlap: 0, refusal: 400, endsAtLogout: true, slash: "" }, paths, given);
  }

  isRefresh(url, body) {
    return url.pathname === this.refreshPath && new URLSearchParams(body).get("grant_type") === "refresh_token";
  }

  failure(status) {
    return json(status, { error: status === 503 ? "temporarily_unavailable" : "server_error" });
  }

  answer({ url, body }) {
    const asked = Object.fromEntries(url.searchParams);
    switch (url.pathname) {
      case "/.well-known/openid-configuration":
        return json(200, this.#metadata(url.origin));
      case "/authorize": {
        const code = crypto.randomUUID();
        this.#codes.set(code, asked);
        return to(asked.redirect_uri, { code, state: asked.state });
      }
      case this.logoutPath:
        if (this.endsAtLogout) this.endAll();
        return to(asked.post_logout_redirect_uri ?? asked.returnTo, asked.state ? { state: asked.state } : {});
      case this.refreshPath:
        return this.#token(url.origin, Object.fromEntries(new URLSearchParams(body)));
      default:
        return json(404, { error: "not_found" });
    }
  }

  #metadata(issuer) {
    return {
      issuer,
      authorization_endpoint: `${issuer}/authorize`,
      token_endpoint: issuer + this.refreshPath,
      end_session_endpoint: issuer + this.logoutPath,
      jwks_uri: `${issuer}/jwks`,
    };
  }

  #token(issuer, form) {
    if (form.grant_type !== "refresh_token") {
      const { nonce, client_id } = this.#codes.get(form.code);
      return this.#grant(issuer, Object.assign(this.open(), { nonce, client_id }));
    }
    const token = this.find(form.refresh_token);
    if (!token || !this.isLive(token.session)) return this.#refused();
    // A token may be used again for as long as none of those issued for it has been used.
    const isPrevious = token.usedAt && this.now() - token.usedAt < this.overlap * 1000 && !token.hasGrandchild;
    if (token.usedAt && !isPrevious) {
      this.end(token.session);
      return this.#refused();
    }
    if (token.parent) token.parent.hasGrandchild = true;
    this.next(token);
    return this.#grant(issuer, token.session);
  }

  #refused() {
    return json(this.refusal, { error: "invalid_grant", error_description: "Unknown or invalid refresh token." });
  }

  #grant(origin, session) {
    const iat = Math.floor(this.now() / 1000);
    const about = { iss: origin + this.slash, sub: session.id, aud: session.client_id, nonce: session.nonce };
    return json(200, {
      access_token: this.access(session),
      token_type: "Bearer",
      expires_in: this.accessTtl,
      refresh_token: session.active.text,
      id_token: this.sign({ ...about, sid: session.id, iat, exp: iat + 36_000 }),
      scope: "openid profile email offline_access",
    });
  }
}

/** Auth0, whose tokens name an issuer with a slash, and whose logout leaves refresh tokens alone. */
export const auth0 = (overlap) =>
  new OpenId({
    ...{ refreshPath: "/oauth/token", logoutPath: "/v2/logout", slash: "/" },
    ...{ overlap, refusal: 403, endsAtLogout: false },
  });
