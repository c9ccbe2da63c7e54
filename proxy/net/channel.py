"""A channel: an ordered byte stream with back-pressure, whether TLS is in between or not.

The channel is the protocol that the event loop calls; a session (an HTTP/1.1 connection, say) is
what it calls in turn. All channels of a worker read into one shared buffer, which is consumed
before the callback returns: an idle connection holds no buffer, and the heap is left in peace.
"""

import asyncio
import math
import socket
import struct
from typing import Protocol, cast

READ_SIZE = 256 * 1024  # at most one read's bytes; also the most that a slow peer makes us hold
HIGH_WATER = 128 * 1024  # bytes waiting for a slow reader before its writer is stopped

_NO_LINGER = struct.pack("ii", 1, 0)  # closing resets the connection

_shared = bytearray(READ_SIZE)
_view = memoryview(_shared)


class Session(Protocol):
    """What speaks over a channel."""

    def data_received(self, data: bytes) -> None:
        """Take bytes from the peer."""

    def eof_received(self) -> None:
        """The peer will send nothing more."""

    def pause_writing(self) -> None:
        """The peer reads too slowly: stop writing."""

    def resume_writing(self) -> None:
        """The peer has caught up."""

    def channel_lost(self, error: Exception | None) -> None:
        """The channel is gone; nothing can be read or written any more."""

    def deadline_passed(self, now: float) -> bool:
        """The channel's deadline lies behind: end it, or set a new one. True: the peer was slow."""


class Channel(asyncio.BufferedProtocol):
    """A plain channel over TCP or a unix socket; `TlsChannel` puts TLS in between.

    Attributes:
        transport: The loop's transport, once connected.
        session: Who speaks over it.
        deadline: Monotonic seconds after which the sweep calls `session.deadline_passed`.
        writing_paused: True while the peer reads too slowly.
        closing: True once closing began.
    """

    __slots__ = (
        "_stalled_bytes",
        "_stalled_since",
        "closing",
        "deadline",
        "reading_paused",
        "session",
        "transport",
        "writing_paused",
    )

    def __init__(self, session: Session | None = None) -> None:
        self.session: Session | None = session
        self.transport: asyncio.Transport | None = None
        self.deadline = math.inf
        self.writing_paused = False
        self.reading_paused = False
        self.closing = False
        self._stalled_since = 0.0
        self._stalled_bytes = 0

    # What the event loop calls.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Take the transport and set the marks of its write buffer."""
        # A cast, since uvloop's transports are none of asyncio's classes.
        self.transport = stream = cast("asyncio.Transport", transport)
        stream.set_write_buffer_limits(high=HIGH_WATER)

    def get_buffer(self, sizehint: int) -> memoryview:  # noqa: ARG002 - the loop's signature
        """Lend the shared buffer."""
        return _view

    def buffer_updated(self, nbytes: int) -> None:
        """Hand on what was read."""
        if self.session is not None:
            self.session.data_received(bytes(_view[:nbytes]))
        else:  # nobody asked for these bytes, and nobody would miss them
            self.abort()

    def eof_received(self) -> bool:
        """Tell the session; keep the transport open so that it may still write."""
        if self.session is None:
            self.closing = True
            return False
        self.session.eof_received()
        return True

    def connection_lost(self, exc: Exception | None) -> None:
        """Tell the session, once, and let go of everything."""
        session, self.session = self.session, None
        self.transport = None
        self.closing = True
        self.deadline = math.inf
        if session is not None:
            session.channel_lost(exc)

    def pause_writing(self) -> None:
        """The write buffer passed its high mark."""
        self.writing_paused = True
        self._stalled_since = 0.0
        if self.session is not None:
            self.session.pause_writing()

    def resume_writing(self) -> None:
        """The write buffer fell below its low mark."""
        self.writing_paused = False
        self._stalled_since = 0.0
        if self.session is not None:
            self.session.resume_writing()

    # What the session calls.

    def write(self, data: bytes) -> None:
        """Send bytes; they wait in the transport if the peer is slow."""
        if self.transport is not None:
            self.transport.write(data)

    def pause_reading(self) -> None:
        """Read nothing more from the peer, until `resume_reading`."""
        if not self.reading_paused and self.transport is not None and not self.closing:
            self.reading_paused = True
            self.transport.pause_reading()

    def resume_reading(self) -> None:
        """Read again."""
        if self.reading_paused and self.transport is not None and not self.closing:
            self.reading_paused = False
            self.transport.resume_reading()

    def write_eof(self) -> None:
        """Say that nothing more will be sent, where the stream can say so; else close."""
        if self.transport is not None and not self.closing:
            self.transport.write_eof()

    def close(self) -> None:
        """Close in order: what was written goes out first."""
        if not self.closing:
            self.closing = True
            if self.transport is not None:
                self.transport.close()

    def abort(self) -> None:
        """Close at once; what waits is thrown away."""
        self.closing = True
        if self.transport is not None:
            self.transport.abort()

    def cut(self) -> None:
        """Close after what was written went out, without TLS's goodbye: no clean end."""
        self.closing = True
        if self.transport is not None:
            self.transport.close()

    def reset(self) -> None:
        """Close at once with a reset, so that the peer cannot take the end for a clean one."""
        if self.transport is not None:
            sock = self.transport.get_extra_info("socket")
            if sock is not None and sock.family != socket.AF_UNIX:
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _NO_LINGER)
        self.abort()

    @property
    def lost(self) -> bool:
        """True once closing began, from whichever side: nothing that is written will arrive."""
        return self.closing or self.transport is None or self.transport.is_closing()

    def expire(self, now: float) -> bool:
        """The sweep found the deadline behind. True: the peer was cut off for being slow."""
        self.deadline = math.inf
        if self.session is not None:
            return self.session.deadline_passed(now)
        self.abort()
        return True

    def check_stalled(self, now: float, limit: float, least: float = 1.0) -> bool:
        """Say whether the peer took less than `least` bytes in `limit` seconds while some waited.

        To be asked while nothing more is written: while writing is paused, or after closing.
        """
        transport = self.transport
        if transport is None:
            return False
        waiting = transport.get_write_buffer_size()
        if not waiting:
            self._stalled_since = 0.0
        elif not self._stalled_since:
            self._stalled_since = now
            self._stalled_bytes = waiting
        elif now - self._stalled_since > limit:
            if self._stalled_bytes - waiting < least:
                return True
            self._stalled_since = now
            self._stalled_bytes = waiting
        return False


def read_view() -> memoryview:
    """Return the shared read buffer, valid until the running callback returns."""
    return _view
