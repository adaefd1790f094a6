"""What the cases are made of: the usual token, the keys, and the list that cases are added to."""

import hashlib
import uuid

from keys import EdDsa, Es256, Rs256, b64, part

ISSUER = "https://auth.example"
AUDIENCE = "https://api.example"
# The time of most cases, in seconds.
NOW = 1_800_000_000

DEFAULTS = {
    "issuer": ISSUER,
    "audiences": [AUDIENCE],
    "algorithms": ["ES256", "EdDSA", "RS256"],
    "not_before_leeway": 5,
    "expiry_leeway": 0,
    "max_age_of_feed_ms": 5000,
    "when_stale": "refuse",
}

MAIN = Es256("main")
NEXT = Es256("next")
STRANGER = Es256("stranger")
ED = EdDsa("ed")
RSA = Rs256("rsa")

KEYS = {"usual": {"keys": [key.jwk() for key in (MAIN, NEXT, ED, RSA)]}}
CASES = []


def identifier(name):
    return str(uuid.UUID(bytes=hashlib.sha256(name.encode()).digest()[:16], version=4))


USER = identifier("user")
SESSION = identifier("session")
CLIENT = identifier("client")
JTI = identifier("jti")

HEADER = {"alg": "ES256", "typ": "at+jwt", "kid": MAIN.kid}
CLAIMS = {
    "iss": ISSUER,
    "sub": USER,
    "aud": AUDIENCE,
    "exp": NOW + 600,
    "iat": NOW - 300,
    "nbf": NOW - 300,
    "jti": JTI,
    "sid": SESSION,
    "rev": 7,
    "client_id": "keyturn",
    "scope": "orders:read orders:write",
    "roles": ["user", "editor"],
    "auth_time": NOW - 1000,
    "amr": ["pwd", "otp", "mfa"],
}
# What a client's own token has: no person, and so no session.
CLIENT_CLAIMS = {name: CLAIMS[name] for name in ("iss", "aud", "exp", "iat", "nbf", "jti", "scope")} | {
    "sub": f"client:{CLIENT}",
    "client_id": CLIENT,
}
DROP = object()


def changed(value, **changes):
    """Returns a copy with these members, or without those that are `DROP`."""
    value = value | changes
    return {name: member for name, member in value.items() if member is not DROP}


def sign(header=None, claims=None, key=MAIN):
    """Returns a token; header and claims may be JSON as text or bytes, to be signed as they are."""
    default = changed(HEADER, alg=key.alg, kid=key.kid)
    message = f"{part(default if header is None else header)}.{part(CLAIMS if claims is None else claims)}"
    return f"{message}.{b64(key.sign(message.encode()))}"


def case(name, token, verdict, **others):
    """Adds a case. `token` may be a list of texts, each with how often it is repeated."""
    CASES.append({"name": name, "token": token, "verdict": verdict, "now_ms": NOW * 1000} | others)
