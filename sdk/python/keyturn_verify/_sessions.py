"""The revoked sessions, a million in some 45 MB: a table of numbers, with open addressing and linear probing. It is made
of parts that grow by themselves, so that growing never needs the whole table twice."""

from array import array

_PARTS = 64
_SMALLEST = 64
_MASK = (1 << 64) - 1
_MOST = (1 << 32) - 1


class _Part:
    __slots__ = ("mask", "used", "highs", "lows", "ends", "snapshots")

    def __init__(self, places):
        self.mask = places - 1
        self.used = 0
        # The halves of the ids.
        self.highs = array("Q", bytes(8 * places))
        self.lows = array("Q", bytes(8 * places))
        # The second of the end of each entry, 0 for a free place, and the snapshot in which it was seen last.
        self.ends = array("I", bytes(4 * places))
        self.snapshots = array("B", bytes(places))

    def find(self, high, low):
        """Returns the place of an id, or the free one in which it would be."""
        highs, lows, ends, mask = self.highs, self.lows, self.ends, self.mask
        # The last bytes of a UUID are random in every version that is used for ids; the last six bits chose the part.
        place = (low >> 6 ^ low >> 32) & mask
        while ends[place] and (lows[place] != low or highs[place] != high):
            place = (place + 1) & mask
        return place

    def set(self, high, low, end, snapshot):
        place = self.find(high, low)
        self.snapshots[place] = snapshot
        if self.ends[place]:
            self.ends[place] = max(self.ends[place], end)
            return
        self.highs[place] = high
        self.lows[place] = low
        # Last, since a reader in another thread looks at it first.
        self.ends[place] = end
        self.used += 1

    def rebuilt(self, is_kept):
        """Returns a part with those entries that are to be kept, and room for one more at least."""
        entries = zip(self.highs, self.lows, self.ends, self.snapshots, strict=True)
        kept = [entry for entry in entries if entry[2] and is_kept(entry[2], entry[3])]
        places = _SMALLEST
        while len(kept) + 1 > places * 3 // 4:
            places *= 2
        part = _Part(places)
        for entry in kept:
            part.set(*entry)
        return part


class Sessions:
    """A table of revoked sessions, by their ids as integers. One thread writes at a time; any may read."""

    def __init__(self):
        self._parts = [_Part(_SMALLEST) for _ in range(_PARTS)]

    def add(self, sid, end, snapshot):
        """Adds a session, until the second `end` at least."""
        low = sid & _MASK
        which = low % _PARTS
        part = self._parts[which]
        if part.used + 1 > (part.mask + 1) * 3 // 4:
            part = self._parts[which] = part.rebuilt(lambda end, seen: True)
        part.set(sid >> 64, low, min(max(end, 1), _MOST), snapshot)

    def end_of(self, sid):
        """Returns the second of the end of a session's entry, 0 if there is none."""
        low = sid & _MASK
        part = self._parts[low % _PARTS]
        return part.ends[part.find(sid >> 64, low)] if part.used else 0

    def remove(self, now, snapshot=None):
        """Removes those that have ended by the second `now`, and, if a snapshot is given, those of others."""
        for which, part in enumerate(self._parts):
            if part.used:
                self._parts[which] = part.rebuilt(
                    lambda end, seen: end > now and (snapshot is None or seen == snapshot)
                )

    def __len__(self):
        return sum(part.used for part in self._parts)
