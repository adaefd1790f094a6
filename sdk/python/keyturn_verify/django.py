"""For Django: a decorator of views. The claims are in `request.auth`."""

import functools

from django.http import HttpResponse

from ._bearer import begin, finish, headers, target_of
from ._refusal import Refusal
from ._verifier import Demand


def authenticated(verifier, demand=None):
    """Returns a decorator: the view is called with a valid access token that has what is demanded."""
    demand = demand or Demand()

    def decorate(view):
        @functools.wraps(view)
        def with_claims(request, *parts, **names):
            try:
                # ASGI has the path as it came elsewhere.
                raw = getattr(request, "scope", {}).get("raw_path")
                target = raw.decode("latin-1") if raw else target_of(request.META, request.path)
                values = (request.headers.get(name) for name in ("Authorization", "DPoP"))
                claims = finish(*begin(verifier, *values, request.method, target), demand)
            except Refusal as refusal:
                return HttpResponse(status=refusal.status, headers=headers(refusal))
            request.auth = claims
            return view(request, *parts, **names)

        return with_claims

    return decorate
