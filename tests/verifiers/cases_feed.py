"""Cases about the feed of revocations: what was heard of it, when, and how old that is."""

import datetime

from corpus import CLAIMS, CLIENT_CLAIMS, ED, HEADER, MAIN, NEXT, NOW, SESSION, case, changed, identifier, sign

JTI = CLAIMS["jti"]
OTHER = identifier("another session")
RESET = {"event": "reset", "data": {}}


def time(seconds):
    moment = datetime.datetime.fromtimestamp(seconds, datetime.UTC)
    return moment.strftime("%Y-%m-%dT%H:%M:%S.") + f"{moment.microsecond // 1000:03}Z"


def sync(age_ms=0, at=NOW, **others):
    return {"event": "sync", "data": {"age_ms": age_ms, "server_time": time(at)}} | others


def revoked(sid=SESSION, jti=None, before_rev=None, expires=NOW + 960, **others):
    data = {"sid": sid, "jti": jti, "reason": "logout", "revoked_at": time(NOW - 1), "expires_at": time(expires)}
    if before_rev is not None:
        data["before_rev"] = before_rev
    return {"event": "revoked", "data": data} | others


def key(kid):
    return {"event": "key", "data": {"kid": kid, "revoked_at": time(NOW - 1)}}


def client(client_id, expires=NOW + 86400):
    data = {"client_id": client_id, "revoked_at": time(NOW - 1), "expires_at": time(expires)}
    return {"event": "client", "data": data}


def feed(name, events, verdict, token=None, **others):
    case(f"feed: {name}", sign() if token is None else token, verdict, feed=events, **others)


def add():
    entries()
    revisions()
    keys()
    clients()
    resets()
    expiry()
    staleness()


def entries():
    feed("nothing revoked", [RESET, sync()], "valid")
    feed("the session", [RESET, revoked(), sync()], "session_revoked")
    feed("the session, after the sync", [RESET, sync(), revoked()], "session_revoked")
    feed("the session, twice", [RESET, revoked(), revoked(), sync()], "session_revoked")
    feed("another session", [RESET, revoked(OTHER), sync()], "valid")
    feed("this session among others", [RESET, *(revoked(identifier(f"{n}")) for n in range(50)), revoked(), sync()],
         "session_revoked")
    feed("the token", [RESET, revoked(jti=JTI), sync()], "token_revoked")
    feed("the token, named without its session", [RESET, revoked(None, JTI), sync()], "token_revoked")
    without = revoked(jti=JTI)
    del without["data"]["sid"]
    feed("the token, which belongs to no session", [RESET, without, sync()], "token_revoked")
    feed("the token of a client, which belongs to no session",
         [RESET, {**without, "data": without["data"] | {"jti": CLIENT_CLAIMS["jti"]}}, sync()], "token_revoked",
         sign(claims=CLIENT_CLAIMS))
    feed("another token of the session", [RESET, revoked(jti=identifier("x")), sync()], "valid")
    feed("the token under another session", [RESET, revoked(OTHER, JTI), sync()], "token_revoked")
    feed("token and session", [RESET, revoked(jti=JTI), revoked(), sync()], "session_revoked")
    feed("session and token", [RESET, revoked(), revoked(jti=JTI), sync()], "session_revoked")
    feed("the id of the session as a token", [RESET, revoked(OTHER, SESSION), sync()], "valid")
    feed("the id of the token as a session", [RESET, revoked(JTI), sync()], "valid")
    feed("an unknown event", [RESET, {"event": "news", "data": {"sid": SESSION}}, sync()], "valid")
    more = revoked()
    more["data"] |= {"x": {"y": 1}, "reason": "a_reason_of_tomorrow"}
    feed("unknown members and an unknown reason", [RESET, more, sync()], "session_revoked")
    feed("bye says nothing about tokens", [RESET, revoked(), sync(), {"event": "bye", "data": {"retry_ms": 500}}],
         "session_revoked")
    feed("bye leaves others valid", [RESET, sync(), {"event": "bye", "data": {"retry_ms": 500}}], "valid")
    feed("a client's token", [RESET, revoked(None, CLIENT_CLAIMS["jti"]), sync()], "token_revoked",
         sign(claims=CLIENT_CLAIMS))
    feed("no session of a client's token", [RESET, revoked(), sync()], "valid", sign(claims=CLIENT_CLAIMS))
    feed("an expired token of the session", [RESET, revoked(), sync()], "expired", sign(claims=changed(CLAIMS, exp=NOW)))
    feed("a forged token of the session", [RESET, revoked(), sync()], "signature", sign()[:-4] + "AAAA")
    feed("a token of another issuer", [RESET, revoked(), sync()], "claims", sign(claims=changed(CLAIMS, iss="x")))
    feed("the session before a demand", [RESET, revoked(), sync()], "session_revoked", require={"role": "admin"})
    for field in ("sid", "jti"):
        event = revoked(OTHER)
        event["data"][field] = (SESSION if field == "sid" else JTI).upper()
        verdict = "session_revoked" if field == "sid" else "token_revoked"
        feed(f"{field} in capital letters", [RESET, event, sync()], verdict)


def revisions():
    for before_rev, verdict in ((0, "valid"), (6, "valid"), (7, "valid"), (8, "token_revoked"), (2**40, "token_revoked")):
        feed(f"tokens before revision {before_rev}", [RESET, revoked(before_rev=before_rev), sync()], verdict)
    feed("revisions of another session", [RESET, revoked(OTHER, before_rev=8), sync()], "valid")
    feed("the higher revision counts, first", [RESET, revoked(before_rev=8), revoked(before_rev=3), sync()],
         "token_revoked")
    feed("the higher revision counts, last", [RESET, revoked(before_rev=3), revoked(before_rev=8), sync()],
         "token_revoked")
    feed("revision, then session", [RESET, revoked(before_rev=3), revoked(), sync()], "session_revoked")
    feed("session, then revision", [RESET, revoked(), revoked(before_rev=3), sync()], "session_revoked")
    feed("a later token of the session", [RESET, revoked(before_rev=8), sync()], "valid",
         sign(claims=changed(CLAIMS, rev=8)))
    feed("a revision of zero", [RESET, revoked(before_rev=1), sync()], "token_revoked", sign(claims=changed(CLAIMS, rev=0)))
    feed("a revision and the latest token, an earlier one", [RESET, revoked(jti=JTI, before_rev=8), sync()],
         "token_revoked")
    feed("a revision and the latest token, which is another", [RESET, revoked(jti=OTHER, before_rev=8), sync()],
         "token_revoked")
    feed("a revision and a token of a later one", [RESET, revoked(jti=JTI, before_rev=7), sync()], "valid")
    null = revoked()
    null["data"]["before_rev"] = None
    feed("a revision of null is the whole session", [RESET, null, sync()], "session_revoked")


def clients():
    own, theirs = sign(claims=CLIENT_CLAIMS), CLIENT_CLAIMS["client_id"]
    exchanged = sign(claims=changed(CLAIMS, client_id=theirs))
    for name, token in (("its own token", own), ("a token that it got in exchange", exchanged)):
        feed(f"a client, {name}", [RESET, client(theirs), sync()], "token_revoked", token)
        feed(f"another client, {name}", [RESET, client(OTHER), sync()], "valid", token)
        feed(f"a client, {name}, after the sync", [RESET, sync(), client(theirs)], "token_revoked", token)
        feed(f"a client of before the snapshot, {name}", [RESET, client(theirs), sync(), RESET, sync()], "valid", token)
        feed(f"a client whose tokens have expired, {name}", [RESET, client(theirs, NOW), sync()], "valid", token)
        feed(f"a client, twice, {name}", [RESET, client(theirs), client(theirs, NOW), sync()], "token_revoked", token)
    feed("a client, a person's token", [RESET, client(theirs), sync()], "valid")
    feed("a client, and the session", [RESET, client(theirs), revoked(), sync()], "session_revoked", exchanged)
    feed("a client with the id of the token", [RESET, client(JTI), sync()], "valid")


def keys():
    feed("the key", [RESET, key(MAIN.kid), sync()], "key_revoked")
    feed("the key, after the sync", [RESET, sync(), key(MAIN.kid)], "key_revoked")
    feed("another key", [RESET, key(NEXT.kid), sync()], "valid")
    feed("an unknown key", [RESET, key("x"), sync()], "valid")
    feed("the key, forged token", [RESET, key(MAIN.kid), sync()], "key_revoked", sign()[:-4] + "AAAA")
    feed("the key, which the set lacks", [RESET, key(MAIN.kid), sync()], "key_revoked", keys="no keys")
    feed("the key, and another algorithm", [RESET, key(MAIN.kid), sync()], "key_revoked",
         sign(header=changed(HEADER, alg="none")))
    feed("the key, and typ of another kind", [RESET, key(MAIN.kid), sync()], "header",
         sign(header=changed(HEADER, typ="JWT")))
    feed("the key and the session", [RESET, key(MAIN.kid), revoked(), sync()], "key_revoked")
    feed("another key's token", [RESET, key(MAIN.kid), sync()], "valid", sign(key=ED))


def resets():
    feed("a reset keeps what is known until the sync", [RESET, revoked(), sync(), RESET], "session_revoked")
    feed("a reset and its snapshot without the session", [RESET, revoked(), sync(), RESET, sync()], "valid")
    feed("a reset and its snapshot with the session", [RESET, revoked(), sync(), RESET, revoked(), sync()],
         "session_revoked")
    feed("a snapshot counts at once", [RESET, sync(), RESET, revoked()], "session_revoked")
    feed("a reset in a snapshot", [RESET, revoked(), RESET, sync()], "valid")
    feed("a reset of keys keeps them until the sync", [RESET, key(MAIN.kid), sync(), RESET], "key_revoked")
    feed("a reset of keys", [RESET, key(MAIN.kid), sync(), RESET, sync()], "valid")
    feed("a reset of tokens keeps them until the sync", [RESET, revoked(jti=JTI), sync(), RESET], "token_revoked")
    feed("a reset of tokens", [RESET, revoked(jti=JTI), sync(), RESET, sync()], "valid")
    feed("a reset of revisions keeps them until the sync", [RESET, revoked(before_rev=8), sync(), RESET],
         "token_revoked")
    feed("a reset of revisions", [RESET, revoked(before_rev=8), sync(), RESET, sync()], "valid")
    feed("a lower revision after a reset", [RESET, revoked(before_rev=8), sync(), RESET, revoked(before_rev=3), sync()],
         "valid")
    feed("resumed without a reset", [RESET, revoked(), sync(), sync()], "session_revoked")
    feed("two resets", [RESET, revoked(), sync(), RESET, RESET, sync()], "valid")


def expiry():
    end = NOW + 100
    for name, at, verdict in (
        ("before its end", end - 1, "session_revoked"),
        ("at its end", end, "valid"),
        ("after its end", end + 1, "valid"),
    ):
        feed(f"an entry {name}", [RESET, revoked(expires=end), sync(at=NOW), sync(at=at)], verdict)
    feed("an entry ends by the server's clock, not by this one", [RESET, revoked(expires=end), sync(at=NOW)],
         "session_revoked", now_ms=(NOW + 500) * 1000)
    feed("time passing does not end an entry", [RESET, revoked(expires=end), sync(at=NOW)], "session_revoked",
         silent_ms=200_000, options={"when_stale": "accept"})
    feed("a token's entry at its end", [RESET, revoked(jti=JTI, expires=end), sync(at=end)], "valid")
    feed("a token's entry before its end", [RESET, revoked(jti=JTI, expires=end), sync(at=end - 1)], "token_revoked")
    feed("a revision's entry at its end", [RESET, revoked(before_rev=8, expires=end), sync(at=end)], "valid")
    feed("an entry that is repeated with a later end",
         [RESET, revoked(expires=end), revoked(expires=end + 50), sync(at=end + 1)], "session_revoked")
    feed("an entry that is repeated with an earlier end",
         [RESET, revoked(expires=end + 50), revoked(expires=end), sync(at=end + 1)], "session_revoked")
    feed("keys have no end", [RESET, key(MAIN.kid), sync(at=NOW + 500)], "key_revoked")


def staleness():
    fresh, limit = [RESET, sync()], 5000
    feed("as old as allowed", fresh, "valid", silent_ms=limit)
    feed("a millisecond older", fresh, "stale", silent_ms=limit + 1)
    feed("the server's own age counts", [RESET, sync(limit)], "valid")
    feed("the server's own age is too high", [RESET, sync(limit + 1)], "stale")
    feed("both ages add up, as old as allowed", [RESET, sync(2000)], "valid", silent_ms=3000)
    feed("both ages add up", [RESET, sync(2000)], "stale", silent_ms=3001)
    feed("a new sync", [RESET, sync(), sync(wait_ms=60_000)], "valid", silent_ms=1000)
    feed("revocations are no sync", [RESET, sync(), revoked(OTHER, wait_ms=5001)], "stale")
    feed("an older sync is not fresher than a newer one", [RESET, sync(0), sync(4000, wait_ms=1000)], "valid",
         silent_ms=4000)
    feed("nothing heard", [], "stale")
    feed("a reset alone", [RESET], "stale")
    feed("a snapshot without its sync", [RESET, revoked(OTHER)], "stale")
    feed("a snapshot without its sync, with the session", [RESET, revoked()], "session_revoked")
    feed("a reset long ago", [RESET, sync(), RESET], "stale", silent_ms=limit + 1)
    feed("this clock does not matter", fresh, "valid", now_ms=(NOW + 300) * 1000)
    feed("a stale feed still revokes", [RESET, revoked(), sync()], "session_revoked", silent_ms=60_000)
    feed("a stale feed still revokes keys", [RESET, key(MAIN.kid), sync()], "key_revoked", silent_ms=60_000)
    feed("stale, and expired", fresh, "expired", sign(claims=changed(CLAIMS, exp=NOW)), silent_ms=60_000)
    feed("stale, and forged", fresh, "signature", sign()[:-4] + "AAAA", silent_ms=60_000)
    feed("stale, before a demand", fresh, "stale", silent_ms=60_000, require={"role": "admin"})
    for policy, verdict in (("refuse", "stale"), ("introspect", "introspect"), ("accept", "valid")):
        options = {"options": {"when_stale": policy}}
        feed(f"{policy} when stale", fresh, verdict, silent_ms=60_000, **options)
        feed(f"{policy} when nothing was heard", [], verdict, **options)
        feed(f"{policy} when stale, and revoked", [RESET, revoked(), sync()], "session_revoked", silent_ms=60_000,
             **options)
        feed(f"{policy} when fresh", fresh, "valid", **options)
    feed("a longer limit", fresh, "valid", silent_ms=60_000, options={"max_age_of_feed_ms": 60_000})
    feed("a shorter limit", fresh, "stale", silent_ms=1001, options={"max_age_of_feed_ms": 1000})
