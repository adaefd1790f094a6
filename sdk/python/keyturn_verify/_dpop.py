"""Proofs that a client holds the key of its token (DPoP, RFC 9449 §4.3; docs/verifiers.md, "Proofs")."""

import base64
import hashlib
import json
import re
import threading

import jwt

from ._json import decode_base64url, decode_object
from ._keys import Key
from ._refusal import Refusal

_MAX_LENGTH = 4096
_MAX_AGE, _LEEWAY = 60, 5
# The seconds in which a proof is valid.
PERIOD = _MAX_AGE + _LEEWAY + 1
_FORM = re.compile(r"([A-Za-z0-9_-]*)\.([A-Za-z0-9_-]*)\.([A-Za-z0-9_-]*)\Z")
_BASE64URL = re.compile(r"[A-Za-z0-9_-]+\Z")
_PRIVATE = frozenset(("d", "p", "q", "dp", "dq", "qi", "oth", "k"))
_ALGORITHMS = ("ES256", "EdDSA", "RS256")
_LEAST, _MOST = -(2**63), 2**63 - 1

_CHARACTERS = re.compile(r"[!#-;=?-\[\]_a-z~]*\Z")
_URL = re.compile(
    r"(https?)://(\[[0-9A-Fa-f:.]*\]|[A-Za-z0-9._-]+)(?::((?!0)[0-9]{0,5}))?(/.*)?\Z", re.IGNORECASE | re.ASCII
)
_ESCAPE = re.compile(r"%([0-9A-Fa-f]{2})?")
_UNRESERVED = re.compile(r"[A-Za-z0-9._~-]\Z")


def _bytes(text):
    if type(text) is not str or not _BASE64URL.match(text):
        return b""
    try:
        return decode_base64url(text)
    except ValueError:
        return b""


def is_thumbprint(text):
    """Returns whether a text is a thumbprint in its one form."""
    return len(_bytes(text)) == 32


def _sha256(data):
    return base64.urlsafe_b64encode(hashlib.sha256(data).digest()).rstrip(b"=").decode()


def _is_rsa(modulus, exponent):
    number = int.from_bytes(modulus, "big")
    is_number = modulus[:1] not in (b"", b"\0") and exponent[:1] not in (b"", b"\0")
    is_exponent = len(exponent) <= 4 and exponent != b"\1" and exponent[-1:] and exponent[-1] % 2 == 1
    return is_number and is_exponent and 2048 <= number.bit_length() <= 4096


def _canonical(algorithm, jwk):
    """Returns the required members of a public key, in the order of their names (RFC 7638 §3); None for another key."""
    if not _PRIVATE.isdisjoint(jwk):
        return None
    kind, curve = jwk.get("kty"), jwk.get("crv")
    names = ()
    if (algorithm, kind, curve) == ("ES256", "EC", "P-256"):
        if len(_bytes(jwk.get("x"))) == len(_bytes(jwk.get("y"))) == 32:
            names = ("crv", "kty", "x", "y")
    elif (algorithm, kind, curve) == ("EdDSA", "OKP", "Ed25519"):
        if len(_bytes(jwk.get("x"))) == 32:
            names = ("crv", "kty", "x")
    elif (algorithm, kind) == ("RS256", "RSA") and _is_rsa(_bytes(jwk.get("n")), _bytes(jwk.get("e"))):
        names = ("e", "kty", "n")
    return {name: jwk[name] for name in names} or None


def _is_signed(algorithm, jwk, message, signature):
    try:
        return Key(algorithm, jwk).is_valid(message.encode("ascii"), decode_base64url(signature))
    except (jwt.InvalidKeyError, ValueError):
        # A point that is not on its curve, for example.
        return False


def _normalize_path(path):
    """Returns a path without dot segments (RFC 3986 §5.2.4), and nothing percent-encoded that need not be."""

    def decoded(escape):
        character = chr(int(escape[1], 16))
        return character if _UNRESERVED.match(character) else escape[0].upper()

    if any(escape[1] is None for escape in _ESCAPE.finditer(path)):
        return None
    segments = _ESCAPE.sub(decoded, path).split("/")[1:]
    kept = []
    for segment in segments:
        if segment == "..":
            del kept[-1:]
        elif segment != ".":
            kept.append(segment)
    is_open = not kept or segments[-1] in (".", "..")
    return "".join("/" + segment for segment in kept) + ("/" if is_open else "")


def normalize(url):
    """Returns the one form of the URL of a request, without query and fragment (RFC 3986 §6.2.2, §6.2.3); None if it is
    none of http or https, or has credentials."""
    if not _CHARACTERS.match(url):
        return None
    parts = _URL.match(re.split("[?#]", url, maxsplit=1)[0])
    if parts is None:
        return None
    scheme, host, port, path = parts[1].lower(), parts[2].lower(), parts[3] or "", _normalize_path(parts[4] or "")
    if path is None:
        return None
    port = "" if port in ("", "80" if scheme == "http" else "443") else ":" + port
    return f"{scheme}://{host}{port}{path}"


def _header(head):
    """Returns algorithm and key of a header."""
    try:
        header = decode_object(head)
    except (ValueError, RecursionError):
        raise Refusal("proof_header") from None
    alg, jwk = header.get("alg"), header.get("jwk")
    is_right = header.get("typ") == "dpop+jwt" and type(alg) is str and alg in _ALGORITHMS and type(jwk) is dict
    if not is_right or "crit" in header:
        raise Refusal("proof_header")
    return alg, jwk


def _claims(payload):
    try:
        claims = decode_object(payload)
    except (ValueError, RecursionError):
        raise Refusal("proof_claims") from None
    iat = claims.get("iat")
    are_right = (
        all(type(claims.get(name)) is str for name in ("jti", "htm", "htu"))
        and all(claims.get(name) is None or type(claims[name]) is str for name in ("ath", "nonce"))
        and type(iat) is int
        and _LEAST <= iat <= _MOST
        and 1 <= len(claims["jti"]) <= 256
    )
    if not are_right:
        raise Refusal("proof_claims")
    return claims


def verify_proof(proof, method, url, token, now):
    """Verifies a proof for a request with this token, at this time in whole seconds. Returns the thumbprint of its key,
    and what it is remembered by; raises Refusal."""
    parts = _FORM.match(proof) if type(proof) is str and len(proof) <= _MAX_LENGTH else None
    if parts is None:
        raise Refusal("proof_malformed")
    head, payload, signature = parts.groups()
    algorithm, jwk = _header(head)
    key = _canonical(algorithm, jwk)
    if key is None:
        raise Refusal("proof_key")
    if not _is_signed(algorithm, key, f"{head}.{payload}", signature):
        raise Refusal("proof_signature")
    claims = _claims(payload)
    if claims["htm"] != method:
        raise Refusal("proof_method")
    normal = normalize(claims["htu"])
    if normal is None or normal != normalize(url):
        raise Refusal("proof_url")
    if not now - _MAX_AGE <= claims["iat"] <= now + _LEEWAY:
        raise Refusal("proof_time")
    if claims.get("ath") != _sha256(token.encode("ascii")):
        raise Refusal("proof_token")
    thumbprint = hashlib.sha256(json.dumps(key, separators=(",", ":")).encode()).digest()
    digest = _sha256(thumbprint + claims["jti"].encode())
    return base64.urlsafe_b64encode(thumbprint).rstrip(b"=").decode(), digest


class SeenProofs:
    """A memory of the proofs that were used, each for as long as it is valid and up to twice as long."""

    def __init__(self, capacity):
        """`capacity` is how many are taken in `PERIOD`."""
        self._capacity = capacity
        self._young, self._old = set(), set()
        self._since = 0
        self._lock = threading.Lock()

    def use_up(self, digest, now):
        """Uses up a proof that is valid at `now`, in seconds. Raises Refusal if it was used before, or the memory is
        full."""
        with self._lock:
            if now - self._since >= PERIOD:
                self._old, self._young, self._since = self._young, set(), now
            elif now < self._since:
                # The clock was set back.
                self._since = now
            if digest in self._young or digest in self._old:
                raise Refusal("proof_replayed")
            if len(self._young) >= self._capacity:
                raise Refusal("proof_unknown")
            self._young.add(digest)
