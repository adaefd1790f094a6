"""The public keys of the server."""

import re

import jwt

from ._json import decode_base64url

_BASE64URL = re.compile(r"[A-Za-z0-9_-]+\Z")
_ALGORITHMS = {name: jwt.get_algorithm_by_name(name) for name in ("ES256", "EdDSA", "RS256")}


class Key:
    """A public key with its algorithm."""

    __slots__ = ("algorithm", "material", "_public", "_verify")

    def __init__(self, algorithm, jwk):
        self.algorithm = algorithm
        self.material = jwk
        self._public = _ALGORITHMS[algorithm].from_jwk(jwk)
        self._verify = _ALGORITHMS[algorithm].verify

    def is_valid(self, message, signature):
        return self._verify(message, self._public, signature)


def _length(jwk, name):
    """Returns the number of bytes of a member, 0 if it is none."""
    text = jwk.get(name)
    if not isinstance(text, str) or not _BASE64URL.match(text):
        return 0
    try:
        data = decode_base64url(text)
    except ValueError:
        return 0
    return 0 if name == "n" and data[:1] == b"\0" else len(data)


def _algorithm(jwk):
    """Returns the algorithm that a key is for, None if the key cannot be used."""
    if jwk.get("use", "sig") != "sig":
        return None
    kind, curve = jwk.get("kty"), jwk.get("crv")
    algorithm = None
    if (kind, curve) == ("EC", "P-256") and _length(jwk, "x") == _length(jwk, "y") == 32:
        algorithm = "ES256"
    elif (kind, curve) == ("OKP", "Ed25519") and _length(jwk, "x") == 32:
        algorithm = "EdDSA"
    elif kind == "RSA" and 256 <= _length(jwk, "n") <= 1024 and _length(jwk, "e"):
        algorithm = "RS256"
    return algorithm if jwk.get("alg", algorithm) == algorithm else None


def parse_keys(jwk_set):
    """Reads a JWK set. Leaves out the keys that cannot be used; of several with one id the first counts."""
    if not isinstance(jwk_set, dict) or not isinstance(jwk_set.get("keys"), list):
        raise ValueError("not a JWK set")
    keys = {}
    for jwk in jwk_set["keys"]:
        if not isinstance(jwk, dict) or not isinstance(jwk.get("kid"), str) or jwk["kid"] in keys:
            continue
        algorithm = _algorithm(jwk)
        if algorithm is None:
            continue
        public = {name: jwk[name] for name in ("kty", "crv", "x", "y", "n", "e") if name in jwk}
        try:
            keys[jwk["kid"]] = Key(algorithm, public)
        except (jwt.InvalidKeyError, ValueError):
            # A point that is not on its curve, for example.
            continue
    return keys


def are_same(some, others):
    """Returns whether two sets have the same keys."""
    return {kid: key.material for kid, key in some.items()} == {kid: key.material for kid, key in others.items()}
