"""An upgraded connection: bytes both ways as they come, with back-pressure."""

from proxy.errors import ProxyError
from proxy.exchange.exchange import Exchange
from proxy.message.head import ResponseHead
from proxy.net.upstream_stream import UpstreamStream
from proxy.state.counters import Counters

_HALF_CLOSED = 30.0  # seconds that the other side may go on after one has closed its direction


class Tunnel:
    """Joins a client's stream and an upstream's after 101 (Switching Protocols).

    Implements `exchange.Consumer` and `upstream_stream.AnswerTaker`.
    """

    __slots__ = ("_counters", "_exchange", "_idle", "_open", "_upstream")

    def __init__(
        self, exchange: Exchange, upstream: UpstreamStream, idle: float, counters: Counters
    ) -> None:
        """Join; `idle` is the time in seconds without a byte either way that ends it."""
        self._exchange = exchange
        self._upstream = upstream
        self._idle = idle
        self._counters = counters
        self._open = True
        counters.websockets += 1
        counters.websockets_open += 1
        upstream.set_idle(idle)

    # From the client.

    def body_received(self, data: bytes) -> None:
        """Pass bytes on to the upstream."""
        upstream = self._upstream
        upstream.set_idle(self._idle)
        upstream.write_raw(data)
        if upstream.writing_paused:
            self._exchange.stream.pause_body(self._exchange)

    def body_ended(self, trailers: bytes) -> None:  # noqa: ARG002 - the face's signature
        """The client closed its direction: so do we, towards the upstream."""
        self._upstream.write_eof()
        self._idle = _HALF_CLOSED
        self._upstream.set_idle(_HALF_CLOSED)

    def client_full(self) -> None:
        """Stop reading from the upstream."""
        self._upstream.pause_reading()

    def client_ready(self) -> None:
        """Read from the upstream again."""
        self._upstream.resume_reading()

    def client_gone(self) -> None:
        """Close the upstream's side after what was written to it."""
        self._close()
        self._upstream.close_after_writing()

    def _close(self) -> None:
        if self._open:
            self._open = False
            self._counters.websockets_open -= 1

    # From the upstream.

    def answer_whole(self, head: ResponseHead, body: bytes) -> None:
        """Never comes: the answer was 101."""

    def answer_interim(self, head: ResponseHead) -> None:
        """Never comes: the answer was 101."""

    def answer_head(self, head: ResponseHead) -> None:
        """Never comes: the answer was 101."""

    def answer_body(self, data: bytes) -> None:
        """Pass bytes on to the client."""
        self._exchange.stream.send_body(self._exchange, data)

    def answer_turn(self) -> None:
        """Write what came."""
        self._exchange.stream.flush()

    def answer_end(self, trailers: bytes) -> None:
        """The upstream closed its direction: the client's side ends after what was sent."""
        self._close()
        self._upstream.close_after_writing()
        self._exchange.stream.end(self._exchange, trailers)

    def answer_lost(self, error: ProxyError) -> None:
        """The upstream is gone or was silent for too long."""
        self._close()
        self._exchange.error = error
        self._exchange.stream.abort(self._exchange)

    def upstream_full(self) -> None:
        """Stop reading from the client."""
        self._exchange.stream.pause_body(self._exchange)

    def upstream_ready(self) -> None:
        """Read from the client again."""
        self._exchange.stream.resume_body(self._exchange)
