"""Writes the corpus that every verifier runs: tokens, keys, states of the feed and times, each with its verdict.

    python3 tests/verifiers/generate.py > tests/verifiers/corpus.json

docs/verifiers.md says what the verdicts mean. The verdicts are written here by hand, and no verifier is asked.
"""

import json
import sys

import cases_dpop
import cases_feed
import cases_form
import cases_rules
from corpus import CASES, DEFAULTS, KEYS


def main():
    cases_form.add()
    cases_rules.add()
    cases_feed.add()
    cases_dpop.add()
    names = [case["name"] for case in CASES]
    twice = {name for name in names if names.count(name) > 1}
    assert not twice, twice
    lines = ",\n".join(json.dumps(case, separators=(",", ":")) for case in CASES)
    keys = ",\n".join(f"{json.dumps(name)}:{json.dumps(keys, separators=(',', ':'))}" for name, keys in KEYS.items())
    about = "Made by tests/verifiers/generate.py; docs/verifiers.md explains it. Its keys are public: they protect nothing."
    head = f'"about":{json.dumps(about)},\n"options":{json.dumps(DEFAULTS, separators=(",", ":"))}'
    head += f',\n"proof_key":{json.dumps(cases_dpop.private(), separators=(",", ":"))}'
    sys.stdout.write(f'{{{head},\n"keys":{{\n{keys}}},\n"cases":[\n{lines}\n]}}\n')


if __name__ == "__main__":
    main()
