"""JSON that every parser reads in the same way (docs/verifiers.md, "Strict JSON")."""

import base64
import json
import re

_MAX_DEPTH = 127
_STRING = re.compile(rb'"(?:[^"\\]|\\.)*"', re.DOTALL)
_SURROGATE = re.compile(rb"\\u[dD][89a-fA-F]")
_ALPHABET = {c: i for i, c in enumerate("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_")}


def decode_base64url(part):
    """Returns the bytes of base64url, of the right alphabet. Raises ValueError unless it is in its one form."""
    rest = len(part) % 4
    if rest == 1 or (rest and _ALPHABET[part[-1]] & (15 if rest == 2 else 3)):
        raise ValueError("not canonical")
    return base64.urlsafe_b64decode(part + "=" * (-len(part) % 4))


def _members(pairs):
    members = dict(pairs)
    if len(members) != len(pairs):
        raise ValueError("a member is repeated")
    return members


def _float(text):
    number = float(text)
    if number in (float("inf"), float("-inf")):
        raise ValueError("a number is too large")
    return number


def _int(text):
    # "-0" is no integer, and what no double can hold is no number.
    if text == "-0" or len(text) > 300:
        return _float(text)
    return int(text)


def _constant(_):
    raise ValueError("not a number of JSON")


_decoder = json.JSONDecoder(
    object_pairs_hook=_members, parse_float=_float, parse_int=_int, parse_constant=_constant, strict=True
)


def _depth(text):
    depth = deepest = 0
    for byte in _STRING.sub(b"", text):
        if byte in b"[{":
            depth += 1
            deepest = max(deepest, depth)
        elif byte in b"]}":
            depth -= 1
    return deepest


def decode_object(part):
    """Returns the object in a part of a token. Raises ValueError for anything that is not strict."""
    data = decode_base64url(part)
    if data.count(b"[") + data.count(b"{") > _MAX_DEPTH and _depth(data) > _MAX_DEPTH:
        raise ValueError("too deep")
    value = _decoder.decode(data.decode("utf-8"))
    if type(value) is not dict:
        raise ValueError("no object")
    if _SURROGATE.search(data):
        # Raises UnicodeEncodeError, a ValueError, for half of a surrogate pair.
        json.dumps(value, ensure_ascii=False).encode("utf-8")
    return value
