"""The rules for tokens: form, header, key, signature and claims, and what was revoked."""

import re
import time
import unicodedata
from dataclasses import dataclass, field

from ._dpop import SeenProofs, is_thumbprint, verify_proof
from ._json import decode_base64url, decode_object
from ._keys import are_same, parse_keys
from ._refusal import Refusal
from ._revoked import Revoked

_MAX_LENGTH = 8192
_MAX_LEEWAY = 30
_FORM = re.compile(r"([A-Za-z0-9_-]*)\.([A-Za-z0-9_-]*)\.([A-Za-z0-9_-]*)\Z")
_TYPE = re.compile(r"(?:application/)?[aA][tT]\+[jJ][wW][tT]\Z")
_UUID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}\Z")
# Half of the order of the curve P-256 (SP 800-186 §3.2.1.3), rounded down.
_HALF_ORDER = bytes.fromhex("7fffffff800000007fffffffffffffffde737d56d38bcf4279dce5617e3192a8")
_LEAST, _MOST = -(2**63), 2**63 - 1


@dataclass(frozen=True)
class Rules:
    """What tokens must have, and what happens when the knowledge about revocations is too old.

    `when_stale` is "refuse", "introspect" or "accept"; `feed` says whether the feed is followed at all. `proofs` is how
    many proofs are accepted in 66 seconds: a replay of further ones could not be told."""

    issuer: str
    audiences: tuple
    algorithms: tuple = ("ES256", "EdDSA", "RS256")
    not_before_leeway: int = 5
    expiry_leeway: int = 0
    feed: bool = True
    max_age_of_feed: float = 5.0
    when_stale: str = "refuse"
    remembered: int = 8192
    proofs: int = 1_048_576

    def __post_init__(self):
        if self.when_stale not in ("refuse", "introspect", "accept"):
            raise ValueError("when_stale is refuse, introspect or accept")
        if isinstance(self.audiences, str):
            raise ValueError("audiences is a list")


@dataclass(frozen=True)
class Demand:
    """What an application demands of a valid token: a role, scopes (several with spaces), that nobody acts for the user,
    a method of authentication, and how many seconds ago the login may be."""

    role: str | None = None
    scope: str | None = None
    owner: bool = False
    amr: str | None = None
    max_age: int | None = None
    _scopes: tuple = field(init=False, repr=False, compare=False, default=())

    def __post_init__(self):
        object.__setattr__(self, "_scopes", tuple(word for word in (self.scope or "").split(" ") if word))

    def check(self, claims, now=None):
        """Raises Refusal for the first that is missing."""
        if self.role is not None and self.role not in claims.get("roles", ()):
            raise Refusal("missing_role")
        if self._scopes and not set(claims.get("scope", "").split(" ")).issuperset(self._scopes):
            raise Refusal("missing_scope")
        if self.owner and claims.get("act") is not None:
            raise Refusal("acting")
        if self.amr is not None and self.amr not in claims.get("amr", ()):
            raise Refusal("missing_amr")
        if self.max_age is None:
            return
        now = time.time() if now is None else now
        authenticated = claims.get("auth_time")
        if authenticated is None or now // 1 - authenticated > self.max_age:
            raise Refusal("login_too_old")


def _is_text(value):
    return type(value) is str


def _is_uuid(value):
    return type(value) is str and _UUID.match(value) is not None


def _is_integer(value):
    return type(value) is int and _LEAST <= value <= _MOST


def _are_texts(value):
    return type(value) is list and all(type(element) is str for element in value)


def _is_actor(value):
    return type(value) is dict and _is_uuid(value.get("sub"))


_NEEDED = (
    ("iss", _is_text), ("sub", _is_text), ("aud", _is_text), ("client_id", _is_text), ("exp", _is_integer),
    ("iat", _is_integer), ("nbf", _is_integer), ("jti", _is_uuid),
)  # fmt: skip
_OF_PERSONS = (
    ("sid", _is_uuid), ("rev", _is_integer), ("auth_time", _is_integer), ("roles", _are_texts), ("amr", _are_texts),
)  # fmt: skip
# These may also be null.
_OPTIONAL = (
    ("email", _is_text), ("name", _is_text), ("email_verified", lambda value: type(value) is bool), ("act", _is_actor),
)  # fmt: skip


def _is_client(sub):
    name = sub.removeprefix("client:")
    return name not in ("", sub) and not any(unicodedata.category(c) == "Cc" for c in name)


def _are_complete(claims):
    """Returns whether the claims are those of an access token."""
    for name, is_right in _NEEDED:
        if not is_right(claims.get(name)):
            return False
    is_person = _UUID.match(claims["sub"]) is not None
    if not is_person and not _is_client(claims["sub"]):
        return False
    for name, is_right in _OF_PERSONS:
        if name not in claims:
            if is_person:
                return False
        elif not is_right(claims[name]):
            return False
    if ("sid" in claims) != ("rev" in claims) or type(claims.get("scope", "")) is not str:
        return False
    if "cnf" in claims and not (type(claims["cnf"]) is dict and is_thumbprint(claims["cnf"].get("jkt"))):
        return False
    for name, is_right in _OPTIONAL:
        value = claims.get(name)
        if value is not None and not is_right(value):
            return False
    return True


class _Memory:
    """A memory of verified tokens: between `capacity` and twice as many."""

    def __init__(self, capacity):
        self._capacity = capacity
        self._young, self._old = {}, {}

    def get(self, token):
        claims = self._young.get(token)
        if claims is None:
            claims = self._old.get(token)
            if claims is not None:
                self.put(token, claims)
        return claims

    def put(self, token, claims):
        if self._capacity == 0:
            return
        if len(self._young) >= self._capacity:
            self._old, self._young = self._young, {}
        self._young[token] = claims


class Verifier:
    """Verifies tokens without I/O, by the keys and events that it is given. It may be used by several threads."""

    def __init__(self, rules):
        self._rules = rules
        self._audiences = frozenset(rules.audiences)
        self._algorithms = frozenset(rules.algorithms)
        self._not_before_leeway = min(rules.not_before_leeway, _MAX_LEEWAY)
        self._expiry_leeway = min(rules.expiry_leeway, _MAX_LEEWAY)
        self._keys = None
        self._memory = _Memory(rules.remembered)
        self._proofs = SeenProofs(rules.proofs)
        self._revoked = Revoked()

    def set_keys(self, jwk_set):
        """Replaces the keys by those of a JWK set. Raises ValueError if it is none."""
        keys = parse_keys(jwk_set)
        if self._keys is not None and are_same(keys, self._keys):
            return
        self._keys = keys
        self._memory = _Memory(self._rules.remembered)

    def has_key(self, kid):
        return self._keys is not None and kid in self._keys

    def apply(self, event, data, at=None):
        """Applies an event of the feed. Raises MalformedEvent, a ValueError, if its data is malformed."""
        if self._revoked.apply(event, data, time.monotonic() if at is None else at):
            self._memory = _Memory(self._rules.remembered)

    def age(self, at=None):
        """Returns how many seconds old the knowledge about revocations is, None if there is none yet."""
        return self._revoked.age(time.monotonic() if at is None else at)

    @property
    def revocations(self):
        """The number of revoked sessions, tokens and keys that are known."""
        return len(self._revoked)

    def verify(self, token, now=None, at=None):
        """Verifies a token that came by itself, without I/O. Returns its claims, or raises Refusal."""
        claims = self._known(token, now)
        if "cnf" in claims:
            raise Refusal("proof_required")
        if self._rules.feed:
            self.check_age(at)
        return claims

    def verify_bound(self, token, *, proof, method, url, now=None, at=None):
        """Verifies a token that came with a proof (RFC 9449), to this method and URL as the client knows it, without I/O.
        The proof is used up. Returns the claims, or raises Refusal."""
        claims, digest = self.verify_bound_but_for_age(token, proof, method, url, now)
        self.check_age(at)
        self.use_up(digest, now)
        return claims

    def check_age(self, at=None):
        """Raises Refusal if the knowledge about revocations is too old, unless the policy is to accept."""
        rules = self._rules
        if not rules.feed or rules.when_stale == "accept":
            return
        age = self.age(at)
        if age is None or age > rules.max_age_of_feed:
            raise Refusal("introspect" if rules.when_stale == "introspect" else "stale")

    def verify_but_for_age(self, token, now=None):
        """Verifies a token that came by itself, whatever the age of the knowledge about revocations."""
        claims = self._known(token, now)
        if "cnf" in claims:
            raise Refusal("proof_required")
        return claims

    def verify_bound_but_for_age(self, token, proof, method, url, now=None):
        """Verifies a token and its proof, whatever the age of the knowledge about revocations, without using up the
        proof. Returns the claims, and what the proof is remembered by."""
        now = time.time() if now is None else now
        claims = self._known(token, now)
        if "cnf" not in claims:
            raise Refusal("not_bound")
        thumbprint, digest = verify_proof(proof, method, url, token, now // 1)
        if thumbprint != claims["cnf"]["jkt"]:
            raise Refusal("proof_other_key")
        return claims, digest

    def use_up(self, digest, now=None):
        """Uses up a proof. Raises Refusal if this verifier has seen it before."""
        self._proofs.use_up(digest, (time.time() if now is None else now) // 1)

    def _known(self, token, now):
        seconds = (time.time() if now is None else now) // 1
        # If the keys change meanwhile, this memory is not used any more.
        memory = self._memory
        claims = memory.get(token)
        if claims is None:
            claims = self._verified(token)
            self._check_times(claims, seconds)
            memory.put(token, claims)
        else:
            self._check_times(claims, seconds)
        code = self._revoked.check(claims)
        if code is not None:
            raise Refusal(code)
        return claims

    def _verified(self, token):
        parts = _FORM.match(token) if type(token) is str and len(token) <= _MAX_LENGTH else None
        if parts is None:
            raise Refusal("malformed")
        head, payload, signature = parts.groups()
        key = self._key(head)
        message = token[: len(head) + 1 + len(payload)].encode("ascii")
        try:
            signature = decode_base64url(signature)
        except ValueError:
            raise Refusal("signature") from None
        # Of the two possible s, a signature of ES256 has the lower.
        is_one_form = key.algorithm != "ES256" or (len(signature) == 64 and signature[32:] <= _HALF_ORDER)
        if not is_one_form or not key.is_valid(message, signature):
            raise Refusal("signature")
        try:
            claims = decode_object(payload)
        except (ValueError, RecursionError):
            raise Refusal("claims") from None
        if not _are_complete(claims) or claims["iss"] != self._rules.issuer or claims["aud"] not in self._audiences:
            raise Refusal("claims")
        return claims

    def _key(self, head):
        """Returns the key that a header names."""
        try:
            header = decode_object(head)
        except (ValueError, RecursionError):
            raise Refusal("header") from None
        alg, typ, kid = header.get("alg"), header.get("typ"), header.get("kid")
        if not (_is_text(alg) and _is_text(typ) and _is_text(kid)) or "crit" in header or not _TYPE.match(typ):
            raise Refusal("header")
        if self._revoked.is_key_revoked(kid):
            raise Refusal("key_revoked")
        if self._keys is None:
            raise Refusal("not_ready")
        key = self._keys.get(kid)
        if key is None or key.algorithm not in self._algorithms:
            raise Refusal("unknown_key")
        if alg != key.algorithm:
            raise Refusal("header")
        return key

    def _check_times(self, claims, now):
        if claims["nbf"] > now + self._not_before_leeway:
            raise Refusal("not_yet_valid")
        if now >= claims["exp"] + self._expiry_leeway:
            raise Refusal("expired")
