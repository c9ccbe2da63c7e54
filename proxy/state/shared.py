"""The memory that the supervisor makes before it forks, and what each process holds of it.

It is anonymous: it has no name that could be left behind, and goes with the last process that
inherited it.
"""

import mmap
import secrets

from proxy.state import connections, counters, health
from proxy.state.buckets import BucketTable
from proxy.state.connections import ConnectionTable
from proxy.state.counters import Counters
from proxy.state.health import HealthBoard


class WorkerShare:
    """What one worker may write to.

    Attributes:
        counters: Its figures; publish them once a second.
        connections: Admits and counts client connections.
        websockets: Counts WebSockets in the same way.
        health: The verdicts of the keeper, to read.
        buckets: Of the rate limits.
    """

    __slots__ = ("buckets", "connections", "counters", "health", "websockets")

    def __init__(
        self,
        counters: Counters,
        connections: ConnectionTable,
        websockets: ConnectionTable,
        health: HealthBoard,
        buckets: BucketTable,
    ) -> None:
        self.buckets = buckets
        self.counters = counters
        self.connections = connections
        self.websockets = websockets
        self.health = health


class SharedState:
    """All shared figures. Made once, before the first fork; of a size that never changes.

    A slot belongs to one live process at a time. Where a worker is replaced while it drains, its
    successor needs another slot.

    Attributes:
        workers: How many slots there are.
        health: For the keeper, who alone may write to it, and for whoever reads.
        buckets: Of the rate limits; what is compiled with them shares them.
    """

    __slots__ = (
        "_connection_rows",
        "_counter_rows",
        "_hash_key",
        "_websocket_rows",
        "buckets",
        "health",
        "workers",
    )

    def __init__(
        self, memory: memoryview, workers: int, hash_key: bytes, buckets: BucketTable
    ) -> None:
        """Lay the tables out in `memory`, as many zeros as `size` says. Use `create`."""
        self.workers = workers
        self.buckets = buckets
        self._hash_key = hash_key
        self._counter_rows, rest = _rows(memory, workers, counters.ROW_SIZE)
        self._connection_rows, rest = _rows(rest, workers, connections.ROW_SIZE)
        self._websocket_rows, rest = _rows(rest, workers, connections.ROW_SIZE)
        self.health = HealthBoard(rest[: health.SIZE], hash_key)

    @classmethod
    def create(cls, workers: int, buckets: BucketTable | None = None) -> "SharedState":
        """Return zeroed tables for so many workers: 256 KB for each, 64 KB for the health board.

        Pages that nobody writes to take no memory.

        Args:
            workers: How many slots there are to be.
            buckets: Those that the program to be served was compiled with; None for new ones.

        Raises:
            OSError: There is no memory.
        """
        size = workers * (counters.ROW_SIZE + 2 * connections.ROW_SIZE) + health.SIZE
        memory = memoryview(mmap.mmap(-1, size))
        return cls(memory, workers, secrets.token_bytes(32), buckets or BucketTable.create())

    def worker(self, slot: int) -> WorkerShare:
        """Return a slot's share. To be called in the process that is to write to it."""
        figures = Counters(self._counter_rows[slot])
        self.buckets.figures = figures
        return WorkerShare(
            figures,
            ConnectionTable(self._connection_rows, slot, self._hash_key),
            ConnectionTable(self._websocket_rows, slot, self._hash_key),
            HealthBoard(self.health.memory, self._hash_key),
            self.buckets,
        )

    def clear(self, slot: int) -> None:
        """Take back a dead worker's connections, WebSockets and gauges. Its counts stay.

        To be called once the process has been reaped, before another gets the slot.
        """
        counters.clear_gauges(self._counter_rows[slot])
        for row in (self._connection_rows[slot], self._websocket_rows[slot]):
            row[:] = bytes(len(row))

    def totals(self) -> dict[str, int]:
        """Return every figure by name, summed over the workers, as last published."""
        rows = self.per_worker()
        return {name: sum(row[name] for row in rows) for name in counters.NAMES}

    def per_worker(self) -> list[dict[str, int]]:
        """Return every figure by name, for each slot."""
        return [counters.read_row(row) for row in self._counter_rows]


def _rows(memory: memoryview, count: int, size: int) -> tuple[list[memoryview], memoryview]:
    """Return `count` rows of `size` bytes, and the memory behind them."""
    rows = [memory[at : at + size] for at in range(0, count * size, size)]
    return rows, memory[count * size :]
