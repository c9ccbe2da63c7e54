"""One request on an HTTP/2 connection to an upstream, and its answer's way back."""

import math
from collections import deque
from typing import Protocol

from proxy.clock import monotonic
from proxy.errors import ProxyError, UpstreamError
from proxy.exchange.exchange import Exchange
from proxy.message.head import ResponseHead
from proxy.net.channel import Channel
from proxy.net.http1_request import request_head
from proxy.net.upstream_stream import AnswerTaker
from proxy.routing.route import ProxyPlan
from proxy.upstream.peer import Peer
from proxy.wire.http2_answer import trailer_fields
from proxy.wire.http2_client import Http2Client

_HIGH = 64 * 1024  # bytes of a body that wait for the upstream before its sender is stopped
_LOW = 16 * 1024
_WITHOUT_BODY = frozenset((204, 304))


class StreamOwner(Protocol):
    """The pool, as a stream sees it."""

    def stream_answering(self, peer: Peer) -> None:
        """The head of an answer came: its peer works."""


class Carrier(Protocol):
    """The connection, as its streams see it."""

    channel: Channel
    machine: Http2Client
    peer: Peer

    @property
    def owner(self) -> StreamOwner:
        """The pool."""

    def write(self) -> None:
        """Put on the wire what the machine has to say."""

    def begin(self, stream: "Http2UpstreamStream", raw: bytes, *, ended: bool) -> None:
        """Send a request's head."""

    def send_soon(self, stream: "Http2UpstreamStream") -> None:
        """Send what a stream has, as windows and other streams allow."""

    def set_deadline(self, when: float) -> None:
        """Be woken at `when`, or before."""

    def over(self, stream: "Http2UpstreamStream", *, answered: bool) -> None:
        """The stream's request is over."""


class Http2UpstreamStream:
    """See the module's docstring. Implements `UpstreamStream`.

    Attributes:
        number: The stream's, once the head is out; 0 before.
        reused: True when its connection answered a request before, or did not look at this one:
            then its end says nothing of the server.
        writing_paused: True while the upstream reads too slowly.
        answer_began: True when any part of an answer has come.
        in_turn: True while it is among those that the connection sends from.
        gone: True once it is over, from whichever side.
    """

    __slots__ = (
        "_carrier",
        "_deadline",
        "_exchange",
        "_fresh",
        "_held",
        "_idle",
        "_over",
        "_paused",
        "_pieces",
        "_plan",
        "_queued",
        "_sent",
        "_stalled",
        "_taker",
        "_trailers",
        "answer_began",
        "gone",
        "in_turn",
        "number",
        "reused",
        "writing_paused",
    )

    def __init__(self, carrier: Carrier, *, fresh: bool, reused: bool) -> None:
        self._carrier = carrier
        self._fresh = fresh
        self._taker: AnswerTaker | None = None
        self._exchange: Exchange | None = None
        self._plan: ProxyPlan | None = None
        self._pieces: deque[bytes] = deque()
        self._queued = 0
        self._trailers = b""
        self._over = False  # nothing comes behind what is queued
        self._sent = False  # the request is out
        self._deadline = math.inf  # of the answer
        self._stalled = math.inf  # when a body that the upstream does not take is given up
        self._idle = math.inf
        self._paused = False
        self._held = 0  # bytes that came while paused: the window does not open for them
        self.number = 0
        self.reused = reused
        self.writing_paused = False
        self.answer_began = False
        self.in_turn = False
        self.gone = False

    @property
    def peer(self) -> Peer:
        """Whom it leads to."""
        return self._carrier.peer

    # What a request does with it.

    def hold(self, taker: AnswerTaker, exchange: Exchange, plan: ProxyPlan) -> None:
        """Give the stream to a request that is about to be sent."""
        self._taker = taker
        self._exchange = exchange
        self._plan = plan
        self._idle = plan.idle_timeout

    def hand_over(self, taker: AnswerTaker) -> None:
        """Give a running answer to somebody else."""
        self._taker = taker

    def send_head(self, length: int | None) -> None:
        """Send the request's head; with `length` None the body's framing is the client's own."""
        exchange, plan = self._exchange, self._plan
        if exchange is None or plan is None or self.gone:
            return
        self._over = length is None and not exchange.head.has_body
        self._sent = self._over
        self._carrier.begin(self, request_head(exchange, plan, length), ended=self._over)

    def send_body(self, data: bytes) -> None:
        """Send a piece of the body."""
        if not data or self.gone or self._over:
            return
        self._pieces.append(data)
        self._queued += len(data)
        self._carrier.send_soon(self)
        self.look_at_queue()

    def end_body(self, trailers: bytes) -> None:
        """The request is out; from now on the answer's head is waited for, if it has not come."""
        plan = self._plan
        if self.gone or plan is None:
            return
        if not self._over:
            self._over = True
            # Applications' servers may merge trailers into the head (RFC 9110, 6.5.2).
            self._trailers = plan.request_edit.cut(trailers) if trailers else b""
            self._carrier.send_soon(self)
        if self._deadline == math.inf and not self._paused and not self.gone:
            self._set(monotonic() + plan.response_timeout)

    def write_raw(self, data: bytes) -> None:
        """Send bytes after an upgrade, which HTTP/2 does not have."""
        self.send_body(data)

    def write_eof(self) -> None:
        """Close our direction after an upgrade."""
        self.end_body(b"")

    def set_idle(self, seconds: float) -> None:
        """Set how long may pass from now on without a byte."""
        self._idle = seconds
        if not self._paused:
            self._set(monotonic() + seconds)

    def pause_reading(self) -> None:
        """Let the upstream send no more than its window allows; nothing times out meanwhile."""
        self._paused = True
        self._deadline = math.inf

    def resume_reading(self) -> None:
        """Open the window again."""
        if not self._paused or self.gone:
            return
        self._paused = False
        self._set(monotonic() + self._idle)
        held, self._held = self._held, 0
        self._carrier.machine.consumed(self.number, held)
        self._carrier.write()

    def drop(self) -> None:
        """Give the request up; the connection goes on."""
        if not self.gone:
            self._cancel()
            self._finish(answered=False)

    def close_after_writing(self) -> None:
        """End it; there is no upgrade whose bytes would have to go out."""
        self.drop()

    def give_back(self) -> None:
        """Nobody wanted it."""
        self._finish(answered=False)

    # What the connection does.

    @property
    def due(self) -> float:
        """When it has taken too long."""
        return min(self._deadline, self._stalled)

    @property
    def waits(self) -> bool:
        """True while something is still to be sent."""
        return not self.gone and not self._sent and (self._queued > 0 or self._over)

    def send_frame(self) -> bool:
        """Send one frame of what waits; return whether something was sent and more waits."""
        machine = self._carrier.machine
        if not self.waits or not machine.carries(self.number):
            return False
        if self._queued:
            room = machine.window(self.number)
            if not room:
                return False
            data = self._take(room)
            self._sent = self._over and not self._queued and not self._trailers
            machine.data(self.number, data, end=self._sent)
            self._stalled = math.inf
        if self._over and not self._queued and not self._sent:
            self._sent = True
            if self._trailers:
                machine.trailers(self.number, trailer_fields(self._trailers))
            else:
                machine.data(self.number, b"", end=True)
        return self.waits

    def _take(self, room: int) -> bytes:
        """Return up to `room` bytes of what is queued."""
        pieces = self._pieces
        taken: list[bytes] = []
        while pieces and room:
            piece = pieces.popleft()
            if len(piece) > room:
                pieces.appendleft(piece[room:])
                piece = piece[:room]
            room -= len(piece)
            self._queued -= len(piece)
            taken.append(piece)
        return taken[0] if len(taken) == 1 else b"".join(taken)

    def look_at_queue(self) -> None:
        """Stop the body's sender, or let it go on."""
        taker = self._taker
        if taker is None or self.gone:
            return
        if self._queued and self._stalled == math.inf:
            self._stalled = monotonic() + self._idle
            self._carrier.set_deadline(self._stalled)
        busy = self._carrier.channel.writing_paused
        if not self.writing_paused:
            if self._queued > _HIGH or (busy and self._queued):
                self.writing_paused = True
                taker.upstream_full()
        elif self._queued <= _LOW and not busy:
            self.writing_paused = False
            taker.upstream_ready()

    def take_head(self, head: ResponseHead, *, ended: bool) -> None:
        """Take a head, 1xx or final."""
        taker = self._taker
        self.answer_began = True
        if taker is None:
            return
        if head.status < 200:
            taker.answer_interim(head)
            return
        self._carrier.owner.stream_answering(self.peer)
        self._touch()
        if not ended:
            taker.answer_head(head)
            return
        method = self._exchange.head.method if self._exchange is not None else ""
        self._cancel_rest()
        self._finish(answered=True)
        if method == "HEAD" or head.status in _WITHOUT_BODY:
            taker.answer_head(head)
            taker.answer_end(b"")
        else:  # an answer of trailers alone (gRPC) stays one
            taker.answer_whole(head, b"")

    def take_body(self, data: bytes, size: int) -> None:
        """Take a piece of the body."""
        if self._taker is None:
            return
        self._touch()
        self._taker.answer_body(data)
        if self._paused:
            self._held += size
        elif not self.gone:
            self._carrier.machine.consumed(self.number, size)

    def turn(self) -> None:
        """What one read brought has been told."""
        if self._taker is not None and not self.gone:
            self._taker.answer_turn()

    def take_end(self, trailers: bytes) -> None:
        """The answer is whole."""
        taker = self._taker
        self._cancel_rest()
        self._finish(answered=True)
        if taker is not None:
            taker.answer_end(trailers)

    def take_lost(self, error: ProxyError) -> None:
        """No more of an answer will come."""
        if self.gone:
            return
        taker = self._taker
        self.reused = self.reused or (error.retry and not self._fresh)
        self._finish(answered=False)
        if taker is not None:
            taker.answer_lost(error)

    def time_out(self) -> None:
        """The upstream took too long."""
        self._cancel()
        self.take_lost(UpstreamError(504, "no answer in time"))

    def _touch(self) -> None:
        if not self._paused:
            self._set(monotonic() + self._idle)

    def _set(self, when: float) -> None:
        self._deadline = when
        self._carrier.set_deadline(when)

    def _cancel_rest(self) -> None:
        """Of a request that was answered early the rest is not sent (RFC 9113, 8.1)."""
        if not self._sent:
            self._cancel()

    def _cancel(self) -> None:
        if self.number and not self._carrier.channel.closing:
            self._carrier.machine.reset(self.number)
            self._carrier.write()

    def _finish(self, *, answered: bool) -> None:
        self.gone = True
        self._taker = None
        self._exchange = None
        self._plan = None
        self._pieces.clear()
        self._queued = 0
        self._deadline = self._stalled = math.inf
        self._carrier.over(self, answered=answered)
