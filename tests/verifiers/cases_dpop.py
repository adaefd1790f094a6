"""Cases about tokens that are bound to a key, and about proofs that a client holds it."""

import hashlib
import json

from cases_feed import RESET, revoked, sync
from cases_form import RIGHT_JSON, STRANGE_JSON
from corpus import CLAIMS, CLIENT_CLAIMS, DROP, NOW, STRANGER, case, changed, sign
from keys import ORDER, EdDsa, Es256, Rs256, b64, hs256, part, text

METHOD = "GET"
URL = "https://api.example/orders"
MAX_LENGTH = 4096
KEY, OTHER = Es256("proof"), Es256("another proof")
KEYS = {"ES256": KEY, "EdDSA": EdDsa("proof ed"), "RS256": Rs256("proof rsa")}
MEMBERS = {"EC": ("crv", "kty", "x", "y"), "OKP": ("crv", "kty", "x"), "RSA": ("e", "kty", "n")}


def public(key):
    jwk = key.jwk()
    return {name: jwk[name] for name in MEMBERS[jwk["kty"]]}


def private():
    """Returns the key with which tests make proofs of the current time."""
    return public(KEY) | {"d": b64(KEY.private.private_numbers().private_value.to_bytes(32, "big"))}


def thumbprint(jwk):
    return b64(hashlib.sha256(text(jwk).encode()).digest())


JKT = thumbprint(public(KEY))


def bound(key=KEY, **changes):
    """Returns a token that is bound to a key."""
    return sign(claims=changed(CLAIMS, cnf={"jkt": thumbprint(public(key))}, **changes))


TOKEN = bound()
CLAIMS_OF_PROOF = {
    "jti": "e1j3V_bKic8-LAEB",
    "htm": METHOD,
    "htu": URL,
    "iat": NOW,
    "ath": b64(hashlib.sha256(TOKEN.encode()).digest()),
}


def header(key=KEY, **changes):
    return changed({"typ": "dpop+jwt", "alg": key.alg, "jwk": public(key)}, **changes)


def prove(claims=CLAIMS_OF_PROOF, head=None, key=KEY, jwk=DROP):
    """Returns a proof; claims and header may be JSON as text or bytes, to be signed as they are."""
    head = (header(key) if jwk is DROP else header(key, jwk=jwk)) if head is None else head
    message = f"{part(head)}.{part(claims)}"
    return f"{message}.{b64(key.sign(message.encode()))}"


def proven(name, proof, verdict, token=TOKEN, method=METHOD, url=URL, earlier=(), **others):
    """Adds a case with a proof. What has used it up is refused the second time."""
    is_used = verdict == "valid" or verdict.startswith("missing_")
    presented = {"text": proof, "method": method, "url": url}
    if earlier:
        presented["earlier"] = list(earlier)
    case(f"proof: {name}", token, verdict, proof=presented, again="proof_replayed" if is_used else verdict, **others)


def claiming(name, verdict, **changes):
    proven(name, prove(changed(CLAIMS_OF_PROOF, **changes)), verdict)


def fits(proof):
    return len(proof) if len(proof) <= MAX_LENGTH else 0


def add():
    confirmations()
    schemes()
    forms()
    headers()
    keys()
    claims()
    requests()
    times()
    replays()
    orders()


def confirmations():
    nobody = {"jkt": JKT}
    for what, cnf in {
        "null": None, "a string": JKT, "a list": [JKT], "true": True, "empty": {}, "a number as jkt": {"jkt": 1},
        "null as jkt": {"jkt": None}, "another member alone": {"x5t#S256": JKT}, "jkt in capital letters": {"JKT": JKT},
        "a list of it": [nobody], "an empty jkt": {"jkt": ""}, "31 bytes": {"jkt": b64(bytes(31))},
        "33 bytes": {"jkt": b64(bytes(33))}, "padding": {"jkt": JKT + "="}, "another alphabet": {"jkt": "+" * 42 + "8"},
        "unused bits": {"jkt": JKT[:-1] + chr(ord(JKT[-1]) + 1)}, "a space": {"jkt": JKT + " "},
    }.items():
        case(f"cnf: {what}", sign(claims=changed(CLAIMS, cnf=cnf)), "claims")
    repeated = text(CLAIMS)[:-1] + f',"cnf":{{"jkt":"{JKT}","jkt":"{JKT}"}}}}'
    case("cnf: jkt twice", sign(claims=repeated), "claims")
    case("cnf: of a client, null", sign(claims=CLIENT_CLAIMS | {"cnf": None}), "claims")


def schemes():
    case("bound: by itself", TOKEN, "proof_required")
    case("bound: by itself, with a role that is missing", TOKEN, "proof_required", require={"role": "admin"})
    more = sign(claims=changed(CLAIMS, cnf={"jkt": JKT, "x": 1}))
    case("bound: by itself, with more members", more, "proof_required")
    case("bound: a client's own by itself", sign(claims=CLIENT_CLAIMS | {"cnf": {"jkt": JKT}}), "proof_required")
    case("bound: by itself, expired", bound(exp=NOW - 1), "expired")
    case("bound: by itself, of a session that was revoked", TOKEN, "session_revoked", feed=[RESET, revoked(), sync()])
    case("bound: by itself, stale", TOKEN, "proof_required", feed=[RESET, sync()], silent_ms=6000)
    unbound = prove(CLAIMS_OF_PROOF | {"ath": b64(hashlib.sha256(sign().encode()).digest())})
    proven("for a token that is bound to no key", unbound, "not_bound", token=sign())
    proven("that is none, for a token that is bound to no key", "x", "not_bound", token=sign())


def forms():
    proof = prove()
    head, payload, signature = proof.split(".")
    signed_parts = f"{head}.{payload}.x." + b64(KEY.sign(f"{head}.{payload}.x".encode()))
    proven("of ES256", proof, "valid")
    for what, wrong in {
        "nothing": "", "a word": "x", "two parts": f"{head}.{payload}", "four parts": proof + ".x",
        "four parts, signed": signed_parts, "two proofs": f"{proof}, {proof}",
        "a space before it": " " + proof, "a line break after it": proof + "\n", "padding": proof + "=",
        "another alphabet": proof[:-1] + "+", "a letter beyond ASCII": proof[:-1] + "é",
    }.items():
        proven(f"that is {what}", wrong, "proof_malformed")
    for what, wrong in {
        "nothing": "", "cut": signature[:-2], "of zeros": b64(bytes(64)), "with a byte more": b64(bytes(65)),
        "of length one": "A", "with unused bits": signature[:-1] + chr(ord(signature[-1]) + 1),
    }.items():
        proven(f"whose signature is {what}", f"{head}.{payload}.{wrong}", "proof_signature")
    message = f"{head}.{payload}".encode()
    r, s = KEY.sign_numbers(message)
    high = b64(r.to_bytes(32, "big") + (ORDER - s).to_bytes(32, "big"))
    proven("of ES256 with the higher s", f"{head}.{payload}.{high}", "valid")
    proven("of another message", prove(CLAIMS_OF_PROOF | {"jti": "x"}).rsplit(".", 1)[0] + "." + signature,
           "proof_signature")
    fill = (MAX_LENGTH - len(proof)) * 3 // 4
    longest = max((prove(CLAIMS_OF_PROOF | {"x": "a" * (fill - less)}) for less in range(12)), key=fits)
    assert len(longest) == MAX_LENGTH, len(longest)
    proven("that is as long as can be", longest, "valid")
    proven("that is too long", prove(CLAIMS_OF_PROOF | {"x": "a" * fill}), "proof_malformed")


def headers():
    for what, changes in {
        "without typ": {"typ": DROP}, "with the typ of a token": {"typ": "at+jwt"}, "with typ null": {"typ": None},
        "with typ in capital letters": {"typ": "DPoP+JWT"},
        "with typ application/dpop+jwt": {"typ": "application/dpop+jwt"},
        "without alg": {"alg": DROP}, "with alg none": {"alg": "none"}, "with alg HS256": {"alg": "HS256"},
        "with alg PS256": {"alg": "PS256"}, "with alg es256": {"alg": "es256"},
        "with a list as alg": {"alg": ["ES256"]},
        "without jwk": {"jwk": DROP}, "with jwk null": {"jwk": None},
        "with a string as jwk": {"jwk": text(public(KEY))},
        "with a list as jwk": {"jwk": ["EC", "P-256", public(KEY)["x"], public(KEY)["y"]]},
        "with crit": {"crit": ["b64"], "b64": False}, "with crit null": {"crit": None},
    }.items():
        proven(f"{what}", prove(head=header(**changes)), "proof_header")
    for what, change in STRANGE_JSON.items():
        proof = prove(head=change(text(header())))
        proven(f"header with {what}", proof, "proof_header" if len(proof) <= MAX_LENGTH else "proof_malformed")
    for what, change in RIGHT_JSON.items():
        proven(f"header with {what}, which is right", prove(head=change(text(header()))), "valid")
    unsigned = f"{part(header(alg='none'))}.{part(CLAIMS_OF_PROOF)}."
    proven("without a signature", unsigned, "proof_header")
    proven("with a kid, which means nothing", prove(head=header(kid="x")), "valid")
    secret = header(alg="HS256", jwk={"kty": "oct", "k": b64(b"secret")})
    message = f"{part(secret)}.{part(CLAIMS_OF_PROOF)}"
    proven("by a shared key", f"{message}.{b64(hs256(b'secret', message.encode()))}", "proof_header")


def keys():
    for name, key in KEYS.items():
        token = bound(key)
        claims = CLAIMS_OF_PROOF | {"ath": b64(hashlib.sha256(token.encode()).digest())}
        proven(f"by a key of {name}", prove(claims, key=key), "valid", token=token)
        for other in KEYS:
            if other != name:
                proven(f"by a key of {name} with alg {other}", prove(claims, head=header(key, alg=other), key=key),
                       "proof_key", token=token)
        for member in MEMBERS[public(key)["kty"]]:
            for what, value in {"without": DROP, "with null as": None, "with a number as": 1}.items():
                jwk = changed(public(key), **{member: value})
                proven(f"by a key of {name} {what} {member}", prove(claims, key=key, jwk=jwk), "proof_key", token=token)
    own = public(KEY)
    for member in ("d", "p", "q", "dp", "dq", "qi", "oth", "k"):
        proven(f"by a key with {member}", prove(jwk=own | {member: own["x"]}), "proof_key")
    proven("by a key with d null", prove(jwk=own | {"d": None}), "proof_key")
    for what, jwk in {
        "with padding": own | {"x": own["x"] + "="}, "of 31 bytes": own | {"x": b64(bytes(31))},
        "of 33 bytes": own | {"y": b64(bytes(33))}, "of no bytes": own | {"x": ""},
        "with unused bits": own | {"x": own["x"][:-1] + chr(ord(own["x"][-1]) + 1)},
        "of another curve": own | {"crv": "P-384"}, "of another kind": own | {"kty": "OKP"},
    }.items():
        proven(f"by a key of ES256 {what}", prove(jwk=jwk), "proof_key")
    proven("by a key that is not on its curve", prove(jwk=own | {"y": own["x"]}), "proof_signature")
    proven("by a key with more members", prove(jwk=own | {"use": "enc", "alg": "x", "kid": 1}), "valid")
    proven("by another key with this jwk", prove(head=header(), key=OTHER), "proof_signature")
    proven("by another key", prove(key=OTHER), "proof_other_key")
    proven("by a stranger's key", prove(key=STRANGER), "proof_other_key")
    rsa_keys()


def rsa_keys():
    key = KEYS["RS256"]
    own, token = public(key), bound(key)
    claims = CLAIMS_OF_PROOF | {"ath": b64(hashlib.sha256(token.encode()).digest())}
    modulus = key.private.public_key().public_numbers().n
    for what, jwk in {
        "with a zero before n": own | {"n": b64(b"\0" + modulus.to_bytes(256, "big"))},
        "with a zero before e": own | {"e": b64(b"\0\1\0\1")},
        "of 2047 bits": own | {"n": b64((modulus >> 1 | 1).to_bytes(256, "big"))},
        "of 4104 bits": own | {"n": b64(b"\x80" + bytes(511) + b"\1")},
        "with e of 1": own | {"e": b64(b"\1")}, "with an even e": own | {"e": b64(b"\1\0\0")},
        "with e of 5 bytes": own | {"e": b64(b"\1\0\0\0\1")}, "without bytes of e": own | {"e": ""},
    }.items():
        proven(f"by a key of RS256 {what}", prove(claims, key=key, jwk=jwk), "proof_key", token=token)
    proof = prove(claims, key=key, jwk=own | {"e": b64(b"\3")})
    proven("by a key of RS256 with another e", proof, "proof_signature", token=token)


def claims():
    for what, change in STRANGE_JSON.items():
        proof = prove(change(text(CLAIMS_OF_PROOF)))
        proven(f"claims with {what}", proof, "proof_claims" if len(proof) <= MAX_LENGTH else "proof_malformed")
    for what, change in RIGHT_JSON.items():
        proven(f"claims with {what}, which is right", prove(change(text(CLAIMS_OF_PROOF))), "valid")
    for name in ("jti", "htm", "htu", "iat"):
        claiming(f"without {name}", "proof_claims", **{name: DROP})
        claiming(f"with {name} null", "proof_claims", **{name: None})
        claiming(f"with a list as {name}", "proof_claims", **{name: [CLAIMS_OF_PROOF[name]]})
    for name in ("jti", "htm", "htu", "ath", "nonce"):
        claiming(f"with a number as {name}", "proof_claims", **{name: 1})
    for what, value in {"a string": f'"{NOW}"', "a fraction": f"{NOW}.0", "an exponent": "18e8", "true": "true",
                        "an integer beyond 64 bits": "9223372036854775808"}.items():
        claims = text(changed(CLAIMS_OF_PROOF, iat="@@")).replace('"@@"', value)
        proven(f"with {what} as iat", prove(claims), "proof_claims")
    claiming("with an empty jti", "proof_claims", jti="")
    claiming("with a jti of 256 characters", "valid", jti="a" * 256)
    claiming("with a jti of 257 characters", "proof_claims", jti="a" * 257)
    claiming("with a jti of 256 characters beyond the first plane", "valid", jti="\U0001f511" * 256)
    claiming("with a nonce that nobody asked for", "valid", nonce="x")
    claiming("with a nonce that is null", "valid", nonce=None)
    claiming("for no token", "proof_token", ath=DROP)
    claiming("for no token, with null", "proof_token", ath=None)
    claiming("for another token", "proof_token", ath=b64(hashlib.sha256(sign().encode()).digest()))
    claiming("with padding in ath", "proof_token", ath=CLAIMS_OF_PROOF["ath"] + "=")
    claiming("with an empty ath", "proof_token", ath="")


def requests():
    for what, method in {"another": "POST", "lower case": "get", "a space": "GET ", "nothing": ""}.items():
        claiming(f"for a method: {what}", "proof_method", htm=method)
    proven("for a method of its own", prove(CLAIMS_OF_PROOF | {"htm": "M-SEARCH"}), "valid", method="M-SEARCH")
    for url in (URL + "?a=b", URL + "#c", "HTTPS://API.Example/orders", "https://api.example:443/orders",
                "https://api.example:/orders", "https://api.example/%6frders", "https://api.example/./a/../orders",
                "https://api.example/%2E/orders"):
        claiming(f"for {url}", "valid", htu=url)
    for url in ("", "/orders", "http://api.example/orders", "https://api.example/Orders", "https://api.example/orders/",
                "https://api.example//orders", "https://api.example:8443/orders", "https://api.example.:443/orders",
                "https://x.api.example/orders", "https://api.example", "https://api.example/order",
                "https://user@api.example/orders", "https://api.example/orders ", " https://api.example/orders",
                "https:/api.example/orders", "https:\\\\api.example\\orders", "https://api.example/%6Frder%73%",
                "https://api.example/orders%0", "https://api.example/%2Forders", "https://api%2Eexample/orders",
                "https://api.example:0443/orders", "https://api.example:443443/orders", "https://api.example/orders\0",
                "https://api.example/orders\u00e9", "ftp://api.example/orders"):
        claiming(f"for {json.dumps(url)}", "proof_url", htu=url)
    for asked, url in (
        ("https://api.example", "https://api.example/"),
        ("https://[2001:DB8::1]:443/", "https://[2001:db8::1]"),
        ("https://a.example/%c3%a9%2f~", "https://a.example/%C3%A9%2F%7e"),
        ("http://a.example:80/..", "http://a.example/"),
        ("https://a.example/b/..?c", "https://a.example/"),
        ("https://a.example/b/..", "https://a.example"),
        ("https://a.example/b/c/..", "https://a.example/b/"),
        ("https://a.example/b/.", "https://a.example/b/"),
    ):
        proven(f"for {url}, asked for {asked}", prove(CLAIMS_OF_PROOF | {"htu": url}), "valid", url=asked)
    for asked, url in (
        ("https://a.example/b(c)", "https://a.example/b%28c%29"),
        ("https://a.example/%", "https://a.example/%"),
        ("https://a.example:443", "http://a.example:443"),
        ("https://[::1]a/", "https://[::1]a/"),
        ("a.example/", "a.example/"),
    ):
        proven(f"for {url}, where {asked} is asked for", prove(CLAIMS_OF_PROOF | {"htu": url}), "proof_url", url=asked)


def times():
    for what, seconds, verdict in (
        ("60 s ago", -60, "valid"), ("61 s ago", -61, "proof_time"), ("5 s ahead", 5, "valid"),
        ("6 s ahead", 6, "proof_time"), ("at the beginning", -NOW, "proof_time"),
        ("in milliseconds", NOW * 999, "proof_time"),
    ):
        claiming(f"of {what}", verdict, iat=NOW + seconds)
    claiming("of as early as can be", "proof_time", iat=-(2**63))
    claiming("of as late as can be", "proof_time", iat=2**63 - 1)
    proof = prove()
    proven("at the last millisecond of its minute", proof, "valid", now_ms=(NOW + 60) * 1000 + 999)
    proven("at the end of its minute", proof, "proof_time", now_ms=(NOW + 61) * 1000)
    proven("at the first millisecond of five seconds before", proof, "valid", now_ms=(NOW - 5) * 1000)
    proven("at a millisecond more than five seconds before", proof, "proof_time", now_ms=(NOW - 5) * 1000 - 1)


def replays():
    proven("of the same text", prove(), "proof_replayed", earlier=[prove()])
    again = prove(CLAIMS_OF_PROOF | {"iat": NOW - 1})
    proven("of the same jti, with another time", prove(), "proof_replayed", earlier=[again])
    spaced = prove(text(CLAIMS_OF_PROOF) + " ")
    proven("of the same jti, written otherwise", prove(), "proof_replayed", earlier=[spaced])
    other = prove(CLAIMS_OF_PROOF | {"jti": "another"})
    proven("of another jti", prove(), "valid", earlier=[other])
    proven("of a jti that another key has used, and was refused", prove(), "valid", earlier=[prove(key=OTHER)])
    changes = ({"htm": "POST"}, {"htu": URL + "/"}, {"iat": NOW - 61}, {"ath": "x"})
    wrong = [prove(CLAIMS_OF_PROOF | change) for change in changes]
    proven("of a jti that was refused", prove(), "valid", earlier=wrong)
    proven("of a jti that was used and refused since", prove(), "proof_replayed", earlier=[prove(), *wrong])


def orders():
    """The token first, the proof then, what is not known last."""
    proof, wrong = prove(), prove(key=OTHER)
    proven("of an expired token", wrong, "expired", token=bound(exp=NOW - 1))
    proven("of a stranger's token", wrong, "signature", token=TOKEN[:-4] + "AAAA")
    proven("of a token that is none", proof, "malformed", token="x")
    proven("with a role that is missing", proof, "missing_role", require={"role": "admin"})
    proven("by another key, with a role that is missing", wrong, "proof_other_key", require={"role": "admin"})
    proven("of a session that was revoked", wrong, "session_revoked", feed=[RESET, revoked(), sync()])
    proven("with a current feed", proof, "valid", feed=[RESET, sync()])
    stale = {"feed": [RESET, sync()], "silent_ms": 6000}
    proven("with a stale feed", proof, "stale", **stale)
    proven("by another key, with a stale feed", wrong, "proof_other_key", **stale)
    proven("with a stale feed, to introspect", proof, "introspect", options={"when_stale": "introspect"}, **stale)
    proven("with a stale feed, to accept", proof, "valid", options={"when_stale": "accept"}, **stale)
    later = CLAIMS_OF_PROOF | {"htm": "POST", "htu": "x", "iat": 1, "ath": "x"}
    for name in ("htm", "htu", "iat"):
        verdict = {"htm": "proof_method", "htu": "proof_url", "iat": "proof_time"}[name]
        proven(f"with wrong claims from {name} on", prove(later), verdict)
        later = later | {name: CLAIMS_OF_PROOF[name]}
    client = sign(claims=CLIENT_CLAIMS | {"cnf": {"jkt": JKT}})
    own = CLAIMS_OF_PROOF | {"ath": b64(hashlib.sha256(client.encode()).digest())}
    proven("of a client's own token", prove(own), "valid", token=client)
    old = bound(exp=2**63 - 1, nbf=-(2**63))
    proven("of a token that is valid at any time", prove(own), "proof_token", token=old)
