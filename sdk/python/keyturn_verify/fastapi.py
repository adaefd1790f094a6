"""For FastAPI: `claims: Annotated[dict, Depends(authenticated(verifier))]`, with an AsyncLiveVerifier or a LiveVerifier."""

import inspect

from fastapi import HTTPException
from fastapi.requests import HTTPConnection

from ._bearer import begin, finish, headers, target_of
from ._refusal import Refusal
from ._verifier import Demand


def authenticated(verifier, demand=None):
    """Returns a dependency: the claims of a valid access token that has what is demanded."""
    demand = demand or Demand()

    async def claims_of(connection: HTTPConnection):
        scope = connection.scope
        raw = scope.get("raw_path")
        target = raw.decode("latin-1") if raw else target_of({}, scope["path"])
        # Several values are one with commas, which neither header has.
        values = (",".join(connection.headers.getlist(name)) or None for name in ("authorization", "dpop"))
        try:
            # A WebSocket begins with a GET.
            claims, is_unproven = begin(verifier, *values, scope.get("method", "GET"), target)
            if inspect.isawaitable(claims):
                claims = await claims
            return finish(claims, is_unproven, demand)
        except Refusal as refusal:
            raise HTTPException(refusal.status, headers=headers(refusal)) from None

    return claims_of
