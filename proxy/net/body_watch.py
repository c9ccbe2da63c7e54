"""Watches over a request's body as it comes: how long, how big, how slow."""

from proxy.errors import BadRequestError
from proxy.exchange.exchange import Exchange
from proxy.policy.body_limit import too_large

_WINDOW = 60.0  # seconds over which the rate is measured


class BodyWatch:
    """One for each request with a body."""

    __slots__ = ("_bytes", "_since")

    def __init__(self, now: float) -> None:
        self._since = now
        self._bytes = 0

    def received(self, exchange: Exchange, size: int, now: float, min_rate: float) -> None:
        """Count a piece in.

        Raises:
            BadRequestError: 413 beyond the route's limit, 408 below the least rate for a whole
                window: there is no deadline for a body, since big slow uploads are legal.
        """
        exchange.received += size
        if exchange.body_limit and exchange.received > exchange.body_limit:
            raise too_large(exchange.body_limit, exchange.route)
        passed = now - self._since
        if passed < _WINDOW:
            return
        if exchange.received - self._bytes < min_rate * passed:
            raise BadRequestError("the body comes too slowly", status=408)
        self.restart(exchange, now)

    def restart(self, exchange: Exchange, now: float) -> None:
        """Begin a new window: the last one said nothing of the client, or is over."""
        self._since = now
        self._bytes = exchange.received
