"""Why a token is refused."""

_FORBIDDEN = {"missing_role", "missing_scope", "acting"}
_UNKNOWN = {"not_ready", "stale", "introspect", "proof_unknown"}
_WEAK = {"missing_amr", "login_too_old"}
_SCHEME = {"proof_required", "not_bound"}
_KEYED = ("proof_", "not_bound")


class Refusal(Exception):
    """The refusal of a token. `code` is for logs and metrics; the caller is told `status` and `challenge` only."""

    def __init__(self, code):
        super().__init__(f"the access token is refused: {code}")
        self.code = code
        error = "invalid_token"
        self.status = 401
        if code in _UNKNOWN:
            # It is not known whether the token is valid: a client that gets 401 may log its user out.
            self.status = 503
        elif code in _FORBIDDEN:
            self.status = 403
            error = "insufficient_scope"
        elif code in _WEAK:
            error = "insufficient_user_authentication"
        self.challenge = None if code in _UNKNOWN else f'Bearer error="{error}"'
        if code.startswith(_KEYED) and code not in _UNKNOWN:
            # RFC 9449 §7.1.
            error = error if code in _SCHEME else "invalid_dpop_proof"
            self.challenge = f'DPoP error="{error}", algs="ES256 EdDSA RS256"'
