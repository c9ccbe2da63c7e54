"""An answer that comes faster than its client reads it: kept, so that the upstream is free."""

from proxy.exchange.exchange import Exchange
from proxy.net.spool import Spool, SpoolBudget, SpoolError

_MOST = 1 << 30  # bytes on the disk for one answer to a slow client (as nginx)


class Backlog:
    """What a slow client has yet to read of its answer.

    Attributes:
        full: True when the upstream must be stopped: the disk, or the most there may be, is full.
    """

    __slots__ = ("_exchange", "_spool", "full")

    def __init__(self, exchange: Exchange, budget: SpoolBudget, *, keep: bool) -> None:
        """Begin empty; without `keep` the upstream is to be stopped at once."""
        self._exchange = exchange
        self._spool = Spool(budget, exchange.address)
        self.full = not keep

    def put(self, data: bytes) -> None:
        """Append a piece."""
        try:
            self._spool.put(data)
        except SpoolError as error:
            self._exchange.error = error
            self.full = True
        if self._spool.file_size > _MOST:
            self.full = True

    def take(self) -> bytes:
        """Return the next piece, b"" when nothing is left.

        Raises:
            SpoolError: What was kept cannot be read back.
        """
        return self._spool.take()

    def close(self) -> None:
        """Let go of what is left."""
        self._spool.close()
