"""Cases about the form, the header, the key and the signature."""

import json

from corpus import CLAIMS, DROP, ED, HEADER, ISSUER, KEYS, MAIN, NEXT, RSA, STRANGER, case, changed, sign
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature
from keys import ORDER, Es256, Rs256, b64, hs256, part, text

GOOD = sign()
HEAD, BODY, SIGNATURE = GOOD.split(".")
MESSAGE = f"{HEAD}.{BODY}".encode()
ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"

# JSON that is read differently by different parsers, or by none. Each is put around the members of an object.
STRANGE_JSON = {
    "a trailing comma": lambda json: json[:-1] + ",}",
    "a comment": lambda json: "/* */" + json,
    "a byte order mark": lambda json: "\ufeff" + json,
    "text after it": lambda json: json + "x",
    "a second object": lambda json: json + "{}",
    "a NUL after it": lambda json: json + "\0",
    "no end": lambda json: json[:-1],
    "single quotes": lambda json: json.replace('"', "'"),
    "a repeated unknown member": lambda json: json[:-1] + ',"x":1,"x":1}',
    "a repeated member in a member": lambda json: json[:-1] + ',"x":{"y":1,"y":2}}',
    "a repeated member in a list": lambda json: json[:-1] + ',"x":[{"y":1,"z":2,"y":3}]}',
    "a repeated member written otherwise": lambda json: json[:-1] + ',"xa":1,"\\u0078a":2}',
    "NaN": lambda json: json[:-1] + ',"x":NaN}',
    "Infinity": lambda json: json[:-1] + ',"x":-Infinity}',
    "a number too large": lambda json: json[:-1] + ',"x":1e400}',
    "an integer too large for a double": lambda json: json[:-1] + ',"x":1' + "0" * 309 + "}",
    "a number with a leading zero": lambda json: json[:-1] + ',"x":01}',
    "a number with a plus": lambda json: json[:-1] + ',"x":+1}',
    "a number without an end": lambda json: json[:-1] + ',"x":1.}',
    "a hexadecimal number": lambda json: json[:-1] + ',"x":0x1}',
    "half of a surrogate pair": lambda json: json[:-1] + ',"x":"\\ud800"}',
    "the other half of a surrogate pair": lambda json: json[:-1] + ',"x":"\\uDC00a"}',
    "half of a surrogate pair in a name": lambda json: json[:-1] + ',"\\ud83dx":1}',
    "a control character in a string": lambda json: json[:-1] + ',"x":"\n"}',
    "an unknown escape": lambda json: json[:-1] + ',"x":"\\a"}',
    "a depth of 128": lambda json: json[:-1] + ',"x":' + "[" * 127 + "]" * 127 + "}",
    "a depth of 1500": lambda json: json[:-1] + ',"x":' + "[" * 1499 + "]" * 1499 + "}",
    "an open depth of 900": lambda json: json[:-1] + ',"x":' + '{"a":' * 900,
    "invalid UTF-8": lambda json: json[:-1].encode() + b',"x":"\xff"}',
    "overlong UTF-8": lambda json: json[:-1].encode() + b',"x":"\xc0\xaf"}',
    "UTF-8 of a surrogate": lambda json: json[:-1].encode() + b',"x":"\xed\xa0\x80"}',
    "UTF-16": lambda json: json.encode("utf-16-le"),
    "nothing": lambda json: "",
    "a list in place of the object": lambda json: "[" + json + "]",
    "the values as a list": lambda text: "[" + ",".join(json_values(text)) + "]",
    "null in place of the object": lambda json: "null",
    "a string in place of the object": lambda json: '"' + json.replace('"', "'") + '"',
    "a number in place of the object": lambda json: "1",
}
# JSON that looks strange and is right.
RIGHT_JSON = {
    "white space": lambda json: " \t\r\n" + json.replace(",", " ,\n ") + " ",
    "an unknown member": lambda json: json[:-1] + ',"x":{"y":[1,null,true,-1.5e-3]}}',
    "escaped names": lambda json: json.replace('"iss"', '"\\u0069ss"').replace('"kid"', '"k\\u0069d"'),
    "a depth of 127": lambda json: json[:-1] + ',"x":' + "[" * 126 + "]" * 126 + "}",
    "brackets in a string": lambda json: json[:-1] + ',"x":"' + "[{" * 200 + '"}',
    "equal names at different depths": lambda json: json[:-1] + ',"x":{"x":{"x":1}}}',
    "names that scripts treat specially": lambda json: json[:-1] + ',"__proto__":{"x":1},"constructor":1,"toString":2}',
    "a surrogate pair": lambda json: json[:-1] + ',"x":"\\ud83d\\ude00"}',
    "an escaped NUL": lambda json: json[:-1] + ',"x":"a\\u0000b"}',
    "raw text outside ASCII": lambda json: json[:-1] + ',"x":"äöü 漢字 😀"}',
    "a large number in an unknown member": lambda json: json[:-1] + ',"x":12345678901234567890123}',
    "a tiny number": lambda json: json[:-1] + ',"x":1e-400}',
    "a negative zero in an unknown member": lambda json: json[:-1] + ',"x":-0}',
}
# Other values for a member that is to be a string.
NO_STRINGS = {
    "null": None,
    "a number": 1,
    "true": True,
    "a list": ["x"],
    "an object": {"x": "y"},
    "an empty string": "",
}


def json_values(text):
    return [json.dumps(value) for value in json.loads(text).values()]


def add():
    parts()
    lengths()
    encodings()
    headers()
    strange_json()
    algorithms()
    es256_signatures()
    other_signatures()
    key_sets()


def parts():
    case("a token as the server issues it", GOOD, "valid")
    for name, token in {
        "an empty token": "",
        "a dot": ".",
        "one part": HEAD,
        "two parts": f"{HEAD}.{BODY}",
        "a fourth part": f"{GOOD}.{SIGNATURE}",
        "five parts, as an encrypted token has": f"{HEAD}.{BODY}.{SIGNATURE}.{BODY}.{SIGNATURE}",
        "a dot at the end": f"{GOOD}.",
        "a dot in front": f".{GOOD}",
        "the scheme in front": f"Bearer {GOOD}",
        "a space in front": f" {GOOD}",
        "a space at the end": f"{GOOD} ",
        "a line feed at the end": f"{GOOD}\n",
        "a NUL at the end": f"{GOOD}\0",
        "a NUL in the middle": f"{HEAD}.{BODY[:9]}\0{BODY[9:]}.{SIGNATURE}",
        "a letter outside ASCII": f"{HEAD}.{BODY}é.{SIGNATURE}",
        "a dot of another script": GOOD.replace(".", "\uff0e"),
        "an emoji": "😀",
        "quotes around it": f'"{GOOD}"',
        "a refresh token": "ktr_" + "A" * 43,
        "a comma and another token": f"{GOOD},{GOOD}",
        "percent signs": GOOD.replace(".", "%2E"),
        "the JSON form": json.dumps({"protected": HEAD, "payload": BODY, "signature": SIGNATURE}),
    }.items():
        case(f"form: {name}", token, "malformed")
    case("form: two dots", "..", "header")
    case("form: an empty header", f".{BODY}.{SIGNATURE}", "header")
    case("form: empty claims", f"{HEAD}..{SIGNATURE}", "signature")
    case("form: empty signature", f"{HEAD}.{BODY}.", "signature")


def lengths():
    # Claims of a name that makes the token as long as wanted.
    def long(total):
        for pad in range(total):
            token = sign(claims=changed(CLAIMS, name="n" * (5000 + pad)))
            if len(token) >= total:
                return token

    longest = long(8192)
    assert len(longest) == 8192, len(longest)
    case("length: 8192 bytes", longest, "valid")
    longer = sign(claims=changed(CLAIMS, name="n" * 6000))
    assert len(longer) > 8192
    case("length: signed, and longer than 8192 bytes", longer, "malformed")
    case("length: 8193 bytes of the alphabet", [["A", 8193]], "malformed")
    case("length: 8192 dots", [[".", 8192]], "malformed")
    case("length: a million bytes", [[HEAD + ".", 1], ["A", 1_000_000], ["." + SIGNATURE, 1]], "malformed")
    case("length: 8192 bytes of the alphabet", [["A", 8192]], "malformed")


def with_trailing_bits(encoded):
    """Sets the bits that the last character has and the last byte does not need."""
    unused = {2: 15, 3: 3}[len(encoded) % 4]
    return encoded[:-1] + ALPHABET[ALPHABET.index(encoded[-1]) | unused]


def encodings():
    # Of these lengths, base64 has unused bits in the last character.
    claims = next(
        claims
        for claims in (changed(CLAIMS, name="n" * count) for count in range(3))
        if len(part(claims)) % 4 != 0
    )
    head = next(
        head for head in (changed(HEADER, x="x" * count) for count in range(3)) if len(part(head)) % 4 != 0
    )
    for which, place, verdict in (("header", 0, "header"), ("claims", 1, "claims"), ("signature", 2, "signature")):
        token = sign(header=head, claims=claims).split(".")

        def altered(change, token=token, place=place):
            others = list(token)
            others[place] = change(others[place])
            message = f"{others[0]}.{others[1]}"
            if place == 1:
                others[2] = b64(MAIN.sign(message.encode()))
            return ".".join(others)

        if token[place] != with_trailing_bits(token[place]):
            case(f"base64url: unused bits of the {which}", altered(with_trailing_bits), verdict)
        case(f"base64url: one character more in the {which}", altered(one_left), verdict)
        for name, change in {
            "padding": lambda text: text + "=" * (-len(text) % 4 or 1),
            "a plus": lambda text: text[:8] + "+" + text[9:],
            "a slash": lambda text: text[:8] + "/" + text[9:],
            "a line feed": lambda text: text[:8] + "\n" + text[8:],
            "a space": lambda text: text[:8] + " " + text[8:],
            "a tilde": lambda text: text[:8] + "~" + text[9:],
        }.items():
            case(f"base64url: {name} in the {which}", altered(change), "malformed")


def one_left(text):
    """Makes the length one more than a multiple of four, which no base64 has."""
    return text + "A" * ((1 - len(text)) % 4 or 4)


def headers():
    for name in ("alg", "typ", "kid"):
        case(f"header: without {name}", sign(header=changed(HEADER, **{name: DROP})), "header")
        for what, value in NO_STRINGS.items():
            verdict = "unknown_key" if (name, what) == ("kid", "an empty string") else "header"
            case(f"header: {name} is {what}", sign(header=changed(HEADER, **{name: value})), verdict)
    for typ in ("AT+JWT", "at+JWT", "application/at+jwt", "application/AT+jwt"):
        case(f"header: typ {typ}", sign(header=changed(HEADER, typ=typ)), "valid")
    for typ in ("JWT", "jwt", "at+jwt ", "at+jwt;v=1", "id+jwt", "logout+jwt", "secevent+jwt", "dpop+jwt", "text/at+jwt",
                "application/application/at+jwt", "at", "at+jwt\0", "APPLICATION/at+jwt", "a\u017f+jwt", "ａt+jwt"):
        case(f"header: typ {json.dumps(typ)}", sign(header=changed(HEADER, typ=typ)), "header")
    for crit in ([], ["b64"], ["exp"], ["x"], None, "x", 1, False, {}):
        case(f"header: crit {json.dumps(crit)}", sign(header=changed(HEADER, crit=crit)), "header")
    case("header: crit and what it names", sign(header=changed(HEADER, b64=False, crit=["b64"])), "header")
    case("header: b64 without crit means nothing", sign(header=changed(HEADER, b64=False)), "valid")
    case("header: b64 true means nothing", sign(header=changed(HEADER, b64=True)), "valid")
    case("header: zip means nothing", sign(header=changed(HEADER, zip="DEF")), "valid")
    case("header: cty means nothing", sign(header=changed(HEADER, cty="JWT")), "valid")
    case("header: Crit is another name", sign(header=changed(HEADER, Crit=["x"])), "valid")
    for name in ("jku", "x5u"):
        case(f"header: {name} means nothing", sign(header=changed(HEADER, **{name: "http://127.0.0.1:1/"})), "valid")
    own = changed(STRANGER.jwk(), kid=DROP)
    case("header: a key in it, of a stranger", sign(header=changed(HEADER, jwk=own), key=STRANGER), "signature")
    header = changed(HEADER, jwk=own, kid=STRANGER.kid)
    case("header: a key in it, under its own id", sign(header=header, key=STRANGER), "unknown_key")
    case("header: a key in it, without an id", sign(header=changed(header, kid=DROP), key=STRANGER), "header")
    for name in ("alg", "kid", "typ"):
        repeated = text(HEADER)[:-1] + f',"{name}":{json.dumps(HEADER[name])}}}'
        case(f"header: {name} twice, and equal", sign(header=repeated), "header")
    for first, second in (("none", "ES256"), ("ES256", "none")):
        repeated = f'{{"alg":"{first}","alg":"{second}","typ":"at+jwt","kid":"{MAIN.kid}"}}'
        case(f"header: alg twice, {first} first", sign(header=repeated), "header")
    for name, value in {
        "of a stranger": STRANGER.kid,
        "in capital letters": MAIN.kid.upper(),
        "without hyphens": MAIN.kid.replace("-", ""),
        "in braces": "{" + MAIN.kid + "}",
        "as a URN": f"urn:uuid:{MAIN.kid}",
        "with a space": MAIN.kid + " ",
        "with a NUL": MAIN.kid + "\0",
        "a path": "../../../../dev/null",
        "SQL": "' UNION SELECT 'x",
        "a name of every object": "__proto__",
        "a method of every object": "toString",
        "very long": "k" * 3000,
    }.items():
        case(f"header: kid {name}", sign(header=changed(HEADER, kid=value)), "unknown_key")
    case("header: kid of another key of ours", sign(header=changed(HEADER, kid=NEXT.kid)), "signature")
    case("header: alg none under an unknown kid", sign(header=changed(HEADER, alg="none", kid="x")), "unknown_key")


def strange_json():
    for name, change in STRANGE_JSON.items():
        case(f"header as JSON: {name}", sign(header=change(text(HEADER))), "header")
        case(f"claims as JSON: {name}", sign(claims=change(text(CLAIMS))), "claims")
    for name, change in RIGHT_JSON.items():
        case(f"header as JSON: {name}", sign(header=change(text(HEADER))), "valid")
        case(f"claims as JSON: {name}", sign(claims=change(text(CLAIMS))), "valid")


def algorithms():
    for alg in ("none", "None", "NONE", "nOnE", "", "HS256", "HS384", "HS512", "RS256", "PS256", "EdDSA", "Ed25519",
                "ES384", "ES512", "ES256K", "es256", "ES256 ", "RSA-OAEP", "dir", "A128KW"):
        message = f"{part(changed(HEADER, alg=alg))}.{BODY}"
        case(f"alg {json.dumps(alg)}, without a signature", f"{message}.", "header")
        case(f"alg {json.dumps(alg)}, signed with ES256", f"{message}.{b64(MAIN.sign(message.encode()))}", "header")
    for key in (MAIN, RSA, ED):
        public = key.private.public_key()
        pem = public.public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
        der = public.public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
        message = f"{part(changed(HEADER, alg='HS256', kid=key.kid))}.{BODY}"
        for form, secret in {"PEM": pem, "DER": der, "JWK": text(key.jwk()).encode(), "an empty key": b""}.items():
            token = f"{message}.{b64(hs256(secret, message.encode()))}"
            case(f"HS256 with the public key of {key.alg} as {form}", token, "header")
    for key in (NEXT, ED, RSA):
        case(f"signed with the other key {key.alg}", sign(key=key), "valid")
        case(f"{key.alg} under the id of the first key", sign(header=changed(HEADER, alg=key.alg), key=key),
             "signature" if key is NEXT else "header")
        only = {"options": {"algorithms": ["ES256"]}}
        case(f"{key.alg} where only ES256 is allowed", sign(key=key), "valid" if key is NEXT else "unknown_key", **only)


def es256_signatures():
    r, s = MAIN.sign_numbers(MESSAGE)

    def numbers(r, s, size=32):
        return b64(r.to_bytes(size, "big") + s.to_bytes(size, "big"))

    assert f"{HEAD}.{BODY}.{numbers(r, s)}" == GOOD
    flipped = bytearray(MAIN.sign(MESSAGE))
    flipped[40] ^= 1
    for name, signature in {
        "the other s": numbers(r, ORDER - s),
        "s of zero": numbers(r, 0),
        "r of zero": numbers(0, s),
        "both zero": numbers(0, 0),
        "both one": numbers(1, 1),
        "both the order": numbers(ORDER, ORDER),
        "s more by the order": numbers(r, min(s + ORDER, 2**256 - 1)),
        "r of the order": numbers(ORDER, s),
        "r and s in each other's place": numbers(s, r),
        "a flipped bit": b64(bytes(flipped)),
        "one byte less": b64(MAIN.sign(MESSAGE)[:-1]),
        "one byte more": b64(MAIN.sign(MESSAGE) + b"\0"),
        "half of it": b64(MAIN.sign(MESSAGE)[:32]),
        "twice": b64(MAIN.sign(MESSAGE) * 2),
        "numbers of 33 bytes": numbers(r, s, 33),
        "numbers of 48 bytes": numbers(r, s, 48),
        "ASN.1": b64(encode_dss_signature(r, s)),
        "of another message": b64(MAIN.sign(MESSAGE + b"x")),
        "of another key": b64(NEXT.sign(MESSAGE)),
        "of a stranger": b64(STRANGER.sign(MESSAGE)),
        "of EdDSA": b64(ED.sign(MESSAGE)),
        "of RS256": b64(RSA.sign(MESSAGE)),
        "the digest": b64(hs256(b"", MESSAGE)),
        "64 bytes of ones": b64(b"\xff" * 64),
        "the half order as s": numbers(r, ORDER // 2),
    }.items():
        case(f"ES256: {name}", f"{HEAD}.{BODY}.{signature}", "signature")
    for name in ("roles", "sub", "exp", "jti"):
        others = part(changed(CLAIMS, **{name: ["admin"] if name == "roles" else CLAIMS["exp"] * 2}))
        case(f"ES256: {name} changed after signing", f"{HEAD}.{others}.{SIGNATURE}", "signature")
    header = part(changed(HEADER, x=1))
    case("ES256: header changed after signing", f"{header}.{BODY}.{SIGNATURE}", "signature")


def other_signatures():
    for key, length in ((ED, 64), (RSA, 256)):
        token = sign(key=key)
        message, signature = token.rsplit(".", 1)
        raw = key.sign(message.encode())
        assert len(raw) == length
        flipped = bytearray(raw)
        flipped[length // 2] ^= 1
        for name, other in {
            "a flipped bit": bytes(flipped),
            "one byte less": raw[:-1],
            "one byte more": raw + b"\0",
            "a zero in front": b"\0" + raw,
            "none": b"",
            "zeros": bytes(length),
            "ones": b"\xff" * length,
            "of another message": key.sign(b"x"),
        }.items():
            case(f"{key.alg}: {name}", f"{message}.{b64(other)}", "signature")
    # S of Ed25519 is below the order of its curve (RFC 8032 §5.1.7): added once, it would be a second form.
    message, signature = sign(key=ED).rsplit(".", 1)
    raw = ED.sign(message.encode())
    order = 2**252 + 27742317777372353535851937790883648493
    s = int.from_bytes(raw[32:], "little") + order
    case("EdDSA: s more by the order", f"{message}.{b64(raw[:32] + s.to_bytes(32, 'little'))}", "signature")


def key_sets():
    """Tokens whose keys stand in the set in an unusual way."""
    small = Rs256("small rsa", 1024)
    other_curve = Es256("p-384", ec.SECP384R1())
    off_curve = changed(MAIN.jwk(), y=MAIN.jwk()["x"])
    secret = b"a key that everybody knows, 32 b"
    for name, keys, token, verdict in (
        ("no keys", [], GOOD, "unknown_key"),
        ("without alg and use", [changed(MAIN.jwk(), alg=DROP, use=DROP)], GOOD, "valid"),
        ("without a kid", [changed(MAIN.jwk(), kid=DROP)], GOOD, "unknown_key"),
        ("a kid that is a number", [MAIN.jwk(kid=1)], GOOD, "unknown_key"),
        ("use enc", [MAIN.jwk(use="enc")], GOOD, "unknown_key"),
        ("use null", [MAIN.jwk(use=None)], GOOD, "unknown_key"),
        ("alg of another kind", [MAIN.jwk(alg="RS256")], GOOD, "unknown_key"),
        ("alg for encryption", [MAIN.jwk(alg="ECDH-ES")], GOOD, "unknown_key"),
        ("another curve", [other_curve.jwk(kid=MAIN.kid)], GOOD, "unknown_key"),
        ("a curve that is not its own", [MAIN.jwk(crv="P-384")], GOOD, "unknown_key"),
        ("a point off the curve", [off_curve], GOOD, "unknown_key"),
        ("a coordinate too short", [MAIN.jwk(x=MAIN.jwk()["x"][:-2])], GOOD, "unknown_key"),
        ("a coordinate that is a number", [MAIN.jwk(x=1)], GOOD, "unknown_key"),
        ("padding", [MAIN.jwk(x=MAIN.jwk()["x"] + "=")], GOOD, "unknown_key"),
        ("a key of another kind in front", [RSA.jwk(kid="x"), MAIN.jwk()], GOOD, "valid"),
        ("an unusable one of the same id in front", [off_curve, MAIN.jwk()], GOOD, "valid"),
        ("two of one id, the right one first", [MAIN.jwk(), NEXT.jwk(kid=MAIN.kid)], GOOD, "valid"),
        ("two of one id, the right one last", [NEXT.jwk(kid=MAIN.kid), MAIN.jwk()], GOOD, "signature"),
        ("things that are no keys", [None, 1, "x", [], {}, {"kid": MAIN.kid}, MAIN.jwk()], GOOD, "valid"),
        ("unknown members", [MAIN.jwk(x5t="x", key_ops=["verify"], iss=ISSUER)], GOOD, "valid"),
        ("RSA of 1024 bits", [small.jwk()], sign(key=small), "unknown_key"),
        ("RSA without alg", [changed(RSA.jwk(), alg=DROP)], sign(key=RSA), "valid"),
        ("RSA for PS256", [RSA.jwk(alg="PS256")], sign(key=RSA), "unknown_key"),
        ("Ed25519 without alg", [changed(ED.jwk(), alg=DROP)], sign(key=ED), "valid"),
        ("Ed25519 under its newer name", [ED.jwk(alg="Ed25519")], sign(key=ED), "unknown_key"),
        ("X25519", [ED.jwk(crv="X25519")], sign(key=ED), "unknown_key"),
    ):
        KEYS[name] = {"keys": keys}
        case(f"keys: {name}", token, verdict, keys=name)
    case("keys: none were ever fetched", GOOD, "not_ready", keys=None)
    case("keys: none were ever fetched, and typ of another kind", sign(header=changed(HEADER, typ="JWT")), "header",
         keys=None)
    KEYS["shared"] = {"keys": [{"kty": "oct", "kid": MAIN.kid, "alg": "HS256", "use": "sig", "k": b64(secret)}]}
    message = f"{part(changed(HEADER, alg='HS256'))}.{BODY}"
    token = f"{message}.{b64(hs256(secret, message.encode()))}"
    case("keys: a shared key in the set", token, "unknown_key", keys="shared")
