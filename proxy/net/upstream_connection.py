"""One connection to an upstream: carries one request after the other, for whoever holds it."""

import math
from typing import Protocol

from proxy.clock import monotonic
from proxy.errors import BadResponseError, ProxyError
from proxy.message.head import ResponseHead
from proxy.net.channel import Channel
from proxy.upstream.peer import Peer
from proxy.wire.events import MessageEnd
from proxy.wire.http1_client import Http1Client, Reading


class Holder(Protocol):
    """Who sent the request that a connection carries."""

    def answer_whole(self, head: ResponseHead, body: bytes) -> None:
        """Take a whole answer. The connection is free again."""

    def answer_interim(self, head: ResponseHead) -> None:
        """Take a 1xx head."""

    def answer_head(self, head: ResponseHead) -> None:
        """Take the final head."""

    def answer_body(self, data: bytes) -> None:
        """Take a piece of the body."""

    def answer_end(self, trailers: bytes) -> None:
        """The answer is whole. The connection is free again."""

    def answer_turn(self) -> None:
        """What one read brought has been told."""

    def answer_lost(self, error: ProxyError) -> None:
        """No answer, or no more of it, will come. The connection is gone."""

    def upstream_full(self) -> None:
        """The upstream reads more slowly than it is sent to."""

    def upstream_ready(self) -> None:
        """The upstream has caught up."""


class Owner(Protocol):
    """The pool a connection belongs to."""

    def release(self, connection: "UpstreamConnection") -> None:
        """Take back a connection whose answer is whole or given up."""

    def lost(self, connection: "UpstreamConnection", *, active: bool) -> None:
        """A connection is gone; `active` if it carried a request."""


class UpstreamConnection:
    """See the module's docstring. Implements `channel.Session`.

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
        "_holder",
        "_machine",
        "_owner",
        "_sent",
        "_timeout",
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
        self._holder: Holder | None = None
        self._timeout = math.inf
        self._sent = True  # nothing is owed on a fresh connection
        self._active = False
        self.peer = peer
        self.used = 0
        self.idle_since = 0.0
        self.expires = math.inf
        self.keep_alive_timeout: float | None = None

    # What its holder does with it.

    def hold(self, holder: Holder, method: str, *, upgrade: bool = False) -> None:
        """Give the connection to a request that is about to be sent."""
        self._holder = holder
        self._sent = False
        self._active = True
        self._machine.expect(method, upgrade=upgrade)

    def hand_over(self, holder: Holder) -> None:
        """Give a running answer to another holder."""
        self._holder = holder

    def write(self, data: bytes) -> None:
        """Send bytes of the request."""
        self._channel.write(data)

    def await_answer(self, seconds: float, idle: float) -> None:
        """The request is out: its answer's head may take so long, and later each piece of it."""
        self._sent = True
        self._channel.deadline = monotonic() + seconds
        self._timeout = idle

    def pause_reading(self) -> None:
        """Read nothing more of the answer for now."""
        self._channel.deadline = math.inf
        self._channel.pause_reading()

    def resume_reading(self) -> None:
        """Read again."""
        self._channel.deadline = monotonic() + self._timeout
        self._channel.resume_reading()

    def set_idle(self, seconds: float) -> None:
        """Set how long each further piece may take."""
        self._timeout = seconds

    def set_deadline(self, deadline: float) -> None:
        """Set when `answer_lost` is to be told of a timeout."""
        self._channel.deadline = deadline

    def write_eof(self) -> None:
        """Close our direction of an upgraded connection."""
        self._channel.write_eof()

    def drop(self) -> None:
        """Give up the request: nobody will read its answer."""
        self._holder = None
        self._active = False
        self._channel.abort()

    def finish_and_close(self) -> None:
        """Close an upgraded connection after what was written."""
        self._holder = None
        self._channel.close()

    @property
    def writing_paused(self) -> bool:
        """True while the upstream reads too slowly."""
        return self._channel.writing_paused

    @property
    def reusable(self) -> bool:
        """True when it may carry another request: the last one went out whole and was answered."""
        return self._sent and self._machine.reusable and not self._channel.closing

    @property
    def open(self) -> bool:
        """True until closing began."""
        return not self._channel.closing

    @property
    def answer_began(self) -> bool:
        """True when any byte of an answer has come."""
        return self._machine.began

    def close(self) -> None:
        """Close a free connection."""
        self._channel.close()

    # What the channel calls.

    def data_received(self, data: bytes) -> None:
        """Take bytes of an answer."""
        holder = self._holder
        if holder is None:  # bytes that nobody asked for: the connection cannot be trusted
            self._channel.abort()
            return
        machine = self._machine
        try:
            whole = machine.receive_whole(data)
            if whole is not None:
                self._free(whole[0])
                holder.answer_whole(*whole)
                return
            machine.receive(data)
            self._tell(holder)
        except BadResponseError as error:
            self._fail(error)

    def _tell(self, holder: Holder) -> None:
        machine = self._machine
        self._channel.deadline = monotonic() + self._timeout
        while True:
            event = machine.next_event()
            if event is None:
                break
            if type(event) is bytes:
                holder.answer_body(event)
            elif type(event) is ResponseHead:
                if event.status < 200 and event.status != 101:
                    holder.answer_interim(event)
                else:
                    self.keep_alive_timeout = event.keep_alive_timeout
                    holder.answer_head(event)
            elif type(event) is MessageEnd:
                self._free(None)
                holder.answer_end(event.trailers)
                return
            if self._holder is not holder:  # given up or handed over meanwhile
                if self._holder is None:
                    return
                holder = self._holder
        holder.answer_turn()

    def _free(self, head: ResponseHead | None) -> None:
        """The answer is whole: back to the pool, before the client's side goes on."""
        self._holder = None
        self._active = False
        self._channel.deadline = math.inf
        if head is not None:
            self.keep_alive_timeout = head.keep_alive_timeout
        if self._channel.reading_paused:
            self._channel.resume_reading()
        self._owner.release(self)

    def _fail(self, error: ProxyError) -> None:
        holder, self._holder = self._holder, None
        self._channel.abort()
        if holder is not None:
            holder.answer_lost(error)

    def eof_received(self) -> None:
        """The upstream closed its side."""
        holder = self._holder
        if holder is None:
            self._channel.close()
            return
        try:
            end = self._machine.receive_eof()
        except BadResponseError as error:
            if self._machine.reading is Reading.SWITCHED:
                holder.answer_end(b"")
            else:
                self._fail(error)
            return
        if end is not None:
            self._free(None)
            holder.answer_end(end.trailers)

    def pause_writing(self) -> None:
        """Pass the upstream's back-pressure on."""
        if self._holder is not None:
            self._holder.upstream_full()

    def resume_writing(self) -> None:
        """The upstream has caught up."""
        if self._holder is not None:
            self._holder.upstream_ready()

    def channel_lost(self, error: Exception | None) -> None:
        """The connection is gone."""
        holder, self._holder = self._holder, None
        active, self._active = self._active, False
        self._owner.lost(self, active=active)
        if holder is not None:
            holder.answer_lost(BadResponseError(f"connection lost: {error or 'closed'}"))

    def deadline_passed(self, now: float) -> None:  # noqa: ARG002 - the face's signature
        """The upstream took too long."""
        if self._holder is None:
            self._channel.close()
            return
        error = BadResponseError("no answer in time")
        error.status = 504
        self._fail(error)
