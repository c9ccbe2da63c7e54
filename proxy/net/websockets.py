"""The open WebSockets of a worker: how many there may be over all workers, and their common end."""

from typing import Protocol

from proxy.errors import BadRequestError, Fault, ProxyError
from proxy.routing.route import Limits
from proxy.state.connections import Admission, ConnectionTable
from proxy.state.counters import Counters


class Open(Protocol):
    """A WebSocket, as far as its worker minds it."""

    def go_away(self) -> None:
        """Tell both ends that this worker ends, and end when they have answered."""


class WebSockets:
    """Admits WebSockets and counts them, for HTTP/1.1 and HTTP/2 alike.

    Attributes:
        counters: What the worker counts.
        limits: Those in force.
    """

    __slots__ = ("_open", "_table", "counters", "limits")

    def __init__(self, counters: Counters, table: ConnectionTable) -> None:
        """Begin with none; `table` is the one that all workers count in."""
        self.counters = counters
        self.limits = Limits()
        self._table = table
        self._open: dict[Open, str | None] = {}

    def __len__(self) -> int:
        """Return how many there are in this worker."""
        return len(self._open)

    def refusal(self, address: str) -> ProxyError | None:
        """Say why a client cannot have one more, or None."""
        limits = self.limits
        if limits.websockets and self._table.total() >= limits.websockets:
            return ProxyError(503, Fault.PROXY, "too many WebSockets")
        each = limits.websockets_per_ip
        if each and self._table.count(address) >= each:
            return BadRequestError(
                f"more than {each} WebSockets of {address}",
                status=429,
                public="Too many WebSockets from your address.",
            )
        return None

    def enter(self, websocket: Open, address: str) -> None:
        """Count one in."""
        counted = self._table.enter(address) is Admission.OK  # else its count could go no higher
        self._open[websocket] = address if counted else None
        self.counters.websockets += 1
        self.counters.websockets_open += 1

    def leave(self, websocket: Open) -> None:
        """Count one out; further calls do nothing."""
        if websocket not in self._open:
            return
        address = self._open.pop(websocket)
        self.counters.websockets_open -= 1
        if address is not None:
            self._table.leave(address)

    def go_away(self) -> None:
        """Have all of them end."""
        for websocket in tuple(self._open):
            websocket.go_away()
