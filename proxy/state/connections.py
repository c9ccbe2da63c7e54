"""How many client connections there are, in all workers together: in all, and for each address.

Every worker has a row of buckets, which it alone writes to, and an address falls into the same
bucket of every row by a keyed hash: its count is the sum over the rows. Nothing is locked, so two
workers that admit at the same instant may exceed a limit by one each.

Two addresses in one bucket share a limit. With n addresses connected, the odds that a given one
shares its bucket are about n/65536 (14 % with 10,000), and it does harm only when both together
reach the limit of one; nobody can choose whom to meet there, for the key is random.
"""

from collections.abc import Sequence
from enum import Enum
from hashlib import blake2b

from proxy.message.networks import client_key

_BUCKETS = 65536
_HIGHEST = 65535
_TOTAL_SIZE = 64  # the row's total, alone on its cache line

ROW_SIZE = _TOTAL_SIZE + 2 * _BUCKETS
"""Bytes of a worker's row."""


class Admission(Enum):
    """What becomes of a new connection."""

    OK = "ok"
    TOO_MANY = "too many connections"
    TOO_MANY_FOR_ADDRESS = "too many connections from one address"


class ConnectionTable:
    """One worker's hand on the table. Costs about 2 us a connection, and 0.1 us for each worker."""

    __slots__ = ("_buckets", "_hash_key", "_rows", "_total", "_totals")

    def __init__(self, rows: Sequence[memoryview], slot: int, hash_key: bytes) -> None:
        """Take every worker's row, which of them is this worker's, and the key all share."""
        self._totals = [row[:8].cast("Q") for row in rows]
        self._rows = [row[_TOTAL_SIZE:ROW_SIZE].cast("H") for row in rows]
        self._total = self._totals[slot]
        self._buckets = self._rows[slot]
        self._hash_key = hash_key

    def enter(self, address: str, limit: int = 0, limit_per_address: int = 0) -> Admission:
        """Count a connection in, unless it is one too many. A limit of 0 is none.

        What was admitted, and only that, must `leave` with the same address.
        """
        if limit and self.total() >= limit:
            return Admission.TOO_MANY
        bucket = self._bucket(address)
        own = self._buckets[bucket]
        if own == _HIGHEST or (limit_per_address and self._count(bucket) >= limit_per_address):
            return Admission.TOO_MANY_FOR_ADDRESS
        self._buckets[bucket] = own + 1
        self._total[0] += 1
        return Admission.OK

    def leave(self, address: str) -> None:
        """Count a connection out."""
        bucket = self._bucket(address)
        if self._buckets[bucket] and self._total[0]:
            self._buckets[bucket] -= 1
            self._total[0] -= 1

    def total(self) -> int:
        """Return how many connections all workers have."""
        return sum([total[0] for total in self._totals])

    def count(self, address: str) -> int:
        """Return how many connections all workers have with an address's bucket."""
        return self._count(self._bucket(address))

    def _count(self, bucket: int) -> int:
        return sum([row[bucket] for row in self._rows])

    def _bucket(self, address: str) -> int:
        digest = blake2b(client_key(address), digest_size=2, key=self._hash_key).digest()
        return int.from_bytes(digest)
