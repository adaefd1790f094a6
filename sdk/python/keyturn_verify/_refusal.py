"""Why a token is refused."""

_FORBIDDEN = {"missing_role", "missing_scope", "acting"}
_UNKNOWN = {"not_ready", "stale", "introspect"}
_WEAK = {"missing_amr", "login_too_old"}


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
