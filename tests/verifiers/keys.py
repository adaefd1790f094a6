"""Keys for the corpus of verifiers. They are derived from public texts: they protect nothing, and nobody may use them.

Every run makes the same keys and the same signatures, so that the corpus can be made again and compared.
"""

import base64
import hashlib
import hmac
import json
import uuid

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature

# The order of P-256 (SP 800-186 §3.2.1.3).
ORDER = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551


def b64(data):
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def digest(text):
    return hashlib.sha256(f"keyturn test key, not a secret: {text}".encode()).digest()


def kid(name):
    return str(uuid.UUID(bytes=digest(f"kid {name}")[:16], version=4))


def int_bytes(number):
    return number.to_bytes((number.bit_length() + 7) // 8, "big")


class Es256:
    alg = "ES256"

    def __init__(self, name, curve=ec.SECP256R1()):
        self.kid = kid(name)
        self.curve = curve
        self.private = ec.derive_private_key(int.from_bytes(digest(name), "big") % (ORDER - 1) + 1, curve)

    def sign_numbers(self, message):
        der = self.private.sign(message, ec.ECDSA(hashes.SHA256(), deterministic_signing=True))
        r, s = decode_dss_signature(der)
        return r, min(s, ORDER - s)

    def sign(self, message):
        r, s = self.sign_numbers(message)
        return r.to_bytes(32, "big") + s.to_bytes(32, "big")

    def jwk(self, **others):
        point = self.private.public_key().public_numbers()
        size = (self.curve.key_size + 7) // 8
        x, y = (b64(value.to_bytes(size, "big")) for value in (point.x, point.y))
        crv = {256: "P-256", 384: "P-384"}[self.curve.key_size]
        return {"kty": "EC", "kid": self.kid, "alg": "ES256", "use": "sig", "crv": crv, "x": x, "y": y} | others


class EdDsa:
    alg = "EdDSA"

    def __init__(self, name):
        self.kid = kid(name)
        self.private = ed25519.Ed25519PrivateKey.from_private_bytes(digest(name))

    def sign(self, message):
        return self.private.sign(message)

    def jwk(self, **others):
        x = b64(self.private.public_key().public_bytes_raw())
        return {"kty": "OKP", "kid": self.kid, "alg": "EdDSA", "use": "sig", "crv": "Ed25519", "x": x} | others


def is_prime(number):
    """Whether it is a prime, by Miller and Rabin with fixed bases."""
    small = (2, 3, 5, 7, 11, 13, 17, 19, 23, 29, 31, 37)
    if any(number % prime == 0 for prime in small):
        return False
    odd, twos = number - 1, 0
    while odd % 2 == 0:
        odd, twos = odd // 2, twos + 1
    for base in small:
        power = pow(base, odd, number)
        if power in (1, number - 1):
            continue
        for _ in range(twos - 1):
            power = pow(power, 2, number)
            if power == number - 1:
                break
        else:
            return False
    return True


def prime(name, bits):
    stream = b"".join(digest(f"{name} {block}") for block in range(bits // 256))
    number = int.from_bytes(stream, "big") | 3 << bits - 2 | 1
    while number % 65537 == 1 or not is_prime(number):
        number += 2
    return number


class Rs256:
    alg = "RS256"

    def __init__(self, name, bits=2048):
        self.kid = kid(name)
        p, q, e = prime(f"{name} p", bits // 2), prime(f"{name} q", bits // 2), 65537
        d = pow(e, -1, (p - 1) * (q - 1))
        public = rsa.RSAPublicNumbers(e, p * q)
        crt = (rsa.rsa_crt_dmp1(d, p), rsa.rsa_crt_dmq1(d, q), rsa.rsa_crt_iqmp(p, q))
        self.private = rsa.RSAPrivateNumbers(p, q, d, *crt, public).private_key()

    def sign(self, message):
        return self.private.sign(message, padding.PKCS1v15(), hashes.SHA256())

    def jwk(self, **others):
        numbers = self.private.public_key().public_numbers()
        n, e = b64(int_bytes(numbers.n)), b64(int_bytes(numbers.e))
        return {"kty": "RSA", "kid": self.kid, "alg": "RS256", "use": "sig", "n": n, "e": e} | others


def hs256(key, message):
    return hmac.new(key, message, hashlib.sha256).digest()


def text(value):
    """Returns JSON as a server writes it; a string is taken for JSON already."""
    return value if isinstance(value, str) else json.dumps(value, separators=(",", ":"), ensure_ascii=False)


def part(value):
    return b64(value if isinstance(value, bytes) else text(value).encode("utf-8", "surrogatepass"))
