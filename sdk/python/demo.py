"""Logs in, logs out, and takes the time until a verifier that never asks refuses the token:

ISSUER=… CLIENT_ID=… CLIENT_SECRET=… python3 demo.py
"""

import os
import time
import uuid

import httpx
from keyturn_verify import LiveVerifier, Refusal

issuer = os.environ["ISSUER"]
audience = os.environ.get("AUDIENCE", "keyturn")
verifier = LiveVerifier(issuer, audience, os.environ["CLIENT_ID"], os.environ["CLIENT_SECRET"])
verifier.ready()

keyturn = httpx.Client(base_url=f"{issuer}/api/v1/auth")
person = {"email": f"{uuid.uuid4()}@example.com", "password": "seven ravens over the harbour"}
token = keyturn.post("/register", json=person).raise_for_status().json()["access_token"]
print(f"valid: {verifier.verify(token)['sub']}")

keyturn.post("/logout", headers={"Authorization": f"Bearer {token}"}).raise_for_status()
start = time.perf_counter()
try:
    while verifier.verify(token):
        time.sleep(0.001)
except Refusal as refusal:
    print(f"refused: {refusal.code}, {(time.perf_counter() - start) * 1000:.1f} ms after the answer to the logout")
verifier.close()
