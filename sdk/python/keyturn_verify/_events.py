"""The stream of events (HTML, "Server-sent events")."""

import codecs
import re

# The longest line and the longest data of an event, in characters.
_MAX_LENGTH = 65_536
# A return at the end may be the first half of a line's end.
_LINE_END = re.compile("\r\n|\n|\r(?!\\Z)")


class Event:
    """An event as it was received."""

    __slots__ = ("name", "data", "id")

    def __init__(self):
        self.name, self.data, self.id = "", None, None


class Events:
    """Reads events from chunks of a stream, however it is divided."""

    def __init__(self):
        self._decoder = codecs.getincrementaldecoder("utf-8")("strict")
        self._rest = ""
        self._event = Event()

    def read(self, chunk):
        """Reads a chunk of bytes. Returns the events that it ends. Raises ValueError for what is no such stream."""
        *lines, self._rest = _LINE_END.split(self._rest + self._decoder.decode(chunk))
        if len(self._rest) > _MAX_LENGTH:
            raise ValueError("a line is too long")
        events = []
        for line in lines:
            if not line:
                if self._event.data is not None:
                    events.append(self._event)
                self._event = Event()
                continue
            name, _, value = line.partition(":")
            self._field(name, value.removeprefix(" "))
        return events

    def _field(self, name, value):
        event = self._event
        if name == "event":
            event.name = value
        elif name == "id":
            event.id = value
        elif name == "data":
            event.data = value if event.data is None else f"{event.data}\n{value}"
            if len(event.data) > _MAX_LENGTH:
                raise ValueError("an event is too long")
