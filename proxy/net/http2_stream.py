"""One stream of a client's HTTP/2 connection: where its exchange's answer goes."""

from collections import deque
from typing import Protocol

from proxy.clock import monotonic
from proxy.errors import BadResponseError
from proxy.exchange.answer import Answer
from proxy.exchange.exchange import Exchange
from proxy.exchange.phases import Phase
from proxy.message.head import ResponseHead
from proxy.net.body_watch import BodyWatch
from proxy.net.http2_outlet import Outlet
from proxy.net.prepared import PreparedAnswer
from proxy.net.service import Service
from proxy.wire.http2_fields import encode_head, encode_trailers
from proxy.wire.http2_frames import ErrorCode
from proxy.wire.http2_server import Http2Server
from proxy.wire.http2_streams import Stream
from proxy.wire.websocket_bridge import opening

_HIGH = 128 * 1024  # bytes of an answer that wait for the client before its sender is stopped
_LOW = 32 * 1024
_FAIR = 16 * 1024  # the same, while on all streams together
_MOST = 1024 * 1024  # more than this waits
_WITHOUT_BODY = frozenset((204, 304))


class Carrier(Protocol):
    """The connection, as its streams see it."""

    machine: Http2Server
    service: Service
    outlet: Outlet

    def stream_ended(self, stream: "Http2Stream") -> None:
        """The stream's answer is out, or was cut short."""


class Http2Stream:
    """See the module's docstring. Implements `exchange.ClientStream` and `http2_outlet.Sender`.

    Attributes:
        stream: The machine's side of it.
        exchange: The one it carries.
        watch: Over the request's body, while there is one to come.
        deadline: Monotonic seconds by which more of that body must come.
        queued: Bytes of the answer's body that wait.
        over: True when nothing comes behind them, but for trailers.
        full: True while the answer's sender was told to stop.
        in_turn: True while it is among those that the connection sends from.
        gone: True once it is over, from whichever side; what is said of it then is ignored.
    """

    __slots__ = (
        "_at",
        "_bodiless",
        "_carrier",
        "_owed",
        "_pieces",
        "_stalled_at",
        "_stalled_since",
        "_trailers",
        "deadline",
        "exchange",
        "full",
        "gone",
        "in_turn",
        "over",
        "queued",
        "stream",
        "watch",
    )

    exchange: Exchange

    def __init__(self, carrier: Carrier, stream: Stream) -> None:
        self._carrier = carrier
        self.stream = stream
        self.watch: BodyWatch | None = None
        self.deadline = 0.0
        self._pieces: deque[bytes] = deque()
        self._at = 0  # bytes of the first piece that were sent
        self._owed: int | None = None  # of the length that was announced
        self._trailers = b""
        self._bodiless = False
        self._stalled_since = 0.0
        self._stalled_at = 0
        self.full = False
        self.queued = 0
        self.over = False
        self.in_turn = False
        self.gone = False

    # What handlers say.

    def send_answer(self, exchange: Exchange, answer: Answer) -> None:
        """Send a whole answer of our own."""
        if self.gone:
            return
        head = answer.head
        section = self._section(exchange, head)
        self._send_whole(exchange, head, section, answer.body)

    def send_whole(self, exchange: Exchange, head: ResponseHead, body: bytes) -> None:
        """Send head and body; what was made for a repeated head is used again."""
        if self.gone:
            return
        prepared = head.prepared
        if type(prepared) is PreparedAnswer and prepared.edit is exchange.edit and prepared.http2:
            section = prepared.http2
            exchange.status = head.status
            exchange.phase = Phase.ANSWERED
        else:
            section = self._section(exchange, head)
            if head.dated:
                if type(prepared) is not PreparedAnswer or prepared.edit is not exchange.edit:
                    prepared = head.prepared = PreparedAnswer(exchange.edit)
                prepared.http2 = section
        self._send_whole(exchange, head, section, body)

    def _section(self, exchange: Exchange, head: ResponseHead) -> bytes:
        fields = self._carrier.service.answer_fields(exchange, head)
        length = None if head.status == 204 else head.content_length  # RFC 9110, 8.6
        return encode_head(head.status, fields, length)

    def _send_whole(
        self, exchange: Exchange, head: ResponseHead, section: bytes, body: bytes
    ) -> None:
        carrier = self._carrier
        machine = carrier.machine
        stream = self.stream
        if head.status in _WITHOUT_BODY or exchange.head.method == "HEAD":
            body = b""
        exchange.sent = len(body)
        made = machine.headers(stream.number, section, end=not body)
        if not body or len(body) <= machine.room(stream):
            carrier.outlet.write(made + machine.data(stream, body, end=True) if body else made)
            carrier.stream_ended(self)
            return
        carrier.outlet.write(made)
        self._queue(body)
        self._finish()

    def _finish(self) -> None:
        """All of the answer is here; what still comes of the request is of no use to anybody."""
        self.over = True
        self.watch = None
        self._carrier.outlet.send_soon(self)

    def send_interim(self, exchange: Exchange, head: ResponseHead) -> None:  # noqa: ARG002 - the face's signature
        """Pass a 1xx head on."""
        if self.gone:
            return
        section = encode_head(head.status, head.block, None)
        carrier = self._carrier
        carrier.outlet.write(carrier.machine.headers(self.stream.number, section, end=False))

    def send_head(self, exchange: Exchange, head: ResponseHead) -> None:
        """Begin the answer."""
        if self.gone:
            return
        section = self._section(exchange, head)
        self._bodiless = head.status in _WITHOUT_BODY or exchange.head.method == "HEAD"
        self._owed = None if self._bodiless else head.content_length
        carrier = self._carrier
        made = carrier.machine.headers(self.stream.number, section, end=self._bodiless)
        carrier.outlet.write(made)

    def send_body(self, exchange: Exchange, data: bytes) -> None:
        """Send a piece of the body."""
        if not data or self._bodiless or self.gone:
            return
        if self._owed is not None:
            if len(data) > self._owed:  # a body of another length is malformed (RFC 9113, 8.1.1)
                data = data[: self._owed]
            self._owed -= len(data)
        exchange.sent += len(data)
        self._queue(data)

    def _queue(self, data: bytes) -> None:
        self._pieces.append(data)
        self.queued += len(data)
        self._carrier.outlet.queued += len(data)

    def end(self, exchange: Exchange, trailers: bytes) -> None:
        """End the answer."""
        if self.gone:
            return
        if self._bodiless:
            self._carrier.stream_ended(self)
            return
        if self._owed:
            self.abort(exchange)
            return
        self._trailers = trailers
        self._finish()

    def flush(self) -> None:
        """Send what waits, as far as the client lets us."""
        if not self.queued or self.gone:
            return
        outlet = self._carrier.outlet
        outlet.send_soon(self)
        high = _HIGH if outlet.queued <= _MOST else _FAIR
        if self.queued > high and not self.full and not self.gone:
            self.full = True
            consumer = self.exchange.consumer
            if consumer is not None:
                consumer.client_full()

    def abort(self, exchange: Exchange) -> None:  # noqa: ARG002 - the face's signature
        """Cut the answer short so that the client sees it."""
        if self.gone:
            return
        carrier = self._carrier
        carrier.outlet.write(carrier.machine.reset(self.stream.number, ErrorCode.INTERNAL_ERROR))
        carrier.stream_ended(self)

    def switch(self, exchange: Exchange, head: ResponseHead) -> None:
        """Open a WebSocket: what the client sends from now on is its own (RFC 8441, 5)."""
        if self.gone:
            return
        carrier = self._carrier
        try:
            opened = opening(exchange.added, head)
        except BadResponseError as error:
            carrier.service.fail(exchange, error)
            return
        section = self._section(exchange, opened)
        self.stream.switched = True
        carrier.outlet.write(carrier.machine.headers(self.stream.number, section, end=False))

    def pause_body(self, exchange: Exchange) -> None:  # noqa: ARG002 - the face's signature
        """Let the client send no more than its window still allows."""
        self._carrier.machine.pause(self.stream.number)

    def resume_body(self, exchange: Exchange) -> None:
        """Let it send again; the time in which it could not was none of its slowness."""
        carrier = self._carrier
        if self.watch is not None and self.stream.paused:
            now = monotonic()
            self.watch.restart(exchange, now)
            self.deadline = now + carrier.service.timeouts.body_idle
        carrier.machine.resume(self.stream.number)
        carrier.outlet.write(b"")

    # What the connection does.

    def next_frame(self, room: int) -> bytes:
        """Return the next frame of the answer, which fits into `room`; the last one ends it."""
        machine = self._carrier.machine
        data = self._take(room)
        if not self.over or self.queued:
            return machine.data(self.stream, data, end=False)
        if not self._trailers:
            return machine.data(self.stream, data, end=True)
        made = machine.data(self.stream, data, end=False) if data else b""
        return made + machine.headers(self.stream.number, encode_trailers(self._trailers), end=True)

    def _take(self, room: int) -> bytes | memoryview:
        """Return up to `room` bytes of what is queued."""
        pieces = self._pieces
        taken: list[bytes | memoryview] = []
        size = 0
        while pieces and size < room:
            piece: bytes | memoryview = pieces[0]
            begin, end = self._at, self._at + room - size
            if end < len(piece):
                self._at = end
            else:
                self._at = 0
                pieces.popleft()
            if begin or end < len(piece):
                piece = memoryview(piece)[begin:end]
            size += len(piece)
            taken.append(piece)
        self.queued -= size
        self._carrier.outlet.queued -= size
        return taken[0] if len(taken) == 1 else b"".join(taken)

    def all_sent(self) -> None:
        """The last frame is on its way."""
        self._carrier.stream_ended(self)

    def stalled(self, now: float, limit: float, least: float) -> bool:
        """Say whether the client's window let less than `least` bytes through in `limit` seconds.

        To be asked again and again. A window opened byte by byte is one that stays shut.
        """
        left = self.exchange.sent - self.queued
        if not self.queued or self._carrier.machine.room(self.stream):
            self._stalled_since = 0.0
        elif not self._stalled_since:
            self._stalled_since = now
            self._stalled_at = left
        elif now - self._stalled_since > limit:
            if left - self._stalled_at < least:
                return True
            self._stalled_since = now
            self._stalled_at = left
        return False

    def caught_up(self) -> None:
        """Let the answer's sender go on once little of it waits."""
        low = _LOW if self._carrier.outlet.queued <= _MOST else 0
        if self.full and self.queued <= low and not self.gone:
            self.full = False
            consumer = self.exchange.consumer
            if consumer is not None:
                consumer.client_ready()
