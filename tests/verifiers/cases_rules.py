"""Cases about the claims, the time, and what an application demands."""

import json

from corpus import (AUDIENCE, CLAIMS, CLIENT_CLAIMS, DROP, ISSUER, NOW, SESSION, USER, case, changed, identifier, sign)
from keys import text

ADMINISTRATOR = identifier("administrator")

STRINGS = ("iss", "sub", "aud", "jti", "sid", "client_id")
NUMBERS = ("exp", "iat", "nbf", "rev", "auth_time")
LISTS = ("roles", "amr")
NO_STRINGS = {"null": None, "a number": 1, "true": True, "a list": [USER], "an object": {"x": USER}}
# As JSON, since a number can be written in several ways.
NO_NUMBERS = {
    "null": "null",
    "a string": f'"{NOW + 600}"',
    "a fraction": f"{NOW + 600}.5",
    "a fraction of zero": f"{NOW + 600}.0",
    "an exponent": "18e8",
    "a negative zero": "-0",
    "beyond 64 bits": "9223372036854775808",
    "beyond 64 bits below": "-9223372036854775809",
    "beyond all integers": "1" + "0" * 60,
    "true": "true",
    "a list": "[1]",
    "an object": "{}",
}
NO_LISTS = {
    "null": None, "a string": "user", "a number": 1, "true": True, "an object": {"0": "user"},
    "a list of numbers": [1], "a list with null": ["user", None], "a list of lists": [["user"]],
}
NO_UUIDS = {
    "capital letters": identifier("sid").upper(),
    "no hyphens": identifier("sid").replace("-", ""),
    "braces": "{" + identifier("sid") + "}",
    "a URN": "urn:uuid:" + identifier("sid"),
    "a space": identifier("sid") + " ",
    "a NUL": identifier("sid") + "\0",
    "one digit less": identifier("sid")[:-1],
    "a letter that is no digit": identifier("sid")[:-1] + "g",
    "a digit of another script": identifier("sid")[:-1] + "\u0661",
    "hyphens elsewhere": identifier("sid").replace("-", "", 1)[:10] + "-" + identifier("sid").replace("-", "", 1)[10:],
    "nothing": "",
}


def claims_with(name, value):
    """Returns claims as JSON in which a member has this JSON for its value."""
    mark = "@@value@@"
    return text(changed(CLAIMS, **{name: mark})).replace(f'"{mark}"', value)


def add():
    missing_and_wrong()
    ids()
    issuers_and_audiences()
    optional()
    clients()
    times()
    demands()


def missing_and_wrong():
    for name in (*STRINGS, *NUMBERS, *LISTS):
        case(f"claims: without {name}", sign(claims=changed(CLAIMS, **{name: DROP})), "claims")
        first = text(CLAIMS)[:-1] + f',"{name}":{json.dumps(CLAIMS[name])}}}'
        case(f"claims: {name} twice, and equal", sign(claims=first), "claims")
    for name in STRINGS:
        for what, value in NO_STRINGS.items():
            case(f"claims: {name} is {what}", sign(claims=changed(CLAIMS, **{name: value})), "claims")
    for name in NUMBERS:
        for what, value in NO_NUMBERS.items():
            case(f"claims: {name} is {what}", sign(claims=claims_with(name, value)), "claims")
    for name in LISTS:
        for what, value in NO_LISTS.items():
            case(f"claims: {name} is {what}", sign(claims=changed(CLAIMS, **{name: value})), "claims")
        case(f"claims: {name} is an empty list", sign(claims=changed(CLAIMS, **{name: []})), "valid")


def ids():
    for name in ("sub", "sid", "jti"):
        for what, value in NO_UUIDS.items():
            case(f"claims: {name} with {what}", sign(claims=changed(CLAIMS, **{name: value})), "claims")
        nil = "00000000-0000-0000-0000-000000000000"
        case(f"claims: {name} of zeros", sign(claims=changed(CLAIMS, **{name: nil})), "valid")


def issuers_and_audiences():
    for what, value in {
        "a slash more": ISSUER + "/", "another scheme": "http://auth.example", "a port": ISSUER + ":443",
        "capital letters": "https://Auth.example", "a host below": "https://x.auth.example", "a path": ISSUER + "/a",
        "a space": ISSUER + " ", "a NUL": ISSUER + "\0", "nothing": "", "a part": ISSUER[:-1],
    }.items():
        case(f"iss: {what}", sign(claims=changed(CLAIMS, iss=value)), "claims")
    for what, value in {
        "another": "https://other.example", "a slash more": AUDIENCE + "/", "a part": AUDIENCE[:-1], "nothing": "",
        "capital letters": AUDIENCE.upper(), "two in one": f"{AUDIENCE} https://other.example", "the issuer": ISSUER,
        "a list of it": [AUDIENCE], "a list with it": ["https://other.example", AUDIENCE], "an empty list": [],
        "a list of lists": [[AUDIENCE]], "a space": AUDIENCE + " ", "a NUL": AUDIENCE + "\0",
    }.items():
        case(f"aud: {what}", sign(claims=changed(CLAIMS, aud=value)), "claims")
    both = {"options": {"audiences": [AUDIENCE, "https://other.example"]}}
    case("aud: the first of two", sign(), "valid", **both)
    case("aud: the second of two", sign(claims=changed(CLAIMS, aud="https://other.example")), "valid", **both)
    case("aud: none of two", sign(claims=changed(CLAIMS, aud="https://third.example")), "claims", **both)
    case("aud: none accepted", sign(), "claims", options={"audiences": []})
    case("iss: another expected", sign(), "claims", options={"issuer": "https://other.example"})
    long = "https://auth.example/" + "a" * 500
    case("iss: long, and as expected", sign(claims=changed(CLAIMS, iss=long)), "valid", options={"issuer": long})
    path = "https://auth.example/a/b"
    case("iss: with a path, as expected", sign(claims=changed(CLAIMS, iss=path)), "valid", options={"issuer": path})


def optional():
    case("claims: without scope", sign(claims=changed(CLAIMS, scope=DROP)), "valid")
    case("claims: an empty scope", sign(claims=changed(CLAIMS, scope="")), "valid")
    for what, value in NO_STRINGS.items():
        case(f"claims: scope is {what}", sign(claims=changed(CLAIMS, scope=value)), "claims")
    person = {"email": "ada@example.com", "email_verified": True, "name": "Ada"}
    case("claims: of the person", sign(claims=CLAIMS | person), "valid")
    case("claims: of the person, all null", sign(claims=CLAIMS | dict.fromkeys(person)), "valid")
    for name, value in (("email", 1), ("email", ["a"]), ("email_verified", "true"), ("email_verified", 1), ("name", {})):
        case(f"claims: {name} is {json.dumps(value)}", sign(claims=changed(CLAIMS, **{name: value})), "claims")
    case("act: an administrator", sign(claims=changed(CLAIMS, act={"sub": ADMINISTRATOR})), "valid")
    case("act: with more members", sign(claims=changed(CLAIMS, act={"sub": ADMINISTRATOR, "iss": "x"})), "valid")
    case("act: null is nobody", sign(claims=changed(CLAIMS, act=None)), "valid")
    for what, value in {
        "without sub": {}, "sub null": {"sub": None}, "sub a number": {"sub": 1}, "no id": {"sub": "ada"},
        "a string": ADMINISTRATOR, "a list": [ADMINISTRATOR], "a list of it": [{"sub": ADMINISTRATOR}], "true": True,
        "capital letters": {"sub": ADMINISTRATOR.upper()},
    }.items():
        case(f"act: {what}", sign(claims=changed(CLAIMS, act=value)), "claims")
    repeated = text(CLAIMS)[:-1] + f',"act":{{"sub":"{ADMINISTRATOR}","sub":"{ADMINISTRATOR}"}}}}'
    case("act: sub twice", sign(claims=repeated), "claims")


def clients():
    case("client: its own token", sign(claims=CLIENT_CLAIMS), "valid")
    case("client: with roles", sign(claims=CLIENT_CLAIMS | {"roles": ["service"]}), "valid")
    case("client: acting in a session", sign(claims=CLIENT_CLAIMS | {"sid": SESSION, "rev": 1}), "valid")
    for name, value in (("sid", "x"), ("sid", None), ("rev", "1"), ("rev", None), ("roles", None), ("amr", "pwd"),
                        ("auth_time", None)):
        case(f"client: {name} is {json.dumps(value)}", sign(claims=CLIENT_CLAIMS | {name: value}), "claims")
    for name in ("sid", "rev"):
        both = CLIENT_CLAIMS | {"sid": SESSION, "rev": 1}
        case(f"client: in a session without {name}", sign(claims=changed(both, **{name: DROP})), "claims")
    for name in ("client_id", "jti", "exp", "iat", "nbf"):
        case(f"client: without {name}", sign(claims=changed(CLIENT_CLAIMS, **{name: DROP})), "claims")
    for sub in ("client:", "Client:reports", "client", "client :reports", " client:reports", "reports", "client:a\0",
                "client:a\nb", "clientele:reports"):
        case(f"client: sub {json.dumps(sub)}", sign(claims=changed(CLIENT_CLAIMS, sub=sub)), "claims")
    case("client: a person's token without a session", sign(claims=changed(CLIENT_CLAIMS, sub=USER)), "claims")


def times():
    exp, nbf = NOW + 600, NOW - 300
    for name, now_ms, verdict in (
        ("the last millisecond", exp * 1000 - 1, "valid"),
        ("the second of exp", exp * 1000, "expired"),
        ("a millisecond after exp", exp * 1000 + 1, "expired"),
        ("a year later", (exp + 31_536_000) * 1000, "expired"),
        ("the second of nbf", nbf * 1000, "valid"),
        ("five seconds before nbf", (nbf - 5) * 1000, "valid"),
        ("the last millisecond of five seconds before nbf", (nbf - 5) * 1000 + 999, "valid"),
        ("a millisecond more than five seconds before nbf", (nbf - 5) * 1000 - 1, "not_yet_valid"),
        ("six seconds before nbf", (nbf - 6) * 1000, "not_yet_valid"),
        ("a clock at the beginning of time", 0, "not_yet_valid"),
        ("a clock before the beginning of time", -1, "not_yet_valid"),
    ):
        case(f"time: {name}", sign(), verdict, now_ms=now_ms)
    leeway = {"options": {"expiry_leeway": 30, "not_before_leeway": 0}}
    for name, now_ms, verdict in (
        ("the last millisecond of it after exp", (exp + 30) * 1000 - 1, "valid"),
        ("its end after exp", (exp + 30) * 1000, "expired"),
        ("none before nbf", nbf * 1000 - 1, "not_yet_valid"),
        ("none before nbf, the second of nbf", nbf * 1000, "valid"),
    ):
        case(f"leeway: {name}", sign(), verdict, now_ms=now_ms, **leeway)
    wide = {"options": {"expiry_leeway": 3600, "not_before_leeway": 3600}}
    case("leeway: more than 30 s is 30 s, after exp", sign(), "expired", now_ms=(exp + 30) * 1000, **wide)
    case("leeway: more than 30 s is 30 s, within", sign(), "valid", now_ms=(exp + 30) * 1000 - 1, **wide)
    case("leeway: more than 30 s is 30 s, before nbf", sign(), "not_yet_valid", now_ms=(nbf - 30) * 1000 - 1, **wide)
    largest, least = 2**63 - 1, -(2**63)
    case("time: exp as late as can be", sign(claims=changed(CLAIMS, exp=largest)), "valid")
    case("time: exp as late as can be, with leeway", sign(claims=changed(CLAIMS, exp=largest)), "valid", **leeway)
    case("time: exp as early as can be", sign(claims=changed(CLAIMS, exp=least)), "expired")
    case("time: valid at any time", sign(claims=changed(CLAIMS, exp=largest, nbf=least)), "valid")
    case("time: exp of zero", sign(claims=changed(CLAIMS, exp=0)), "expired")
    case("time: exp in milliseconds", sign(claims=changed(CLAIMS, exp=exp * 1000)), "valid")
    case("time: nbf as late as can be", sign(claims=changed(CLAIMS, nbf=largest)), "not_yet_valid")
    case("time: nbf as early as can be", sign(claims=changed(CLAIMS, nbf=least)), "valid")
    case("time: iat in the future means nothing", sign(claims=changed(CLAIMS, iat=NOW + 9999)), "valid")
    case("time: nbf after exp", sign(claims=changed(CLAIMS, nbf=NOW + 900)), "not_yet_valid")
    case("time: both wrong", sign(claims=changed(CLAIMS, nbf=NOW + 9, exp=NOW - 9)), "not_yet_valid")
    case("time: expired, of another issuer", sign(claims=changed(CLAIMS, exp=1, iss="x")), "claims")
    case("time: expired, signature of a stranger", sign(claims=changed(CLAIMS, exp=1))[:-4] + "AAAA", "signature")


def demands():
    acting = sign(claims=changed(CLAIMS, act={"sub": ADMINISTRATOR}))
    for name, require, verdict in (
        ("a role", {"role": "editor"}, "valid"),
        ("another role", {"role": "admin"}, "missing_role"),
        ("a part of a role", {"role": "edit"}, "missing_role"),
        ("a role in capital letters", {"role": "Editor"}, "missing_role"),
        ("the empty role", {"role": ""}, "missing_role"),
        ("the first scope", {"scope": "orders:read"}, "valid"),
        ("the last scope", {"scope": "orders:write"}, "valid"),
        ("another scope", {"scope": "orders:delete"}, "missing_scope"),
        ("a part of a scope", {"scope": "orders"}, "missing_scope"),
        ("two scopes", {"scope": "orders:write orders:read"}, "valid"),
        ("two scopes, one missing", {"scope": "orders:write orders:delete"}, "missing_scope"),
        ("an empty scope is none", {"scope": ""}, "valid"),
        ("a login of up to 1000 s ago", {"max_age": 1000}, "valid"),
        ("a login of up to 999 s ago", {"max_age": 999}, "login_too_old"),
        ("a login of this moment", {"max_age": 0}, "login_too_old"),
        ("nobody acting", {"owner": True}, "valid"),
        ("a method", {"amr": "otp"}, "valid"),
        ("another method", {"amr": "hwk"}, "missing_amr"),
        ("role before scope", {"role": "admin", "scope": "x"}, "missing_role"),
        ("scope before age", {"max_age": 1, "scope": "x"}, "missing_scope"),
        ("all", {"role": "user", "scope": "orders:read", "max_age": 2000, "owner": True, "amr": "mfa"}, "valid"),
    ):
        case(f"demand: {name}", sign(), verdict, require=require)
    case("demand: nobody acting, but somebody acts", acting, "acting", require={"owner": True})
    case("demand: a role, and somebody acts", acting, "valid", require={"role": "editor"})
    case("demand: an expired token", sign(claims=changed(CLAIMS, exp=1)), "expired", require={"role": "admin"})
    client = sign(claims=CLIENT_CLAIMS)
    case("demand: a client's scope", client, "valid", require={"scope": "orders:read"})
    case("demand: a client has no role", client, "missing_role", require={"role": "user"})
    case("demand: a client has never logged in", client, "login_too_old", require={"max_age": 10_000_000})
    case("demand: a client has no method", client, "missing_amr", require={"amr": "pwd"})
    spaces = sign(claims=changed(CLAIMS, scope="a  b "))
    case("demand: a scope between several spaces", spaces, "valid", require={"scope": "b"})
    none = sign(claims=changed(CLAIMS, scope=DROP))
    case("demand: a scope where there is none", none, "missing_scope", require={"scope": "a"})
