"""Small files in memory: bounded in bytes and entries, the least used go first.

An entry counts as true for a second after somebody looked; whoever wants it then looks again.
"""

from collections import OrderedDict
from collections.abc import Hashable

from proxy.files.finding import Sighting, Signature
from proxy.message.head import ResponseHead

TRUSTED = 1.0
"""Seconds for which what was seen is taken to be so still."""

MOST_BYTES = 32 * 1024 * 1024
"""A worker's. The static files of a site of usual size are 5 to 15 MB; what does not fit is in the
system's own cache, which all workers share."""

MOST_ENTRIES = 4096
_OVERHEAD = 2048
"""Bytes that an entry takes beside what is in its files: names and signatures."""

_ANSWER = 2048
"""Bytes that an answer takes beside its body: heads, and what is prepared of them."""


class Ready:
    """An answer ready to be sent again: with all of a file, or with nothing of it (304).

    Attributes:
        head: Its head.
        body: Its body; b"" once it has left the cache.
        until: Monotonic seconds after which it is not true any more, unless somebody looks.
    """

    __slots__ = ("_date", "_dated", "body", "head", "until")

    def __init__(self, head: ResponseHead, body: bytes, until: float) -> None:
        self.head = head
        self.body = body
        self.until = until
        self._date = b""
        self._dated = head

    def dated(self, date: bytes) -> ResponseHead:
        """Return the head with a Date field: one and the same object for as long as that holds.

        What clients are sent is prepared once for a head object.
        """
        if date is not self._date:
            head = self.head
            self._dated = dated = ResponseHead(head.status, head.reason, head.block + date)
            dated.content_length = head.content_length
            dated.dated = True
            self._date = date
        return self._dated


class Entry:
    """What is known of one small file, for one path.

    Attributes:
        name: Of the file.
        of: Its signature.
        neighbours: Those of its precompressed neighbours, by coding.
        bodies: What is in it and them, as far as anybody wanted it, by signature.
        encoded: What we made of it, by coding.
        ready: Answers, by what they depend on.
        until: As in `Ready`.
        size: Bytes that it takes; 0 once it was let go.
    """

    __slots__ = ("bodies", "encoded", "name", "neighbours", "of", "ready", "size", "until")

    def __init__(self, sighting: Sighting, until: float) -> None:
        self.name = sighting.name
        self.of = sighting.of
        self.neighbours = sighting.neighbours
        self.bodies: dict[Signature, bytes] = {}
        self.encoded: dict[str, bytes] = {}
        self.ready: dict[Hashable, Ready] = {}
        self.until = until
        self.size = _OVERHEAD

    def trust(self, until: float) -> None:
        """Take it to be true for longer: somebody looked."""
        self.until = until
        for ready in self.ready.values():
            ready.until = until

    def let_go(self) -> None:
        """Hold nothing any more, nor let anybody who holds an answer do so."""
        for ready in self.ready.values():
            ready.until = 0.0
            ready.body = b""
        self.ready.clear()
        self.bodies.clear()
        self.encoded.clear()
        self.until = 0.0
        self.size = 0


class FileCache:
    """The small files of one worker."""

    __slots__ = ("_entries", "_most_bytes", "_most_entries", "size")

    def __init__(self, most_bytes: int = MOST_BYTES, most_entries: int = MOST_ENTRIES) -> None:
        self._entries: OrderedDict[Hashable, Entry] = OrderedDict()
        self._most_bytes = most_bytes
        self._most_entries = most_entries
        self.size = 0

    def __len__(self) -> int:
        return len(self._entries)

    def get(self, key: Hashable) -> Entry | None:
        """Return the entry for a key, which counts as use."""
        entry = self._entries.get(key)
        if entry is not None:
            self._entries.move_to_end(key)
        return entry

    def seen(self, key: Hashable, sighting: Sighting, until: float) -> Entry:
        """Put in, or confirm, what somebody saw and read; a file that changed replaces its entry.

        What was seen has a body.
        """
        entry = self._entries.get(key)
        if (
            entry is not None
            and entry.of == sighting.of
            and entry.neighbours == sighting.neighbours
            and entry.name == sighting.name
        ):
            entry.trust(until)
            self._entries.move_to_end(key)
        else:
            self.drop(key)
            entry = self._entries[key] = Entry(sighting, until)
            self.size += entry.size
        if sighting.body is not None and sighting.signature not in entry.bodies:
            entry.bodies[sighting.signature] = sighting.body
            self._grow(entry, len(sighting.body))
        return entry

    def encoded(self, entry: Entry, coding: str, body: bytes) -> None:
        """Keep what was made of an entry's file."""
        if entry.size:
            entry.encoded[coding] = body
            self._grow(entry, len(body))

    def keep(self, entry: Entry, key: Hashable, ready: Ready) -> None:
        """Keep an answer with an entry, whose body is one of the entry's."""
        if not entry.size:  # it had to go meanwhile
            ready.until = 0.0
            return
        known = key in entry.ready
        entry.ready[key] = ready
        if not known:
            self._grow(entry, _ANSWER)

    def _grow(self, entry: Entry, size: int) -> None:
        entry.size += size
        self.size += size
        while self.size > self._most_bytes or len(self._entries) > self._most_entries:
            self._let_go(self._entries.popitem(last=False)[1])

    def drop(self, key: Hashable) -> None:
        """Let an entry go."""
        entry = self._entries.pop(key, None)
        if entry is not None:
            self._let_go(entry)

    def _let_go(self, entry: Entry) -> None:
        self.size -= entry.size
        entry.let_go()
