"""For Django: a decorator of views. The claims are in `request.auth`."""

import functools

from django.http import HttpResponse

from ._bearer import bearer, headers
from ._refusal import Refusal
from ._verifier import Demand


def authenticated(verifier, demand=None):
    """Returns a decorator: the view is called with a valid access token that has what is demanded."""
    demand = demand or Demand()

    def decorate(view):
        @functools.wraps(view)
        def with_claims(request, *parts, **names):
            try:
                claims = verifier.check(bearer(request.headers.get("Authorization")))
                demand.check(claims)
            except Refusal as refusal:
                return HttpResponse(status=refusal.status, headers=headers(refusal))
            request.auth = claims
            return view(request, *parts, **names)

        return with_claims

    return decorate
