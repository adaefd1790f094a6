"""For Flask: a decorator of views. The claims are in `flask.g.auth`."""

import functools

import flask

from ._bearer import begin, finish, headers, target_of
from ._refusal import Refusal
from ._verifier import Demand


def authenticated(verifier, demand=None):
    """Returns a decorator: the view is called with a valid access token that has what is demanded."""
    demand = demand or Demand()

    def decorate(view):
        @functools.wraps(view)
        def with_claims(*parts, **names):
            try:
                request = flask.request
                target = target_of(request.environ, request.root_path + request.path)
                values = (request.headers.get(name) for name in ("Authorization", "DPoP"))
                claims = finish(*begin(verifier, *values, request.method, target), demand)
            except Refusal as refusal:
                return "", refusal.status, headers(refusal)
            flask.g.auth = claims
            return flask.current_app.ensure_sync(view)(*parts, **names)

        return with_claims

    return decorate
