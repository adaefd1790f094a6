"""Verifies tokens of a server, by themselves or with proofs. Prints the verdicts."""

import json
import sys

from keyturn_verify import LiveVerifier, Refusal


def main():
    given = json.loads(sys.argv[1])
    verdicts = []
    with LiveVerifier(given["issuer"], "keyturn", given["clientId"], given["clientSecret"]) as verifier:
        verifier.ready()
        for request in given["presented"]:
            token = request.pop("token")
            try:
                if "proof" in request:
                    verifier.check_bound(token, **request)
                else:
                    verifier.check(token)
                verdicts.append("valid")
            except Refusal as refusal:
                verdicts.append(refusal.code)
    print(json.dumps(verdicts))


main()
