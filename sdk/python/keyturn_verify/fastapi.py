"""For FastAPI: `claims: Annotated[dict, Depends(authenticated(verifier))]`, with an AsyncLiveVerifier or a LiveVerifier."""

import inspect
from typing import Annotated

from fastapi import Header, HTTPException

from ._bearer import bearer, headers
from ._refusal import Refusal
from ._verifier import Demand


def authenticated(verifier, demand=None):
    """Returns a dependency: the claims of a valid access token that has what is demanded."""
    demand = demand or Demand()

    async def claims_of(authorization: Annotated[str | None, Header(include_in_schema=False)] = None):
        try:
            claims = verifier.check(bearer(authorization))
            if inspect.isawaitable(claims):
                claims = await claims
            demand.check(claims)
            return claims
        except Refusal as refusal:
            raise HTTPException(refusal.status, headers=headers(refusal)) from None

    return claims_of
