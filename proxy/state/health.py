"""Which servers answer their health checks: written by the keeper, read by every worker.

The board is a hash table of fixed size. A key is kept as a 64-bit fingerprint and lives in one of
the eight places of its shelf; where a shelf is full a server stays without a verdict, and so in
use. With 100 servers the odds of that, and of two with one fingerprint, are below 1 in 10**9.
"""

from collections.abc import Iterable
from hashlib import blake2b

_SHELVES = 512
_PLACES = 8  # to a shelf
_UP, _DOWN = 1, 2
_MOST_REMEMBERED = 4 * _SHELVES * _PLACES

SIZE = _SHELVES * _PLACES * 16
"""Bytes of the board: for every place a fingerprint (0: free) and a verdict."""


class HealthBoard:
    """The verdicts. One process may `set`, any may `get`."""

    __slots__ = ("_hash_key", "_remembered", "_words", "memory")

    def __init__(self, memory: memoryview, hash_key: bytes) -> None:
        """Take `SIZE` bytes shared by all, zeros at first, and a key that all share."""
        self.memory = memory
        self._words = memory.cast("Q")
        self._hash_key = hash_key
        self._remembered: dict[str, tuple[int, int]] = {}

    @staticmethod
    def key(pool: str, url: str, address: str) -> str:
        """Return the name of a verdict: one address of one server in one pool."""
        return f"{pool} {url} {address}"

    def get(self, key: str) -> bool | None:
        """Return the verdict: up, down, or None while there is none.

        Costs about 0.2 us once the key has been seen.
        """
        place, fingerprint = self._remembered.get(key) or self._look_up(key)
        words = self._words
        if words[place] != fingerprint:
            place = self._find(fingerprint)
            if place < 0:
                return None
            self._remembered[key] = (place, fingerprint)
        return words[place + 1] == _UP

    def set(self, key: str, up: bool) -> bool:  # noqa: FBT001 - the verdict, not a switch
        """Put up a verdict. Returns False where there is no place for it."""
        fingerprint = self._fingerprint(key)
        place = self._find(fingerprint)
        if place < 0:
            place = self._find(0, fingerprint)
            if place < 0:
                return False
        # The fingerprint comes last: whoever finds it finds the verdict.
        self._words[place + 1] = _UP if up else _DOWN
        self._words[place] = fingerprint
        return True

    def keep_only(self, keys: Iterable[str]) -> None:
        """Take down every verdict but those of `keys`: servers and addresses come and go."""
        kept = {self._fingerprint(key) for key in keys}
        words = self._words
        for place in range(0, len(words), 2):
            if words[place] and words[place] not in kept:
                words[place] = 0

    def _look_up(self, key: str) -> tuple[int, int]:
        fingerprint = self._fingerprint(key)
        if len(self._remembered) >= _MOST_REMEMBERED:
            self._remembered.clear()
        found = self._remembered[key] = (self._shelf(fingerprint), fingerprint)
        return found

    def _find(self, wanted: int, shelf_of: int = 0) -> int:
        """Return the place that holds `wanted`, on the shelf of a fingerprint, or -1."""
        first = self._shelf(shelf_of or wanted)
        for place in range(first, first + 2 * _PLACES, 2):
            if self._words[place] == wanted:
                return place
        return -1

    @staticmethod
    def _shelf(fingerprint: int) -> int:
        return fingerprint % _SHELVES * _PLACES * 2

    def _fingerprint(self, key: str) -> int:
        digest = blake2b(key.encode(), digest_size=8, key=self._hash_key).digest()
        return int.from_bytes(digest) or 1
