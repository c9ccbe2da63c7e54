"""One HTTP/1.1 connection to an upstream: carries one request after the other."""

import math
from typing import Protocol

from proxy.clock import monotonic
from proxy.errors import BadResponseError, ProxyError, UpstreamError
from proxy.exchange.exchange import Exchange
from proxy.message.head import ResponseHead
from proxy.net.channel import Channel
from proxy.net.http1_request import request_head
from proxy.net.upstream_stream import AnswerTaker
from proxy.routing.route import ProxyPlan
from proxy.upstream.peer import Peer
from proxy.wire.events import MessageEnd
from proxy.wire.http1_body import chunk, last_chunk
from proxy.wire.http1_client import Http1Client, Reading


class Owner(Protocol):
    """The pool a connection belongs to."""

    def answering(self, connection: "UpstreamConnection") -> None:
        """The head of an answer came: its peer works."""

    def release(self, connection: "UpstreamConnection") -> None:
        """Take back a connection whose answer is whole."""

    def given_up(self, connection: "UpstreamConnection") -> None:
        """A connection's request was given up; the connection is being closed."""

    def lost(self, connection: "UpstreamConnection", *, active: bool) -> None:
        """A connection is gone; `active` if it carried a request."""


class UpstreamConnection:
    """See the module's docstring. Implements `channel.Session` and `UpstreamStream`.

    Attributes:
        peer: Whom it leads to.
        used: Requests it carried before the present one.
        idle_since: Monotonic seconds since when it is free.
        expires: When a free one is to be closed.
        keep_alive_timeout: What the upstream's last Keep-Alive field said, in seconds, or None.
    """

    __slots__ = (
        "_active",
        "_channel",
        "_chunked",
        "_exchange",
        "_idle",
        "_machine",
        "_owner",
        "_plan",
        "_raw",
        "_sent",
        "_taker",
        "expires",
        "idle_since",
        "keep_alive_timeout",
        "peer",
        "used",
    )

    def __init__(self, channel: Channel, peer: Peer, owner: Owner) -> None:
        self._channel = channel
        self._owner = owner
        self._machine = Http1Client()
        self._taker: AnswerTaker | None = None
        self._exchange: Exchange | None = None
        self._plan: ProxyPlan | None = None
        self._idle = math.inf
        self._chunked = False
        self._sent = True  # nothing is owed on a fresh connection
        self._active = False
        self._raw = False  # upgraded: what comes is no answer's
        self.peer = peer
        self.used = 0
        self.idle_since = 0.0
        self.expires = math.inf
        self.keep_alive_timeout: float | None = None

    # What a request does with it.

    @property
    def reused(self) -> bool:
        """True when it carried a request before."""
        return self.used > 0

    @property
    def writing_paused(self) -> bool:
        """True while the upstream reads too slowly."""
        return self._channel.writing_paused

    @property
    def answer_began(self) -> bool:
        """True when any byte of an answer has come."""
        return self._machine.began

    def hold(self, taker: AnswerTaker, exchange: Exchange, plan: ProxyPlan) -> None:
        """Give the connection to a request that is about to be sent."""
        head = exchange.head
        self._taker = taker
        self._exchange = exchange
        self._plan = plan
        self._idle = plan.idle_timeout
        self._sent = False
        self._active = True
        self._machine.expect(head.method, upgrade=bool(head.upgrade))

    def hand_over(self, taker: AnswerTaker) -> None:
        """Give an upgraded connection to whoever carries on with it.

        It carries no request any more, so its place is free for one: WebSockets that stay for
        hours would else keep all requests from an upstream.
        """
        self._taker = taker
        self._raw = True
        self._active = False
        self._owner.given_up(self)

    def send_head(self, length: int | None) -> None:
        """Send the request's head; with `length` None the body's framing is the client's own."""
        exchange, plan = self._exchange, self._plan
        if exchange is None or plan is None:
            return
        self._chunked = length is None and exchange.head.chunked
        self._channel.write(request_head(exchange, plan, length))

    def send_body(self, data: bytes) -> None:
        """Send a piece of the body."""
        self._channel.write(chunk(data) if self._chunked else data)

    def end_body(self, trailers: bytes) -> None:
        """The request is out; from now on the answer's head is waited for, if it has not come."""
        if self._chunked:
            if trailers and self._plan is not None:
                # Applications' servers may merge trailers into the head (RFC 9110, 6.5.2).
                trailers = self._plan.request_edit.cut(trailers)
            self._channel.write(last_chunk(trailers))
        self._sent = True
        if self._plan is not None and self._machine.reading is Reading.HEAD:
            self._channel.deadline = monotonic() + self._plan.response_timeout

    def write_raw(self, data: bytes) -> None:
        """Send bytes after an upgrade."""
        self._channel.write(data)

    def write_eof(self) -> None:
        """Close our direction after an upgrade."""
        self._channel.write_eof()

    def set_idle(self, seconds: float) -> None:
        """Set how long may pass from now on without a byte."""
        self._idle = seconds
        if not self._channel.reading_paused:
            self._channel.deadline = monotonic() + seconds

    def pause_reading(self) -> None:
        """Read nothing more of the answer for now; nothing times out meanwhile."""
        self._channel.deadline = math.inf
        self._channel.pause_reading()

    def resume_reading(self) -> None:
        """Read again."""
        if self._channel.reading_paused:
            self._channel.deadline = monotonic() + self._idle
            self._channel.resume_reading()

    def drop(self) -> None:
        """Give the request up: nobody will read its answer, so the connection is of no more use."""
        self._let_go()
        self._channel.abort()
        self._owner.given_up(self)

    def close_after_writing(self) -> None:
        """End an upgraded connection after what was written to it."""
        self._taker = None
        self._channel.close()

    def _let_go(self) -> None:
        self._taker = None
        self._exchange = None
        self._plan = None
        self._active = False

    # What the pool asks.

    @property
    def reusable(self) -> bool:
        """True when it may carry another request: the last one went out whole and was answered."""
        return self._sent and self._machine.reusable and not self._channel.closing

    @property
    def open(self) -> bool:
        """True until closing began."""
        return not self._channel.closing

    def close(self) -> None:
        """Close a free connection."""
        self._channel.close()

    # What the channel calls.

    def data_received(self, data: bytes) -> None:
        """Take bytes of an answer."""
        taker = self._taker
        if taker is None:  # bytes that nobody asked for: the connection cannot be trusted
            self._channel.abort()
            return
        if self._raw:
            self._channel.deadline = monotonic() + self._idle
            taker.answer_body(data)
            if self._taker is not None:
                taker.answer_turn()
            return
        machine = self._machine
        try:
            whole = machine.receive_whole(data)
            if whole is not None:
                self.keep_alive_timeout = whole[0].keep_alive_timeout
                self._free()
                taker.answer_whole(*whole)
                return
            machine.receive(data)
            self._tell(taker)
        except BadResponseError as error:
            self._fail(error)

    def _tell(self, taker: AnswerTaker) -> None:
        machine = self._machine
        if machine.reading is not Reading.HEAD:
            self._channel.deadline = monotonic() + self._idle
        while True:
            event = machine.next_event()
            if event is None:
                break
            if type(event) is bytes:
                taker.answer_body(event)
            elif type(event) is ResponseHead:
                self._tell_head(taker, event)
            elif type(event) is MessageEnd:
                self._free()
                taker.answer_end(event.trailers)
                return
            now_taker = self._taker
            if now_taker is None:  # given up meanwhile
                return
            taker = now_taker  # or handed over
        taker.answer_turn()

    def _tell_head(self, taker: AnswerTaker, head: ResponseHead) -> None:
        if head.status < 200 and head.status != 101:
            taker.answer_interim(head)
            return
        self.keep_alive_timeout = head.keep_alive_timeout
        self._channel.deadline = monotonic() + self._idle
        self._owner.answering(self)
        taker.answer_head(head)

    def _free(self) -> None:
        """The answer is whole: back to the pool, before the client's side goes on."""
        self._let_go()
        channel = self._channel
        channel.deadline = math.inf
        if channel.reading_paused:
            channel.resume_reading()
        self._owner.release(self)

    def _fail(self, error: ProxyError) -> None:
        taker, self._taker = self._taker, None
        self._channel.abort()
        if taker is not None:
            taker.answer_lost(error)

    def eof_received(self) -> None:
        """The upstream closed its side."""
        taker = self._taker
        if taker is None:
            self._channel.close()
            return
        if self._machine.reading is Reading.SWITCHED:
            taker.answer_end(b"")
            return
        try:
            end = self._machine.receive_eof()
        except BadResponseError as error:
            self._fail(error)
            return
        if end is not None:
            self._free()
            taker.answer_end(end.trailers)

    def pause_writing(self) -> None:
        """Pass the upstream's back-pressure on."""
        if self._taker is not None:
            self._taker.upstream_full()

    def resume_writing(self) -> None:
        """The upstream has caught up."""
        if self._taker is not None:
            self._taker.upstream_ready()

    def channel_lost(self, error: Exception | None) -> None:
        """The connection is gone."""
        taker = self._taker
        active = self._active
        self._let_go()
        self._owner.lost(self, active=active)
        if taker is not None:
            taker.answer_lost(BadResponseError(f"connection lost: {error or 'closed'}"))

    def deadline_passed(self, now: float) -> bool:  # noqa: ARG002 - the face's signature
        """The upstream took too long."""
        if self._taker is None:
            self._channel.close()
            return False
        self._fail(UpstreamError(504, "no answer in time"))
        return True
