"""An upgraded connection: bytes both ways as they come, with back-pressure, for as long as it takes."""

import math

from proxy.clock import monotonic
from proxy.errors import ProxyError
from proxy.exchange.exchange import Exchange
from proxy.message.head import ResponseHead
from proxy.net.upstream_connection import UpstreamConnection

_HALF_CLOSED = 30.0  # seconds that the other side may go on after one has closed its direction


class Tunnel:
    """Joins a client's stream and an upstream's connection after 101 (Switching Protocols).

    Implements `exchange.Consumer` and `upstream_connection.Holder`.
    """

    __slots__ = ("_connection", "_exchange", "_idle", "_on_end")

    def __init__(self, exchange: Exchange, connection: UpstreamConnection, idle: float) -> None:
        """Join; `idle` is the time in seconds without a byte either way that ends it."""
        self._exchange = exchange
        self._connection = connection
        self._idle = idle
        connection.set_idle(idle)
        self._moved()

    def _moved(self) -> None:
        self._connection.set_deadline(monotonic() + self._idle)

    # From the client.

    def body_received(self, data: bytes) -> None:
        """Pass bytes on to the upstream."""
        self._moved()
        self._connection.write(data)
        if self._connection.writing_paused:
            self._exchange.stream.pause_body()

    def body_ended(self, trailers: bytes) -> None:  # noqa: ARG002 - the face's signature
        """The client closed its direction: so do we, towards the upstream."""
        self._connection.write_eof()
        self._idle = _HALF_CLOSED
        self._connection.set_idle(_HALF_CLOSED)
        self._moved()

    def client_full(self) -> None:
        """Stop reading from the upstream."""
        self._connection.pause_reading()

    def client_ready(self) -> None:
        """Read from the upstream again."""
        self._connection.resume_reading()

    def client_gone(self) -> None:
        """Close the upstream's connection after what was written to it."""
        self._connection.set_deadline(math.inf)
        self._connection.finish_and_close()

    # From the upstream.

    def answer_whole(self, head: ResponseHead, body: bytes) -> None:
        """Never comes: the answer was 101."""

    def answer_interim(self, head: ResponseHead) -> None:
        """Never comes: the answer was 101."""

    def answer_head(self, head: ResponseHead) -> None:
        """Never comes: the answer was 101."""

    def answer_body(self, data: bytes) -> None:
        """Pass bytes on to the client."""
        self._moved()
        self._exchange.stream.send_body(data)

    def answer_turn(self) -> None:
        """Write what came."""
        self._exchange.stream.flush()

    def answer_end(self, trailers: bytes) -> None:
        """The upstream closed its direction: the client's connection ends after what was sent."""
        self._connection.finish_and_close()
        self._exchange.stream.end(trailers)

    def answer_lost(self, error: ProxyError) -> None:
        """The upstream is gone or was silent for too long."""
        self._exchange.error = error
        self._exchange.stream.abort()

    def upstream_full(self) -> None:
        """Stop reading from the client."""
        self._exchange.stream.pause_body()

    def upstream_ready(self) -> None:
        """Read from the client again."""
        self._exchange.stream.resume_body()
