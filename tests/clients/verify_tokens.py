"""Verifies an access token with the libraries of Python, each as its documentation shows. Prints the subject that each
of them read."""

import json
import sys
import warnings

import requests

warnings.simplefilter("ignore")

given = json.loads(sys.argv[1])
issuer, audience, algorithm, token = (given[name] for name in ("issuer", "audience", "algorithm", "token"))
jwks = requests.get(f"{issuer}/.well-known/jwks.json", timeout=10).json()


def with_pyjwt():
    import jwt

    key = jwt.PyJWKClient(f"{issuer}/.well-known/jwks.json").get_signing_key_from_jwt(token)
    required = ["exp", "iat", "nbf", "iss", "aud", "sub", "jti"]
    claims = jwt.decode(
        token, key, algorithms=[algorithm], audience=audience, issuer=issuer, options={"require": required}
    )
    return claims["sub"]


def with_authlib():
    from authlib.oauth2.rfc9068 import JWTBearerTokenValidator

    class Validator(JWTBearerTokenValidator):
        def get_jwks(self):
            return jwks

    validator = Validator(issuer=issuer, resource_server=audience)
    claims = validator.authenticate_token(token)
    validator.validate_token(claims, None, None)
    return claims["sub"]


def with_joserfc():
    from joserfc import jwt
    from joserfc.jwk import KeySet
    from joserfc.jwt import JWTClaimsRegistry

    decoded = jwt.decode(token, KeySet.import_key_set(jwks), algorithms=[algorithm])
    essential = {"essential": True}
    registry = JWTClaimsRegistry(
        iss={**essential, "value": issuer}, aud={**essential, "value": audience}, exp=essential, sub=essential
    )
    registry.validate(decoded.claims)
    return decoded.claims["sub"]


read = {"PyJWT": with_pyjwt(), "joserfc": with_joserfc()}
# Its validator takes no list of algorithms, and EdDSA is not among those that it takes by itself.
if algorithm != "EdDSA":
    read["Authlib"] = with_authlib()
print(json.dumps(read))
