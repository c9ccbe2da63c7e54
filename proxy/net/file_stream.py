"""A large file on its way to a client: a piece at a time, at the client's pace.

What is in the system's memory is read on the loop, by a read that gives up rather than wait for a
disk (`RWF_NOWAIT`); the rest is read in a thread. At most one piece a turn of the loop, and of all
streams no more than a few milliseconds of it, so that neither one fast client nor many keep it from
all others.
"""

import asyncio
import errno
import logging
import os
from collections import deque
from collections.abc import Iterable
from typing import Protocol

from proxy.errors import Fault, ProxyError
from proxy.exchange.exchange import Exchange
from proxy.files.representation import Piece
from proxy.net.file_desk import FileDesk
from proxy.policy.part import Encoder

_log = logging.getLogger("pyproxy.files")
_AT_ONCE = 128 * 1024
_FIRST = 16 * 1024
"""The first piece of one of many streams: that many bytes wait for a client that reads none. The
pieces grow from there."""

_FROM_DISK = 256 * 1024  # a turn of a thread costs as much as reading half of it from memory

_view = memoryview(bytearray(_AT_ONCE))  # of the loop's thread alone


class FailureTaker(Protocol):
    """Who answers for what goes wrong; see `service.Service`."""

    def fail(self, exchange: Exchange, error: ProxyError) -> None:
        """Cut the answer short."""


class FileStream:
    """Sends pieces of an open file, and what stands between them. Implements `Consumer`.

    The file is closed when all is sent, or when anything else ends the exchange. As long as it is
    open it is counted at the desk.
    """

    __slots__ = (
        "_desk",
        "_encoder",
        "_exchange",
        "_fd",
        "_full",
        "_nowait",
        "_pieces",
        "_reading",
        "_service",
        "_size",
        "_waits",
    )

    def __init__(
        self,
        exchange: Exchange,
        fd: int,
        pieces: Iterable[Piece],
        desk: FileDesk,
        service: FailureTaker,
        encoder: Encoder | None = None,
    ) -> None:
        """Take what to send, behind a head that has been sent.

        Args:
            exchange: Whose answer it is.
            fd: The file; it is closed here.
            pieces: Its body.
            desk: For reading what is not in memory.
            service: Cuts the answer short.
            encoder: Of its content coding, if any.

        Raises:
            ProxyError: As many files are open as there may be; this one is the caller's still.
        """
        desk.hold(exchange.address)
        self._exchange = exchange
        self._fd = fd
        self._pieces = deque(pieces)
        self._desk = desk
        self._service = service
        self._encoder = encoder
        self._nowait = True
        self._size = _FIRST if exchange.head.version == "HTTP/2.0" else _AT_ONCE
        self._full = False
        self._reading = False  # in a thread, which must have the file to itself
        self._waits = False  # for its next turn
        exchange.consumer = self

    def start(self, *, full: bool = False) -> None:
        """Begin, or wait for the client to read what it was sent before."""
        self._full = full
        if self._encoder is not None:
            self._come_again()
        elif not full:
            self._turn()

    def _turn(self) -> None:
        """Send one piece, and come again."""
        self._waits = False
        if self._full or self._reading or self._exchange.consumer is not self:
            return
        if not self._pieces:
            self._finish()
            return
        piece = self._pieces[0]
        if isinstance(piece, bytes):
            self._pieces.popleft()
            self._send(piece)
            return
        try:
            data = self._read_now(piece.first, min(piece.size, self._size))
        except OSError as error:
            self._fail(f"cannot be read: {error.strerror}")
            return
        if data is None:
            size = self._size if self._size < _AT_ONCE else _FROM_DISK
            self._read_in_thread(piece.first, min(piece.size, size))
        else:
            self._took(data)

    def _read_now(self, offset: int, size: int) -> bytes | None:
        """Return what is in memory; None where that is nothing, or where there is no telling."""
        if self._nowait:
            try:
                return bytes(_view[: os.preadv(self._fd, [_view[:size]], offset, os.RWF_NOWAIT)])
            except BlockingIOError:
                return None
            except OSError as error:
                if error.errno != errno.EOPNOTSUPP:
                    raise
                self._nowait = False  # not every file system can tell
        return None

    def _read_in_thread(self, offset: int, size: int) -> None:
        fd = self._fd
        self._reading = True
        self._desk.begin(lambda: os.pread(fd, size, offset)).add_done_callback(self._was_read)

    def _was_read(self, done: "asyncio.Future[bytes]") -> None:
        self._reading = False
        if self._exchange.consumer is not self:
            self._close()
        elif done.cancelled():
            self._fail("was not read: the worker ends")
        elif (error := done.exception()) is not None:
            self._fail(f"cannot be read: {error}")
        else:
            self._took(done.result())

    def _took(self, data: bytes) -> None:
        piece = self._pieces[0]
        if not data:
            self._fail("became shorter while it was sent")
            return
        assert not isinstance(piece, bytes)  # noqa: S101 - only such a piece is read
        self._size = min(2 * self._size, _AT_ONCE)
        if len(data) == piece.size:
            self._pieces.popleft()
        else:
            self._pieces[0] = piece._replace(first=piece.first + len(data))
        self._send(data if self._encoder is None else self._encoder.encode(data))

    def _send(self, data: bytes) -> None:
        exchange = self._exchange
        if data:
            exchange.stream.send_body(exchange, data)
            exchange.stream.flush()
        if exchange.consumer is self:
            self._come_again()

    def _come_again(self) -> None:
        if not self._full and not self._waits:
            self._waits = True
            self._desk.soon(self._turn)

    def _finish(self) -> None:
        exchange = self._exchange
        encoder, self._encoder = self._encoder, None
        if encoder is not None:
            exchange.stream.send_body(exchange, encoder.finish())
        self._close()
        exchange.stream.end(exchange, b"")

    def _fail(self, why: str) -> None:
        """Cut the answer short; nobody else says why, since its head went out long ago."""
        exchange = self._exchange
        self._close()
        _log.error("request %s: the file for %a %s", exchange.request_id, exchange.head.path, why)
        self._service.fail(exchange, ProxyError(500, Fault.PROXY, f"the file {why}"))

    def _close(self) -> None:
        self._encoder = None
        fd = self._fd
        if fd >= 0 and not self._reading:  # else its number could be another file's by then
            self._fd = -1
            os.close(fd)
            self._desk.release(self._exchange.address)

    # From the client.

    def body_received(self, data: bytes) -> None:
        """Throw away what nobody asked for."""

    def body_ended(self, trailers: bytes) -> None:
        """Nothing waits for it."""

    def client_full(self) -> None:
        """Stop sending."""
        self._full = True

    def client_ready(self) -> None:
        """Go on."""
        self._full = False
        self._come_again()

    def client_gone(self) -> None:
        """Close the file."""
        self._close()
