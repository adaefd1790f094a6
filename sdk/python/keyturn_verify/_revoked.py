"""What is known of the feed, in memory."""

import datetime
import re
import threading

from ._sessions import Sessions

_UUID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}\Z")
# The number of syncs between two removals of expired entries, which visit every entry.
_SYNCS_PER_REMOVAL = 30
# The number of a snapshot is kept in a byte.
_SNAPSHOTS = 256


class MalformedEvent(ValueError):
    """The data of an event is not as the contract says. Its reader must start again without a cursor."""


class _Few:
    def __init__(self):
        self.tokens = {}
        self.revisions = {}
        self.keys = set()
        self.clients = {}

    def add_client(self, client, end):
        self.clients[client] = max(end, self.clients.get(client, 0))

    def add_token(self, jti, end):
        self.tokens[jti] = max(end, self.tokens.get(jti, 0))

    def add_revision(self, sid, revision, end):
        known_revision, known_end = self.revisions.get(sid, (revision, end))
        self.revisions[sid] = max(revision, known_revision), max(end, known_end)

    def remove(self, now):
        self.tokens = {jti: end for jti, end in self.tokens.items() if end > now}
        self.clients = {client: end for client, end in self.clients.items() if end > now}
        self.revisions = {sid: entry for sid, entry in self.revisions.items() if entry[1] > now}


def _identifier(value):
    if value is None:
        return None
    if not isinstance(value, str) or not _UUID.match(value.lower()):
        raise MalformedEvent("no UUID")
    return int(value.replace("-", ""), 16)


def _seconds(value):
    """Returns the seconds since 1970 of a time of RFC 3339."""
    try:
        # Python before 3.11 reads no "Z".
        time = datetime.datetime.fromisoformat(re.sub("[zZ]\\Z", "+00:00", value))
        return time.timestamp()
    except (TypeError, ValueError) as error:
        raise MalformedEvent("no time") from error


def _count(value):
    if type(value) is not int or value < 0:
        raise MalformedEvent("no number")
    return value


class Revoked:
    """The revocations that are known."""

    def __init__(self):
        self._lock = threading.Lock()
        self._sessions = Sessions()
        self._few = _Few()
        self._next = _Few()
        self._reading = self._known = 0
        self._server_time = 0
        self._complete_until = None
        self._syncs = 0

    def apply(self, event, data, at):
        """Applies an event that arrived at `at` (seconds of a monotonic clock). Returns whether the revoked keys have
        changed."""
        if not isinstance(data, dict):
            raise MalformedEvent("no object")
        with self._lock:
            try:
                return self._apply(event, data, at)
            except KeyError as error:
                raise MalformedEvent("a member is missing") from error

    def _apply(self, event, data, at):
        if event == "reset":
            self._reading = (self._reading + 1) % _SNAPSHOTS
            self._next = _Few()
        elif event == "revoked":
            end = -int(-_seconds(data["expires_at"]) // 1)
            self._add(_identifier(data.get("sid")), _identifier(data.get("jti")), data.get("before_rev"), end)
        elif event == "key":
            kid = data["kid"]
            if not isinstance(kid, str):
                raise MalformedEvent("no id of a key")
            is_new = kid not in self._few.keys
            for few in self._written():
                few.keys.add(kid)
            return is_new
        elif event == "client":
            client, end = data["client_id"], -int(-_seconds(data["expires_at"]) // 1)
            if not isinstance(client, str):
                raise MalformedEvent("no id of a client")
            for few in self._written():
                few.add_client(client, end)
        elif event == "sync":
            return self._sync(_count(data["age_ms"]) / 1000, int(_seconds(data["server_time"]) // 1), at)
        elif event == "bye":
            _count(data["retry_ms"])
        return False

    def _written(self):
        return (self._few,) if self._reading == self._known else (self._few, self._next)

    def _add(self, sid, jti, before_rev, end):
        # With a revision, `jti` names the latest of the tokens, for readers that know no revisions.
        if jti is not None and before_rev is None:
            for few in self._written():
                few.add_token(jti, end)
        elif sid is None:
            raise MalformedEvent("neither session nor token")
        elif before_rev is not None:
            if type(before_rev) is not int:
                raise MalformedEvent("no revision")
            for few in self._written():
                few.add_revision(sid, before_rev, end)
        else:
            self._sessions.add(sid, end, self._reading)

    def _sync(self, age, server_time, at):
        self._server_time = max(self._server_time, server_time)
        complete = at - age
        self._complete_until = complete if self._complete_until is None else max(self._complete_until, complete)
        self._syncs += 1
        is_snapshot = self._reading != self._known
        are_keys_changed = False
        if is_snapshot:
            self._known = self._reading
            are_keys_changed = self._few.keys != self._next.keys
            self._few, self._next = self._next, _Few()
        if is_snapshot or self._syncs % _SYNCS_PER_REMOVAL == 0:
            self._sessions.remove(self._server_time, self._known if is_snapshot else None)
            self._few.remove(self._server_time)
        return are_keys_changed

    def check(self, claims):
        """Returns the code of the refusal of what was revoked."""
        now, few = self._server_time, self._few
        sid = claims.get("sid")
        if sid is not None:
            sid = int(sid.replace("-", ""), 16)
            if self._sessions.end_of(sid) > now:
                return "session_revoked"
        if few.tokens and few.tokens.get(int(claims["jti"].replace("-", ""), 16), 0) > now:
            return "token_revoked"
        if few.clients and few.clients.get(claims["client_id"], 0) > now:
            return "token_revoked"
        if sid is not None and few.revisions:
            revision, end = few.revisions.get(sid, (0, 0))
            if end > now and claims["rev"] < revision:
                return "token_revoked"
        return None

    def is_key_revoked(self, kid):
        return kid in self._few.keys

    def age(self, now):
        """Returns how many seconds old the knowledge is, None if a snapshot was never read to its end."""
        until = self._complete_until
        return None if until is None else max(0.0, now - until)

    def __len__(self):
        few = self._few
        return len(self._sessions) + len(few.tokens) + len(few.revisions) + len(few.keys) + len(few.clients)
