// Why a token is refused. The code is for logs and metrics; the caller is told the status and the challenge only.

const FORBIDDEN = new Set(["missing_role", "missing_scope", "acting"]);
const UNKNOWN = new Set(["not_ready", "stale", "introspect", "proof_unknown"]);
const WEAK = new Set(["missing_amr", "login_too_old"]);

// The challenge for a token or a proof with the wrong key (RFC 9449 §7.1).
const keyed = (error) => `DPoP error="${error}", algs="ES256 EdDSA RS256"`;

export class Refusal extends Error {
  constructor(code) {
    super(`the access token is refused: ${code}`);
    this.name = "Refusal";
    this.code = code;
    // 503 where it is not known whether the token is valid: a client that gets 401 may log its user out.
    this.status = UNKNOWN.has(code) ? 503 : FORBIDDEN.has(code) ? 403 : 401;
    const error = FORBIDDEN.has(code)
      ? "insufficient_scope"
      : WEAK.has(code)
        ? "insufficient_user_authentication"
        : "invalid_token";
    if (UNKNOWN.has(code)) this.challenge = undefined;
    else if (code === "proof_required" || code === "not_bound") this.challenge = keyed(error);
    else if (code.startsWith("proof_")) this.challenge = keyed("invalid_dpop_proof");
    else this.challenge = `Bearer error="${error}"`;
  }
}
