"""What goes out on one HTTP/2 connection: shared among its streams, a frame each in turn.

What one turn of the loop produces goes out in one write. Heads and small whole answers go at once;
bodies that wait are sent while the client's windows and its pace allow it, so that neither a huge
body nor a shut window holds others up.
"""

import asyncio
from collections import deque
from typing import Protocol

from proxy.net.channel import Channel
from proxy.wire.http2_server import Http2Server
from proxy.wire.http2_streams import Stream

_TURN = 128 * 1024  # bytes written in one turn of the loop, before other connections have theirs


class Sender(Protocol):
    """A stream, as the outlet sees it.

    Attributes:
        stream: The machine's side of it.
        queued: Bytes of its body that wait.
        over: True when nothing comes behind them, but for trailers.
        full: True while its sender was told to stop.
        in_turn: True while it is among those that are sent from.
        gone: True once it is over, from whichever side.
    """

    stream: Stream
    queued: int
    over: bool
    full: bool
    in_turn: bool
    gone: bool

    def next_frame(self, room: int) -> bytes:
        """Return the next frame of the answer, which fits into `room`; the last one ends it."""

    def all_sent(self) -> None:
        """The last frame is on its way."""

    def caught_up(self) -> None:
        """Less waits than before; may ask for more to be sent."""


class Outlet:
    """See the module's docstring.

    Attributes:
        queued: Bytes of bodies that wait, on all streams.
    """

    __slots__ = ("_blocked", "_channel", "_machine", "_out", "_pending", "_scheduled", "_turns",
                 "queued")  # fmt: skip

    def __init__(self, channel: Channel, machine: Http2Server) -> None:
        self._channel = channel
        self._machine = machine
        self._turns: deque[Sender] = deque()
        self._blocked: dict[int, Sender] = {}  # by a window; in the order of their turns
        self._out: list[bytes] = []
        self._pending = 0  # bytes in it
        self._scheduled = False
        self.queued = 0

    def write(self, data: bytes) -> None:
        """Put frames on the wire at the end of this turn, behind what the machine has to say."""
        said = self._machine.take_output()
        if said:
            self._put(said)
        if data:
            self._put(data)

    def _put(self, data: bytes) -> None:
        self._out.append(data)
        self._pending += len(data)
        if not self._scheduled:
            self._scheduled = True
            asyncio.get_running_loop().call_soon(self._turn)

    def _turn(self) -> None:
        self._scheduled = False
        self.write_out()
        if self._turns:
            self.send()

    def write_out(self) -> None:
        """Write at once what is there."""
        self.write(b"")
        out = self._out
        if out:
            self._out = []
            self._pending = 0
            self._channel.write(out[0] if len(out) == 1 else b"".join(out))

    def send_soon(self, sender: Sender) -> None:
        """Send what a stream has queued, in its turn."""
        if not sender.in_turn:
            sender.in_turn = True
            self._turns.append(sender)
        self.send()

    def send(self) -> None:
        """Send a frame of each stream in turn, while windows and the client's pace allow it."""
        turns, machine, channel = self._turns, self._machine, self._channel
        # An acknowledgement comes first: from then on the client knows its own new windows.
        self.write(b"")
        caught_up: list[Sender] = []
        while turns and self._pending < _TURN and not channel.writing_paused:
            sender = turns.popleft()
            sender.in_turn = False
            if sender.gone or not sender.stream.writing or not (sender.queued or sender.over):
                continue
            room = machine.room(sender.stream)
            if not room and sender.queued:
                self._blocked[sender.stream.number] = sender
                continue
            self._put(sender.next_frame(room))
            if sender.queued:
                sender.in_turn = True
                turns.append(sender)
            elif sender.over:
                sender.all_sent()
            if sender.full:
                caught_up.append(sender)
        for sender in caught_up:
            sender.caught_up()

    def window_grew(self) -> None:
        """Go on with those that a window had stopped."""
        blocked = self._blocked
        if not blocked:
            return
        self._blocked = {}
        for sender in blocked.values():
            if not sender.in_turn:
                sender.in_turn = True
                self._turns.append(sender)
        self.send()

    def forget(self, sender: Sender) -> None:
        """A stream is gone, and what it has queued with it."""
        self.queued -= sender.queued
        self._blocked.pop(sender.stream.number, None)
