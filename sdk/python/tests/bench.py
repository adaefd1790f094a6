"""Measures how many tokens a second are verified, beside PyJWT alone in the same run. Prints the rates."""

import json
import time
import uuid

import jwt
from cryptography.hazmat.primitives.asymmetric import ec
from keyturn_verify import Rules, Verifier

ISSUER = "https://auth.example"
TURN = 20


def sign(private):
    now = int(time.time())
    claims = {
        "iss": ISSUER, "sub": str(uuid.uuid4()), "aud": "keyturn", "exp": now + 900, "iat": now, "nbf": now,
        "jti": str(uuid.uuid4()), "sid": str(uuid.uuid4()), "rev": 1, "client_id": "keyturn", "roles": ["user"],
        "auth_time": now, "amr": ["pwd"],
    }  # fmt: skip
    while True:
        token = jwt.encode(claims, private, "ES256", headers={"typ": "at+jwt", "kid": "main"})
        # Only the lower of the two forms of a signature is accepted.
        if jwt.utils.base64url_decode(token.split(".")[2])[32] < 0x7F:
            return token


def rate(verify, tokens, seconds):
    start, count = time.perf_counter(), 0
    while time.perf_counter() - start < seconds:
        for token in tokens:
            verify(token)
        count += len(tokens)
    return round(count / (time.perf_counter() - start))


def main():
    private = ec.generate_private_key(ec.SECP256R1())
    public = private.public_key()
    jwk = jwt.algorithms.ECAlgorithm.to_jwk(public, as_dict=True) | {"kid": "main", "alg": "ES256", "use": "sig"}
    tokens = [sign(private) for _ in range(1000)]
    rules = {"issuer": ISSUER, "audiences": ["keyturn"], "feed": False}
    fresh, remembering = Verifier(Rules(**rules, remembered=0)), Verifier(Rules(**rules))
    for verifier in (fresh, remembering):
        verifier.set_keys({"keys": [jwk]})

    def bare(token):
        return jwt.decode(token, public, algorithms=["ES256"], issuer=ISSUER, audience="keyturn")

    # In turns of some milliseconds, so that what else the machine does concerns both.
    taken, count, end = [0.0, 0.0], 0, time.perf_counter() + 6
    while time.perf_counter() < end:
        turn = [tokens[(count + each) % len(tokens)] for each in range(TURN)]
        for which, verify in enumerate((bare, fresh.verify)):
            start = time.perf_counter()
            for token in turn:
                verify(token)
            taken[which] += time.perf_counter() - start
        count += TURN
    own = {"bare": round(count / taken[0]), "own": round(count / taken[1]), "ratio": taken[0] / taken[1]}
    print(json.dumps(own | {"remembered": rate(remembering.verify, tokens, 1)}))


main()
