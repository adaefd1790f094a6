"""What the integrations of frameworks share."""

import re

from ._refusal import Refusal

_BEARER = re.compile(r"Bearer +(\S+)\Z", re.IGNORECASE)


class Missing(Refusal):
    """The refusal of a request without an access token."""

    def __init__(self):
        super().__init__("missing")
        self.challenge = "Bearer"


def bearer(authorization):
    """Returns the token in the value of `Authorization`."""
    found = _BEARER.match(authorization or "")
    if found is None:
        raise Missing
    return found[1]


def headers(refusal):
    """Returns the headers of the response to a request that is refused."""
    return {"WWW-Authenticate": refusal.challenge} if refusal.challenge else {}
