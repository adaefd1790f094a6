"""A server that says what a test wants, in place of keyturn."""

import base64
import hashlib
import http.server
import json
import os
import queue
import threading
import time
import uuid

import jwt

TIME = "2027-01-15T08:00:00.000Z"

with open(os.environ["CORPUS"], encoding="utf-8") as _file:
    CORPUS = json.load(_file)


def token_of(name):
    return next(case["token"] for case in CORPUS["cases"] if case["name"] == name)


def proof(token, method, url, **changes):
    """Returns a new proof for a request at the current time, with the key of the corpus."""
    jwk = CORPUS["proof_key"]
    key = jwt.get_algorithm_by_name("ES256").from_jwk(jwk)
    hashed = base64.urlsafe_b64encode(hashlib.sha256(token.encode()).digest()).rstrip(b"=").decode()
    claims = {"jti": str(uuid.uuid4()), "htm": method, "htu": url, "iat": int(time.time()), "ath": hashed} | changes
    public = {name: value for name, value in jwk.items() if name != "d"}
    return jwt.encode(claims, key, "ES256", {"typ": "dpop+jwt", "jwk": public})


def event(name, data, cursor=None):
    cursor = f"id: {cursor}\n" if cursor else ""
    return f"event: {name}\n{cursor}data: {json.dumps(data)}\n\n"


def sync(cursor):
    return event("sync", {"age_ms": 0, "server_time": TIME}, cursor)


def revoked(sid):
    data = {"sid": sid, "jti": None, "reason": "logout", "revoked_at": TIME, "expires_at": "2027-01-15T08:16:00.000Z"}
    return event("revoked", data)


class Fake:
    """A running server."""

    def __init__(self):
        self.keys = CORPUS["keys"]["usual"]
        self.key_requests = self.introspections = 0
        self.feed_requests = []
        self.feed_status = 200
        self.greeting = event("reset", {}) + sync("1")
        self.active = None
        self._readers = set()
        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True).start()

    def say(self, text):
        for reader in list(self._readers):
            reader.put(text)

    def hang_up(self):
        self.say(None)

    def close(self):
        self.hang_up()
        self._server.shutdown()
        self._server.server_close()

    def _handler(self):
        fake = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def log_message(self, *_):
                pass

            def answer(self, status, value):
                body = json.dumps(value).encode()
                self.send_response(status)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def do_POST(self):
                self.rfile.read(int(self.headers["content-length"]))
                fake.introspections += 1
                self.answer(503 if fake.active is None else 200, {"active": fake.active})

            def do_GET(self):
                if self.path == "/.well-known/jwks.json":
                    fake.key_requests += 1
                    return self.answer(200, fake.keys)
                fake.feed_requests.append({name.lower(): value for name, value in self.headers.items()})
                self.send_response(fake.feed_status)
                self.end_headers()
                if fake.feed_status != 200:
                    return None
                said = queue.Queue()
                said.put(fake.greeting)
                fake._readers.add(said)
                try:
                    while (text := said.get()) is not None:
                        self.wfile.write(text.encode())
                except OSError:
                    pass
                fake._readers.discard(said)
                return None

        return Handler


def until(what, is_so):
    for _ in range(2000):
        if is_so():
            return
        time.sleep(0.005)
    raise AssertionError(f"never: {what}")
