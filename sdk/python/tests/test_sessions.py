"""The table of revoked sessions holds what a dict would, in less memory."""

import random
import unittest

from keyturn_verify._sessions import Sessions


class Table(unittest.TestCase):
    def test_a_table_of_sessions_is_as_a_dict(self):
        chance = random.Random(7)
        ids = [chance.getrandbits(128) for _ in range(3000)]
        # Some differ in few bits only.
        ids += [sid ^ 1 << 127 for sid in ids[:500]] + [sid ^ 1 for sid in ids[:500]] + [0, 1, (1 << 128) - 1]
        sessions, expected, snapshot = Sessions(), {}, 0
        for step in range(40_000):
            sid, end = chance.choice(ids), chance.randint(1, 1000)
            sessions.add(sid, end, snapshot)
            expected[sid] = max(end, expected.get(sid, (0, 0))[0]), snapshot
            if chance.random() < 1 / 5000:
                now, only = chance.randrange(500), chance.choice((snapshot, None))
                sessions.remove(now, only)
                expected = {
                    sid: entry for sid, entry in expected.items() if entry[0] > now and only in (None, entry[1])
                }
                snapshot = (snapshot + chance.randrange(2)) % 256
            if step % 500 == 0:
                self.assertEqual(len(sessions), len(expected))
                for known in ids:
                    self.assertEqual(sessions.end_of(known), expected.get(known, (0, 0))[0])


if __name__ == "__main__":
    unittest.main()
