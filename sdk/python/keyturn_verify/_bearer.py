"""What the integrations of frameworks share."""

import re
import urllib.parse

from ._refusal import Refusal

_PRESENTED = re.compile(r"(Bearer|DPoP) +(\S+)\Z", re.IGNORECASE)
_ORIGIN = re.compile(r"https?://[^/?#]*", re.IGNORECASE)
# What a path may have as it is (RFC 3986 §3.3).
_PATH = "/:@!$&'()*+,;=-._~"


class Missing(Refusal):
    """The refusal of a request without an access token."""

    def __init__(self):
        super().__init__("missing")
        self.challenge = "Bearer"


def begin(verifier, authorization, proof, method, target):
    """Begins to check a request with these values of `Authorization` and `DPoP` (None without), to the target that the
    client wrote. Returns the claims, which may have to be awaited, and whether only a proof was missing."""
    found = _PRESENTED.match(authorization or "")
    if found is None:
        raise Missing
    scheme, token = found.groups()
    if scheme.lower() == "bearer":
        return verifier.check(token), False
    if verifier.public_url is None:
        # Without its public URL an API takes no bound tokens.
        raise Missing
    if proof is None:
        return verifier.check(token), True
    path = re.split("[?#]", _ORIGIN.sub("", target, count=1), maxsplit=1)[0]
    url = verifier.public_url + (path if path.startswith("/") else "/" + path)
    return verifier.check_bound(token, proof=proof, method=method, url=url), False


def finish(claims, is_unproven, demand):
    """Returns the claims of a request that has what is demanded."""
    if is_unproven:
        raise Refusal("not_bound")
    demand.check(claims)
    return claims


def target_of(environ, path):
    """Returns the target of a request of WSGI: as the client wrote it, where the server says so."""
    return environ.get("RAW_URI") or environ.get("REQUEST_URI") or urllib.parse.quote(path, safe=_PATH)


def headers(refusal):
    """Returns the headers of the response to a request that is refused."""
    return {"WWW-Authenticate": refusal.challenge} if refusal.challenge else {}
