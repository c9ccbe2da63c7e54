"""One HTTP/2 connection to an upstream: carries many requests at once, each on a stream.

The streams are `http2_upstream_stream`'s business; here is what they share: the machine, the
channel and its back-pressure, deadlines, and the end. Bodies that wait go out in turns, a frame
of each stream at a time, so that a huge one does not hold the others up.
"""

import asyncio
import math
from collections import deque
from typing import Protocol

from proxy.clock import monotonic
from proxy.errors import BadResponseError, ProxyError, UpstreamError
from proxy.net.channel import Channel
from proxy.net.http2_upstream_stream import Http2UpstreamStream
from proxy.upstream.peer import Peer
from proxy.wire.http2_client import Body, End, Going, Head, Http2Client, Lost, Room, Told

_FORGIVEN_AFTER = 10.0  # seconds in which an upstream may send so many frames that lead to nothing
_FRAMES_A_WRITE = 4


class SharedOwner(Protocol):
    """The pool a connection belongs to."""

    def stream_answering(self, peer: Peer) -> None:
        """The head of an answer came: its peer works."""

    def stream_over(self, peer: Peer) -> None:
        """A request that was counted as active is over, however it ended."""

    def shared_lost(self, connection: "Http2Upstream") -> None:
        """A connection is gone; its streams have been told."""


class Http2Upstream:
    """See the module's docstring. Implements `channel.Session`.

    Attributes:
        channel: What it goes over.
        machine: Its protocol.
        owner: The pool.
        peer: Whom it leads to.
        answered: Requests it carried that were answered.
        settled: Done once the upstream said that it speaks HTTP/2, or cannot say it any more.
    """

    __slots__ = (
        "_earliest",
        "_forgiven",
        "_in_send",
        "_keep_idle",
        "_loop",
        "_sending",
        "_streams",
        "answered",
        "channel",
        "machine",
        "owner",
        "peer",
        "settled",
    )

    def __init__(
        self, channel: Channel, peer: Peer, owner: SharedOwner, *, secure: bool, keep_idle: float
    ) -> None:
        """Begin to speak.

        Args:
            channel: An open one.
            peer: Whom it leads to.
            owner: Told of what becomes of it.
            secure: Whether TLS is in between.
            keep_idle: Seconds for which it stays open without requests.
        """
        self.channel = channel
        self.peer = peer
        self.owner = owner
        self.machine = Http2Client(secure=secure)
        self.answered = 0
        self._loop = asyncio.get_running_loop()
        self.settled: asyncio.Future[None] = self._loop.create_future()
        self._keep_idle = keep_idle
        self._streams: dict[int, Http2UpstreamStream] = {}
        self._sending: deque[Http2UpstreamStream] = deque()
        self._earliest = math.inf
        self._forgiven = 0.0
        self._in_send = False
        channel.session = self
        self.write()

    # What the pool does.

    @property
    def room(self) -> int:
        """How many more requests it may carry now."""
        if self.channel.closing or not self.settled.done():
            return 0
        return self.machine.room

    @property
    def idle(self) -> bool:
        """True while it carries nothing."""
        return not self._streams

    @property
    def open(self) -> bool:
        """True until closing began."""
        return not self.channel.closing

    def stream(self, *, fresh: bool) -> Http2UpstreamStream:
        """Return a stream for a request; with `fresh` a failure is not put down to its age."""
        self.set_deadline(math.inf)
        return Http2UpstreamStream(self, fresh=fresh, reused=self.answered > 0 and not fresh)

    def rest(self) -> None:
        """Wait for requests, for as long as an idle connection is kept."""
        if self._streams or self.channel.closing:
            return
        if self.machine.going or self.peer.gone or not self._keep_idle:
            self.close()
        else:
            self.set_deadline(monotonic() + self._keep_idle)

    def close(self) -> None:
        """Close it in order if it is idle; what runs on it may end, and then it closes."""
        if self._streams:
            self.machine.going = True
            return
        if not self.channel.closing:
            self.machine.close()
            self.write()
            self.channel.close()

    # What the streams do.

    def write(self) -> None:
        """Put on the wire what the machine has to say."""
        data = self.machine.take()
        if data:
            self.channel.write(data)

    def begin(self, stream: Http2UpstreamStream, raw: bytes, *, ended: bool) -> None:
        """Send a request's head."""
        if not self.room:
            error = UpstreamError(502, "the connection takes no more requests", retry=True)
            self._loop.call_soon(stream.take_lost, error)
            return
        stream.number = self.machine.request(raw, ended=ended)
        self._streams[stream.number] = stream
        self.write()

    def send_soon(self, stream: Http2UpstreamStream) -> None:
        """Send what a stream has, as windows and other streams allow."""
        if not stream.in_turn:
            stream.in_turn = True
            self._sending.append(stream)
        self.send()

    def send(self) -> None:
        """Send a frame of each stream in turn, until all is out or nothing more is taken."""
        if self._in_send:
            return
        self._in_send = True
        sending = self._sending
        channel = self.channel
        blocked: list[Http2UpstreamStream] = []
        seen: dict[Http2UpstreamStream, None] = {}
        count = 0
        while sending and not channel.writing_paused and not channel.closing:
            stream = sending.popleft()
            seen[stream] = None
            if stream.send_frame():
                sending.append(stream)
            else:
                stream.in_turn = stream.waits
                if stream.in_turn:
                    blocked.append(stream)
            count += 1
            if count % _FRAMES_A_WRITE == 0:
                self.write()
        sending.extend(blocked)
        self.write()
        self._in_send = False
        for stream in seen:
            stream.look_at_queue()

    def set_deadline(self, when: float) -> None:
        """Be woken at `when`, or before."""
        if self._streams:
            self._earliest = min(self._earliest, when)
        else:
            self._earliest = when
        self.channel.deadline = self._earliest

    def over(self, stream: Http2UpstreamStream, *, answered: bool) -> None:
        """A stream's request is over."""
        self._streams.pop(stream.number, None)
        self.answered += answered
        self.owner.stream_over(self.peer)
        self.rest()

    # What the channel calls.

    def data_received(self, data: bytes) -> None:
        """Take bytes."""
        now = monotonic()
        if now - self._forgiven > _FORGIVEN_AFTER:
            self._forgiven = now
            self.machine.forgive()
        try:
            told = self.machine.receive(data)
        except BadResponseError as error:
            self.fail(error)
            return
        touched: dict[Http2UpstreamStream, None] = {}
        opened = False
        for what in told:
            if type(what) is Room:
                opened = True
            elif type(what) is not Going:
                self._tell(what, touched)
        for stream in touched:
            stream.turn()
        if opened:
            self._settle()
            self.send()
        self.write()
        if self.machine.going and not self._streams:
            self.close()

    def _tell(self, what: Told, touched: dict[Http2UpstreamStream, None]) -> None:
        if isinstance(what, Going | Room):
            return
        stream = self._streams.get(what.number)
        if stream is None:  # given up meanwhile
            return
        if type(what) is Body:
            touched[stream] = None
            stream.take_body(what.data, what.size)
        elif type(what) is Head:
            touched[stream] = None
            stream.take_head(what.head, ended=what.ended)
        elif type(what) is End:
            stream.take_end(what.trailers)
        elif type(what) is Lost:
            stream.take_lost(what.error)

    def _settle(self) -> None:
        if self.machine.settled and not self.settled.done():
            self.settled.set_result(None)

    def fail(self, error: ProxyError) -> None:
        """End it, and tell whoever waits."""
        self.write()
        self.channel.cut()
        self._lose(error)

    def _lose(self, error: ProxyError) -> None:
        self._sending.clear()
        streams, self._streams = self._streams, {}
        if not self.settled.done():
            self.settled.set_result(None)
        for stream in streams.values():
            stream.take_lost(error)

    def eof_received(self) -> None:
        """The upstream closed its side: nothing more will come."""
        self.channel.close()
        self._lose(BadResponseError("connection lost: closed"))

    def pause_writing(self) -> None:
        """Pass the upstream's back-pressure on."""
        for stream in tuple(self._streams.values()):
            stream.look_at_queue()

    def resume_writing(self) -> None:
        """The upstream has caught up."""
        self.send()
        for stream in tuple(self._streams.values()):
            stream.look_at_queue()

    def channel_lost(self, error: Exception | None) -> None:
        """The connection is gone."""
        self._lose(BadResponseError(f"connection lost: {error or 'closed'}"))
        self.owner.shared_lost(self)

    def deadline_passed(self, now: float) -> bool:
        """Some stream's time is up, or all of them wait for an upstream that reads nothing."""
        if not self._streams:
            self.close()
            return False
        if now < self._earliest:
            self.fail(UpstreamError(504, "the upstream reads nothing"))
            return True
        late = [stream for stream in self._streams.values() if stream.due <= now]
        for stream in late:
            stream.time_out()
        self._earliest = min((each.due for each in self._streams.values()), default=math.inf)
        if self._streams:
            self.channel.deadline = self._earliest
        else:
            self.rest()
        return bool(late)
