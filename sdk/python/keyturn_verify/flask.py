"""For Flask: a decorator of views. The claims are in `flask.g.auth`."""

import functools

import flask

from ._bearer import bearer, headers
from ._refusal import Refusal
from ._verifier import Demand


def authenticated(verifier, demand=None):
    """Returns a decorator: the view is called with a valid access token that has what is demanded."""
    demand = demand or Demand()

    def decorate(view):
        @functools.wraps(view)
        def with_claims(*parts, **names):
            try:
                claims = verifier.check(bearer(flask.request.headers.get("Authorization")))
                demand.check(claims)
            except Refusal as refusal:
                return "", refusal.status, headers(refusal)
            flask.g.auth = claims
            return flask.current_app.ensure_sync(view)(*parts, **names)

        return with_claims

    return decorate
