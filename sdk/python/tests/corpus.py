"""Runs the corpus that all verifiers share. Prints how many cases there were and which got another verdict."""

import contextlib
import json
import sys

from keyturn_verify import Demand, Refusal, Rules, Verifier


def verifier(case, defaults):
    options = defaults | case.get("options", {})
    rules = Rules(
        issuer=options["issuer"],
        audiences=options["audiences"],
        algorithms=options["algorithms"],
        not_before_leeway=options["not_before_leeway"],
        expiry_leeway=options["expiry_leeway"],
        feed="feed" in case,
        max_age_of_feed=options["max_age_of_feed_ms"] / 1000,
        when_stale=options["when_stale"],
    )
    return Verifier(rules)


def verdicts(case, corpus):
    """Yields two, each with the expected one: the second time, the token may be remembered, and the proof was used."""
    own = verifier(case, corpus["options"])
    keys = case.get("keys", "usual")
    if keys is not None:
        own.set_keys(corpus["keys"][keys])
    # In milliseconds: with fractions, sums of seconds are not exact.
    at = 3_600_000
    for step in case.get("feed", ()):
        at += step.get("wait_ms", 0)
        own.apply(step["event"], step["data"], at / 1000)
    at += case.get("silent_ms", 0)
    parts = case["token"]
    token = parts if isinstance(parts, str) else "".join(text * times for text, times in parts)
    demand, now = Demand(**case.get("require", {})), case["now_ms"] / 1000
    request = case.get("proof")

    def verify(proof):
        if request is None:
            return own.verify(token, now, at / 1000)
        method, url = request["method"], request["url"]
        return own.verify_bound(token, proof=proof, method=method, url=url, now=now, at=at / 1000)

    for proof in (request or {}).get("earlier", ()):
        # Whatever becomes of those that came before.
        with contextlib.suppress(Refusal):
            verify(proof)
    for expected in (case["verdict"], case.get("again", case["verdict"])):
        try:
            demand.check(verify(request and request["text"]), now)
            yield "valid", expected
        except Refusal as refusal:
            yield refusal.code, expected
        except Exception as error:
            yield repr(error), expected


def main():
    with open(json.loads(sys.argv[1])["path"], encoding="utf-8") as file:
        corpus = json.load(file)
    wrong = []
    for case in corpus["cases"]:
        for verdict, expected in verdicts(case, corpus):
            if verdict != expected:
                wrong.append(f"{case['name']}: {verdict}, not {expected}")
    print(json.dumps({"cases": len(corpus["cases"]), "wrong": wrong}))


main()
