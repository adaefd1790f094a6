"""A verifier that follows the feed of a server, with threads and with asyncio."""

import asyncio
import base64
import concurrent.futures
import json
import threading
import unittest

import fake
from keyturn_verify import AsyncLiveVerifier, LiveVerifier, Refusal
from keyturn_verify._events import Events

TOKEN = fake.token_of("time: valid at any time")


def _part(place):
    return json.loads(base64.urlsafe_b64decode(TOKEN.split(".")[place] + "=="))


BOUND = fake.token_of("proof: of a token that is valid at any time")
URL = "https://api.example/orders"


def request():
    """Returns a new proof and what it is for."""
    return {"proof": fake.proof(BOUND, "GET", URL), "method": "GET", "url": URL}


SESSION, KID = _part(1)["sid"], _part(0)["kid"]
ARGUMENTS = (fake.CORPUS["options"]["issuer"], fake.CORPUS["options"]["audiences"], "a client", "a secret: of a client")


class Async:
    """An AsyncLiveVerifier on an event loop in a thread, used as a LiveVerifier is."""

    def __init__(self, *parts, **names):
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()
        self._own = AsyncLiveVerifier(*parts, **names)
        self._run(self._own.start())

    def _run(self, task, timeout=30):
        return asyncio.run_coroutine_threadsafe(task, self._loop).result(timeout)

    def ready(self, timeout=30):
        try:
            self._run(asyncio.wait_for(self._own.ready(), timeout))
        except (TimeoutError, asyncio.TimeoutError):
            return False
        return True

    def check(self, token):
        return self._run(self._own.check(token))

    def check_bound(self, token, **request):
        return self._run(self._own.check_bound(token, **request))

    def close(self):
        self._run(self._own.close())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def __getattr__(self, name):
        return getattr(self._own, name)


def code(verify, *parts, **names):
    try:
        verify(*parts, **names)
    except Refusal as refusal:
        return refusal.code
    return "valid"


class Following:
    """The tests of both kinds."""

    kind = None

    def start(self, change=lambda server: None, **rules):
        server = fake.Fake()
        change(server)
        verifier = self.kind(*ARGUMENTS, url=server.url, **{"max_age_of_feed": 600, **rules})
        self.addCleanup(server.close)
        self.addCleanup(verifier.close)
        return server, verifier

    def test_a_revocation_reaches_a_verifier_that_never_asks(self):
        server, verifier = self.start()
        self.assertTrue(verifier.ready())
        self.assertEqual(verifier.verify(TOKEN)["sid"], SESSION)
        server.say(fake.revoked(SESSION))
        fake.until("refused", lambda: code(verifier.verify, TOKEN) == "session_revoked")
        request = server.feed_requests[0]
        credentials = base64.b64decode(request["authorization"].removeprefix("Basic "))
        self.assertEqual(credentials, b"a%20client:a%20secret%3A%20of%20a%20client")
        self.assertEqual(request["accept"], "text/event-stream")
        self.assertNotIn("last-event-id", request)
        self.assertEqual(server.key_requests, 1)

    def test_nothing_is_ready_before_the_snapshot_is_whole(self):
        def change(server):
            server.greeting = fake.event("reset", {}) + fake.revoked(SESSION)

        server, verifier = self.start(change)
        fake.until("revoked", lambda: code(verifier.verify, TOKEN) == "session_revoked")
        self.assertFalse(verifier.ready(0.01))
        self.assertIsNone(verifier.age())
        server.say(fake.sync("2"))
        self.assertTrue(verifier.ready())
        self.assertGreaterEqual(verifier.age(), 0)

    def test_a_broken_connection_goes_on_from_its_cursor(self):
        server, verifier = self.start()
        verifier.ready()
        server.greeting = fake.sync("cursor 8")
        server.say(fake.sync("cursor 7") + fake.revoked("00000000-0000-4000-8000-000000000001"))
        fake.until("read", lambda: verifier.revocations == 1)
        server.hang_up()
        fake.until("back", lambda: len(server.feed_requests) == 2)
        self.assertEqual(server.feed_requests[1]["last-event-id"], "cursor 7")
        self.assertEqual(verifier.revocations, 1)

    def test_what_cannot_be_read_leads_to_a_new_snapshot(self):
        for wrong in (
            'event: revoked\ndata: {"sid":"x"}\n\n',
            "event: sync\ndata: {\n\n",
            "event: key\ndata: {}\n\n",
            "event: sync\ndata: []\n\n",
            'event: bye\ndata: {"retry_ms":"1"}\n\n',
        ):
            with self.subTest(wrong):
                server, verifier = self.start()
                verifier.ready()
                server.say(wrong)
                fake.until("back", lambda server=server: len(server.feed_requests) == 2)
                self.assertNotIn("last-event-id", server.feed_requests[1])
                self.assertIsNotNone(verifier.last_error)

    def test_a_server_that_goes_is_left_and_found_again(self):
        server, verifier = self.start()
        verifier.ready()
        server.say(fake.event("bye", {"retry_ms": 1}))
        fake.until("back", lambda: len(server.feed_requests) == 2)
        server.feed_status = 401
        fake.until("heard", lambda: server._readers)
        server.hang_up()
        fake.until("refused", lambda: getattr(verifier.last_error, "status", None) == 401)
        server.feed_status = 200
        before = len(server.feed_requests)
        fake.until("back", lambda: len(server.feed_requests) > before)

    def test_unknown_keys_cause_one_request(self):
        def change(server):
            server.keys = {"keys": []}

        server, verifier = self.start(change)
        verifier.ready()
        for name in ("header: without kid", 'header: typ "JWT"', "form: one part"):
            self.assertIn(code(verifier.check, fake.token_of(name)), ("header", "malformed"))
        self.assertEqual(server.key_requests, 1)
        server.keys = fake.CORPUS["keys"]["usual"]
        with concurrent.futures.ThreadPoolExecutor(20) as pool:
            codes = set(pool.map(lambda _: code(verifier.check, TOKEN), range(50)))
        self.assertEqual(codes, {"valid"})
        self.assertEqual(server.key_requests, 2)
        for name in ("of a stranger", "a path", "very long", "SQL"):
            token = fake.token_of(f"header: kid {name}")
            for _ in range(20):
                self.assertEqual(code(verifier.check, token), "unknown_key")
                self.assertEqual(code(verifier.verify, token), "unknown_key")
        self.assertEqual(server.key_requests, 2)

    def test_a_revoked_key_is_refused_at_once_and_the_keys_are_fetched(self):
        server, verifier = self.start()
        verifier.ready()
        verifier.verify(TOKEN)
        server.say(fake.event("key", {"kid": KID, "revoked_at": fake.TIME}))
        fake.until("refused", lambda: code(verifier.verify, TOKEN) == "key_revoked")
        fake.until("fetched", lambda: server.key_requests == 2)

    def test_a_stale_verifier_does_as_its_policy_says(self):
        for when_stale, active, verdict in (
            ("refuse", True, "stale"),
            ("accept", False, "valid"),
            ("introspect", True, "valid"),
            ("introspect", False, "token_revoked"),
            ("introspect", None, "introspect"),
        ):
            with self.subTest(f"{when_stale} {active}"):

                def change(server, active=active):
                    server.feed_status, server.active = 503, active

                _, verifier = self.start(change, when_stale=when_stale)
                fake.until("keys", lambda verifier=verifier: code(verifier.verify, TOKEN) != "not_ready")
                self.assertEqual(code(verifier.check, TOKEN), verdict)

    def test_a_proof_is_used_up_whatever_the_policy_is(self):
        for when_stale, active, verdict in (
            ("refuse", True, "stale"),
            ("accept", False, "valid"),
            ("introspect", True, "valid"),
            ("introspect", False, "token_revoked"),
            ("introspect", None, "introspect"),
        ):
            with self.subTest(f"{when_stale} {active}"):

                def change(server, active=active):
                    server.feed_status, server.active = 503, active

                _, verifier = self.start(change, when_stale=when_stale)
                fake.until("keys", lambda verifier=verifier: code(verifier.verify, TOKEN) != "not_ready")
                once = request()
                self.assertEqual(code(verifier.check, BOUND), "proof_required")
                self.assertEqual(code(verifier.check_bound, BOUND, **once), verdict)
                again = "proof_replayed" if verdict == "valid" else verdict
                self.assertEqual(code(verifier.check_bound, BOUND, **once), again)

    def test_processes_tell_each_other_of_proofs(self):
        shared = {}
        is_gone = threading.Event()

        def claim(digest, seconds):
            if is_gone.is_set():
                raise OSError("the store is gone")
            is_new = digest not in shared
            shared[digest] = seconds
            return is_new

        async def claim_later(digest, seconds):
            return claim(digest, seconds)

        claim_proof = claim if self.kind is LiveVerifier else claim_later
        verifiers = [self.start(claim_proof=claim_proof)[1] for _ in range(2)]
        for verifier in verifiers:
            verifier.ready()
        once = request()
        self.assertEqual([code(verifier.check_bound, BOUND, **once) for verifier in verifiers], ["valid", "proof_replayed"])
        self.assertEqual(list(shared.values()), [66])
        is_gone.set()
        self.assertEqual(code(verifiers[0].check_bound, BOUND, **request()), "proof_unknown")
        self.assertIsInstance(verifiers[0].last_error, OSError)

    def test_a_full_memory_of_proofs_refuses(self):
        _, verifier = self.start(proofs=1)
        verifier.ready()
        self.assertEqual(code(verifier.verify_bound, BOUND, **request()), "valid")
        self.assertEqual(code(verifier.verify_bound, BOUND, **request()), "proof_unknown")
        self.assertEqual(code(verifier.verify, TOKEN), "valid")


class WithThreads(Following, unittest.TestCase):
    kind = LiveVerifier


class WithAsyncio(Following, unittest.TestCase):
    kind = Async


class Stream(unittest.TestCase):
    def test_events_are_read_however_the_stream_is_divided(self):
        stream = (
            b': comment\n\nevent: sync\nid: 7\ndata: {"a":\ndata: 1}\n\nevent:key\r\ndata:\xc3\xa4\r\n\r\nid: 8\n\n'
            b"retry: 5\rdata\r\revent: half\n"
        )
        expected = [("sync", '{"a":\n1}', "7"), ("key", "ä", None), ("", "", None)]
        for size in range(1, len(stream)):
            events = Events()
            chunks = (stream[start : start + size] for start in range(0, len(stream), size))
            read = [(event.name, event.data, event.id) for chunk in chunks for event in events.read(chunk)]
            self.assertEqual(read, expected, size)

    def test_what_is_no_stream_is_refused(self):
        for wrong in (b"data: \xff\n", b"a" * 100_000):
            self.assertRaises(ValueError, Events().read, wrong)


if __name__ == "__main__":
    unittest.main()
