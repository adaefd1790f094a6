"""Verifiers that fetch the keys and follow the feed of revocations: with threads, and with asyncio."""

import asyncio
import base64
import contextlib
import json
import random
import re
import threading
import time
import urllib.parse

import httpx

from ._dpop import PERIOD
from ._events import Events
from ._json import decode_object
from ._refusal import Refusal
from ._verifier import Rules, Verifier

_TIMEOUT = httpx.Timeout(5.0)
# How long nothing may arrive on the feed. The server sends something every second.
_FEED_TIMEOUT = httpx.Timeout(5.0, read=15.0)
_MIN_PAUSE, _MAX_PAUSE = 0.1, 5.0
# The least time between two fetches that unknown ids of keys cause, and how long such an id is not asked for again.
_MIN_INTERVAL, _UNKNOWN_FOR, _MAX_UNKNOWN = 5.0, 60.0, 1024
_KEYS, _FEED, _INTROSPECTION = "/.well-known/jwks.json", "/api/v1/revocations", "/oauth/introspect"
_MAX_AGE = re.compile(r"(?:^|[\s,])max-age=([0-9]+)")


class RequestError(Exception):
    """The error of a request to keyturn that it has answered otherwise than wanted."""

    def __init__(self, status):
        super().__init__(f"keyturn answered {status}")
        self.status = status


def _jitter(most):
    return random.random() * most


def _successful(response):
    if response.status_code != 200:
        raise RequestError(response.status_code)
    return response


class _Base:
    """What both verifiers share: everything but waiting."""

    def __init__(
        self, issuer, audience, client_id, client_secret, *, url=None, public_url=None, claim_proof=None, **rules
    ):
        audiences = (audience,) if isinstance(audience, str) else tuple(audience)
        self.verifier = Verifier(Rules(issuer=issuer, audiences=audiences, **rules))
        self.last_error = None
        self.public_url = None if public_url is None else public_url.rstrip("/")
        self._claim_proof = claim_proof
        self._url = (url or issuer).rstrip("/")
        if not self._url.startswith(("http://", "https://")):
            raise ValueError("url is neither http:// nor https://")
        # The form of RFC 6749 §2.3.1.
        quoted = (urllib.parse.quote(text, safe="") for text in (client_id, client_secret))
        self._authorization = "Basic " + base64.b64encode(":".join(quoted).encode()).decode()
        self._cursor = None
        self._asked_at = float("-inf")
        self._unknown = {}
        self._state = threading.Lock()

    def age(self):
        """Returns how many seconds old the knowledge about revocations is, None if there is none yet."""
        return self.verifier.age()

    @property
    def revocations(self):
        """The number of revoked sessions, tokens and keys that are known."""
        return self.verifier.revocations

    def verify(self, token):
        """Verifies a token that came by itself, without I/O. Returns its claims, or raises Refusal. If its key is unknown,
        the keys are fetched in the background for the next one."""
        return self._now(token, lambda: self.verifier.verify(token))

    def verify_bound(self, token, *, proof, method, url):
        """Verifies a token that came with a proof (RFC 9449), to this method and URL as the client knows it, and else as
        `verify` does. The proof is used up."""
        return self._now(token, lambda: self.verifier.verify_bound(token, proof=proof, method=method, url=url))

    def _now(self, token, verify):
        try:
            return verify()
        except Refusal as refusal:
            if refusal.code == "unknown_key" and self._may_ask(_kid(token)):
                self._want_keys()
            raise

    def _known(self, token, bound):
        """Returns the claims, and what the proof is remembered by, if there is one. Raises Refusal for what is certain, and
        for what is not known."""
        if bound is None:
            return self.verifier.verify(token), None
        claims, digest = self._certain(token, bound)
        self.verifier.check_age()
        return claims, digest

    def _certain(self, token, bound):
        """Returns the same, whatever the age of the knowledge about revocations."""
        if bound is None:
            return self.verifier.verify_but_for_age(token), None
        return self.verifier.verify_bound_but_for_age(token, **bound)

    def _may_ask(self, kid):
        """Returns whether to fetch the keys for this id now. Notes it as unknown, until the keys have it."""
        now = time.monotonic()
        with self._state:
            is_known_as_unknown = now - self._unknown.get(kid, float("-inf")) < _UNKNOWN_FOR
            if now - self._asked_at < _MIN_INTERVAL or is_known_as_unknown:
                return False
            if len(self._unknown) >= _MAX_UNKNOWN:
                self._unknown.clear()
            self._asked_at = self._unknown[kid] = now
            return True

    def _take_keys(self, response):
        """Returns for how many seconds the keys may be kept."""
        self.verifier.set_keys(_successful(response).json())
        with self._state:
            self._unknown = {kid: at for kid, at in self._unknown.items() if not self.verifier.has_key(kid)}
        found = _MAX_AGE.search(response.headers.get("cache-control", ""))
        return min(max(int(found[1]) if found else 300, 10), 3600)

    def _feed_headers(self):
        headers = {
            "accept": "text/event-stream",
            "accept-encoding": "identity",
            "authorization": self._authorization,
        }
        return headers | {"last-event-id": self._cursor} if self._cursor else headers

    def _introspection(self, token):
        form = {"content": urllib.parse.urlencode({"token": token})}
        headers = {"authorization": self._authorization, "content-type": "application/x-www-form-urlencoded"}
        return form | {"headers": headers}

    def _introspected(self, response, certain):
        active = _successful(response).json().get("active")
        if active is False:
            raise Refusal("token_revoked")
        if active is not True:
            raise ValueError("keyturn's answer is malformed")
        return certain

    def _take_event(self, event, reading):
        data = json.loads(event.data)
        self.verifier.apply(event.name, data)
        if event.name == "reset":
            self._cursor = None
        elif event.name == "key":
            self._want_keys()
        elif event.name == "bye":
            reading.retry = data["retry_ms"] / 1000
        elif event.name == "sync":
            self._cursor = event.id or None
            reading.has_synced = True
            self._synced()

    def _take_error(self, error):
        self.last_error = error
        # A cursor that leads nowhere, or data that cannot be read: a snapshot is always right.
        if isinstance(error, ValueError) or getattr(error, "status", None) in (400, 404, 410, 422):
            self._cursor = None


class _Reading:
    """How a connection to the feed went, and how long the pause before the next one is."""

    def __init__(self):
        self.has_synced = False
        self.retry = None
        self.error = None
        self._pause = _MIN_PAUSE

    def begin(self):
        self.has_synced, self.retry, self.error = False, None, None

    def wait(self):
        if self.has_synced:
            self._pause = _MIN_PAUSE
        pause, self._pause = self._pause, min(self._pause * 2, _MAX_PAUSE)
        if self.retry is not None:
            return min(self.retry, _MAX_PAUSE) + _jitter(min(max(self.retry, _MIN_PAUSE), _MAX_PAUSE))
        return _jitter(pause) if self.error is None else pause + _jitter(pause)


_ERRORS = (httpx.HTTPError, RequestError, ValueError)


class LiveVerifier(_Base):
    """A verifier for threads, which fetches the keys and follows the feed in two threads of its own.

    `issuer` and `audience` (one or several) are what tokens must have; the client has the scope `revocations`. Further
    keywords are those of `Rules`; `url` is where keyturn is, if that is not the issuer. With `public_url`, what clients
    write before the path of a request, the integrations of frameworks take tokens that are bound to a key, too.
    `claim_proof(digest, seconds)`, which `check_bound` calls, tells the processes of an API of each other's proofs: it
    notes the digest in what they share, for so long, and returns True if it was not there."""

    def __init__(self, issuer, audience, client_id, client_secret, **options):
        super().__init__(issuer, audience, client_id, client_secret, **options)
        self._client = httpx.Client(base_url=self._url)
        self._stop = threading.Event()
        self._wake = threading.Event()
        self._has_keys = threading.Event()
        self._has_snapshot = threading.Event()
        self._fetching = threading.Lock()
        for task in (self._refresh_keys, self._follow):
            threading.Thread(target=task, name=f"keyturn-verify{task.__name__}", daemon=True).start()

    def ready(self, timeout=None):
        """Waits until the keys and a whole snapshot of the revocations are there. Returns whether they are."""
        end = None if timeout is None else time.monotonic() + timeout
        has_keys = self._has_keys.wait(timeout)
        return has_keys and self._has_snapshot.wait(None if end is None else max(0.0, end - time.monotonic()))

    def check(self, token):
        """Verifies a token that came by itself, as `verify` does. Waits for the keys if they may have the unknown one, and
        asks keyturn where the policy is to introspect and the knowledge is stale."""
        claims, _ = self._check(token, None)
        return claims

    def check_bound(self, token, *, proof, method, url):
        """Verifies a token that came with a proof (RFC 9449), to this method and URL as the client knows it, and else as
        `check` does. The proof is used up."""
        claims, digest = self._check(token, {"proof": proof, "method": method, "url": url})
        self.verifier.use_up(digest)
        if self._claim_proof is not None:
            try:
                is_new = self._claim_proof(digest, PERIOD)
            except Exception as error:
                self.last_error = error
                raise Refusal("proof_unknown") from error
            if is_new is not True:
                raise Refusal("proof_replayed")
        return claims

    def _check(self, token, bound):
        try:
            return self._known(token, bound)
        except Refusal as refusal:
            if refusal.code not in ("unknown_key", "introspect"):
                raise
            is_unknown = refusal.code == "unknown_key"
        if is_unknown:
            with self._fetching:
                if not self.verifier.has_key(_kid(token)) and self._may_ask(_kid(token)):
                    try:
                        self._take_keys(self._client.get(_KEYS, timeout=_TIMEOUT))
                    except _ERRORS as error:
                        self.last_error = error
            try:
                return self._known(token, bound)
            except Refusal as refusal:
                if refusal.code != "introspect":
                    raise
        certain = self._certain(token, bound)
        try:
            response = self._client.post(_INTROSPECTION, timeout=_TIMEOUT, **self._introspection(token))
            return self._introspected(response, certain)
        except _ERRORS as error:
            self.last_error = error
            raise Refusal("introspect") from error

    def close(self):
        """Ends the threads, the feed's at its next event."""
        self._stop.set()
        self._wake.set()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def _want_keys(self):
        self._wake.set()

    def _synced(self):
        self._has_snapshot.set()

    def _refresh_keys(self):
        pause = _MIN_PAUSE
        while not self._stop.is_set():
            self._wake.clear()
            try:
                with self._fetching:
                    wait = self._take_keys(self._client.get(_KEYS, timeout=_TIMEOUT))
                self._has_keys.set()
                pause = _MIN_PAUSE
            except _ERRORS as error:
                self.last_error = error
                pause = min(pause * 2, _MAX_PAUSE)
                wait = _jitter(pause)
            self._wake.wait(wait)

    def _follow(self):
        reading = _Reading()
        while not self._stop.is_set():
            reading.begin()
            try:
                self._read_feed(reading)
            except _ERRORS as error:
                reading.error = error
                self._take_error(error)
            self._stop.wait(reading.wait())

    def _read_feed(self, reading):
        with self._client.stream("GET", _FEED, headers=self._feed_headers(), timeout=_FEED_TIMEOUT) as response:
            _successful(response)
            events = Events()
            for chunk in response.iter_raw():
                for event in events.read(chunk):
                    self._take_event(event, reading)
                    if reading.retry is not None:
                        return
                if self._stop.is_set():
                    return


class AsyncLiveVerifier(_Base):
    """A verifier for asyncio, which fetches the keys and follows the feed in two tasks. It is used with `async with`, or
    `start` and `close`. Its arguments are those of `LiveVerifier`, `claim_proof` a coroutine function."""

    def __init__(self, issuer, audience, client_id, client_secret, **options):
        super().__init__(issuer, audience, client_id, client_secret, **options)
        self._tasks = []

    async def start(self):
        """Starts the tasks. Returns the verifier."""
        self._client = httpx.AsyncClient(base_url=self._url)
        self._wake, self._has_keys, self._has_snapshot = asyncio.Event(), asyncio.Event(), asyncio.Event()
        self._fetching = asyncio.Lock()
        self._tasks = [asyncio.create_task(task) for task in (self._refresh_keys(), self._follow())]
        return self

    async def close(self):
        """Ends the tasks and their connections."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._client.aclose()

    async def __aenter__(self):
        return await self.start()

    async def __aexit__(self, *_):
        await self.close()

    async def ready(self):
        """Waits until the keys and a whole snapshot of the revocations are there."""
        await self._has_keys.wait()
        await self._has_snapshot.wait()

    async def check(self, token):
        """Verifies a token that came by itself, as `verify` does. Waits for the keys if they may have the unknown one, and
        asks keyturn where the policy is to introspect and the knowledge is stale."""
        claims, _ = await self._check(token, None)
        return claims

    async def check_bound(self, token, *, proof, method, url):
        """Verifies a token that came with a proof (RFC 9449), to this method and URL as the client knows it, and else as
        `check` does. The proof is used up."""
        claims, digest = await self._check(token, {"proof": proof, "method": method, "url": url})
        self.verifier.use_up(digest)
        if self._claim_proof is not None:
            try:
                is_new = await self._claim_proof(digest, PERIOD)
            except Exception as error:
                self.last_error = error
                raise Refusal("proof_unknown") from error
            if is_new is not True:
                raise Refusal("proof_replayed")
        return claims

    async def _check(self, token, bound):
        try:
            return self._known(token, bound)
        except Refusal as refusal:
            if refusal.code not in ("unknown_key", "introspect"):
                raise
            is_unknown = refusal.code == "unknown_key"
        if is_unknown:
            async with self._fetching:
                if not self.verifier.has_key(_kid(token)) and self._may_ask(_kid(token)):
                    try:
                        self._take_keys(await self._client.get(_KEYS, timeout=_TIMEOUT))
                    except _ERRORS as error:
                        self.last_error = error
            try:
                return self._known(token, bound)
            except Refusal as refusal:
                if refusal.code != "introspect":
                    raise
        certain = self._certain(token, bound)
        try:
            response = await self._client.post(_INTROSPECTION, timeout=_TIMEOUT, **self._introspection(token))
            return self._introspected(response, certain)
        except _ERRORS as error:
            self.last_error = error
            raise Refusal("introspect") from error

    def _want_keys(self):
        self._wake.set()

    def _synced(self):
        self._has_snapshot.set()

    async def _refresh_keys(self):
        pause = _MIN_PAUSE
        while True:
            self._wake.clear()
            try:
                async with self._fetching:
                    wait = self._take_keys(await self._client.get(_KEYS, timeout=_TIMEOUT))
                self._has_keys.set()
                pause = _MIN_PAUSE
            except _ERRORS as error:
                self.last_error = error
                pause = min(pause * 2, _MAX_PAUSE)
                wait = _jitter(pause)
            with contextlib.suppress(asyncio.TimeoutError):
                await asyncio.wait_for(self._wake.wait(), wait)

    async def _follow(self):
        reading = _Reading()
        while True:
            reading.begin()
            try:
                await self._read_feed(reading)
            except _ERRORS as error:
                reading.error = error
                self._take_error(error)
            await asyncio.sleep(reading.wait())

    async def _read_feed(self, reading):
        headers = self._feed_headers()
        async with self._client.stream("GET", _FEED, headers=headers, timeout=_FEED_TIMEOUT) as response:
            _successful(response)
            events = Events()
            async for chunk in response.aiter_raw():
                for event in events.read(chunk):
                    self._take_event(event, reading)
                    if reading.retry is not None:
                        return


def _kid(token):
    """Returns the id of the key of a token whose header is right."""
    return decode_object(token.partition(".")[0])["kid"]
