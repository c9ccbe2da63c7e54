"""TLS over any transport, by `ssl.MemoryBIO` and `SSLObject`: both sides, TLS 1.2 and 1.3.

Strategy. What the loop read goes from the shared buffer into the incoming BIO; the plain bytes are
read out at once, until OpenSSL wants more, and handed on in one piece. What the session writes is
encrypted at once and goes to the transport in one piece. Nothing is kept here in between, so that
back-pressure is the transport's alone. This costs a third less than the loop's own TLS layer for
handshakes, and less memory for idle connections.
"""

import asyncio
import contextlib
import ssl
from collections.abc import Callable

from proxy.net.channel import Channel, read_view

_READ = 64 * 1024  # OpenSSL gives one record (16 KB) at a time; more does no harm
# A BIO keeps the memory of the most it ever held, for as long as its connection lives. In slices of
# two records an idle connection keeps 44 KB at most, for 3 % of a big body's time.
_SLICE = 32 * 1024
_MOST_UNASKED = 64  # KeyUpdates and the like that come without anything else
_HELLO = 16 * 1024  # bytes of a client's first flight kept for the log of a failed handshake

_view = read_view()
Callback = Callable[["TlsChannel"], None]
Wrap = Callable[[ssl.MemoryBIO, ssl.MemoryBIO], ssl.SSLObject]
FailedCallback = Callable[["TlsChannel", Exception], None]


class TlsChannel(Channel):
    """A channel with TLS in between.

    Attributes:
        tls: The TLS object, for what was agreed on.
        hello: The peer's first bytes, until the handshake is over.
    """

    __slots__ = (
        "_ended",
        "_established",
        "_goodbye",
        "_in_write",
        "_incoming",
        "_on_established",
        "_on_failed",
        "_out_read",
        "_outgoing",
        "_read",
        "_ticket_waits",
        "_tls_pending",
        "_unasked",
        "_wrap",
        "_write",
        "hello",
        "tls",
    )

    def __init__(self, wrap: Wrap, on_established: Callback, on_failed: FailedCallback) -> None:
        """Make one side of a connection.

        Args:
            wrap: Makes the TLS object over two BIOs, once the transport is there.
            on_established: Called once after the handshake; sets the session.
            on_failed: Called once if the handshake fails; the channel is closing then.
        """
        super().__init__()
        self._wrap = wrap
        self._established = False
        self._ticket_waits = False
        self._unasked = 0
        self._goodbye = False  # the peer's
        self._ended = False  # our own direction is
        self._on_established: Callback | None = on_established
        self._on_failed: FailedCallback | None = on_failed
        self.hello = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Take the transport; a client speaks first."""
        super().connection_made(transport)
        self._incoming = incoming = ssl.MemoryBIO()
        self._outgoing = outgoing = ssl.MemoryBIO()
        self.tls = tls = self._wrap(incoming, outgoing)
        self._in_write = incoming.write
        self._out_read = outgoing.read
        self._read = tls.read
        self._write = tls.write
        self._tls_pending = tls.pending
        if not tls.server_side:
            self._shake_hands()

    def buffer_updated(self, nbytes: int) -> None:
        """Take ciphertext."""
        data = _view[:nbytes]
        if not self._established:
            if len(self.hello) < _HELLO:
                self.hello += data
            self._in_write(data)
            self._shake_hands()
        elif nbytes <= _SLICE:
            self._in_write(data)
            self._read_plain()
        else:
            # The session may close us, or use the shared buffer, while it takes a slice.
            held = bytes(data)
            for at in range(0, nbytes, _SLICE):
                self._in_write(held[at : at + _SLICE])
                self._read_plain()
                if self.closing:
                    return

    def _read_plain(self) -> None:
        """Read out everything that can be decrypted, and hand it on in one piece."""
        plain, ended = self._decrypt()
        if self._outgoing.pending:  # an answer to KeyUpdate, or the ticket
            if self._ticket_waits:
                self._ticket_waits = False
            else:
                self._answer_peer(unasked=not plain)
        if plain and not self.closing:
            session = self.session
            if session is not None:
                session.data_received(plain)
            else:  # nobody asked for these bytes
                self.abort()
        if ended and not self._goodbye:
            self._goodbye = True
            if self.session is not None:
                self.session.eof_received()
            else:
                self.close()

    def _answer_peer(self, *, unasked: bool) -> None:
        """Send what OpenSSL itself has to say: an answer to KeyUpdate (RFC 8446, 4.6.3).

        Nobody needs many of them, and to a peer that does not read they would pile up here.
        """
        if unasked:
            self._unasked += 1
        if self.writing_paused or self._unasked > _MOST_UNASKED:
            self.abort()
        else:
            self._flush()

    def _decrypt(self) -> tuple[bytes, bool]:
        """Return what can be decrypted, and whether the peer said goodbye."""
        plain = b""
        pieces: list[bytes] | None = None
        ended = False
        try:
            while True:
                piece = self._read(_READ)
                if not piece:
                    ended = True
                    break
                if not plain:
                    plain = piece
                elif pieces is None:
                    pieces = [plain, piece]
                else:
                    pieces.append(piece)
                # A whole record read and nothing behind it: the common case ends without the
                # exception that another read would cost.
                if not self._incoming.pending and not self._tls_pending():
                    break
        except ssl.SSLWantReadError:
            pass
        except ssl.SSLZeroReturnError:  # as b"" above, where we said goodbye first
            ended = True
        except ssl.SSLError:
            self.abort()
        return (plain if pieces is None else b"".join(pieces)), ended

    def _shake_hands(self) -> None:
        try:
            self.tls.do_handshake()
        except ssl.SSLWantReadError:
            self._flush()
            return
        except (ssl.SSLError, ssl.CertificateError) as error:
            self._flush()  # the alert
            self._fail(error)
            return
        # In TLS 1.3 the server's last flight is done; what is left is a ticket, which nobody waits
        # for. It goes out with the first answer, in one write instead of two.
        if self.tls.server_side and self.tls.version() == "TLSv1.3":
            self._ticket_waits = True
        else:
            self._flush()
        self._established = True
        self.hello = b""
        established = self._on_established
        self._on_established = self._on_failed = None
        if established is not None:
            established(self)
        if self._incoming.pending and not self.closing:
            self._read_plain()

    def _flush(self) -> None:
        # After our own end the stream below takes no more, nor does the peer want it.
        if self._outgoing.pending and self.transport is not None and not self._ended:
            self.transport.write(self._out_read())

    def _fail(self, error: Exception) -> None:
        failed = self._on_failed
        self._on_established = self._on_failed = None
        if failed is not None:
            failed(self, error)
        super().close()

    def eof_received(self) -> bool:
        """The peer closed its side, with or without close_notify."""
        if not self._established:
            self._fail(ConnectionError("closed during the handshake"))
            return False
        if not self.tls.server_side and not self._goodbye:
            # Somebody in between may have cut the answer short (RFC 8446, 6.1): not a clean end.
            self.abort()
            return False
        if self._goodbye:  # the session was told then
            return not self.closing
        return super().eof_received()

    def connection_lost(self, exc: Exception | None) -> None:
        """Tell whoever has to know, and break the ties that keep a dead connection in memory."""
        failed = self._on_failed
        self._on_established = self._on_failed = None
        super().connection_lost(exc)
        if failed is not None:
            failed(self, exc or ConnectionError("closed during the handshake"))

    def write(self, data: bytes) -> None:
        """Encrypt and send."""
        transport = self.transport
        if transport is None or self.closing or self._ended or not data:
            return
        try:
            if len(data) <= _SLICE:
                self._write(data)
                transport.write(self._out_read())
            else:
                transport.writelines(self._encrypt_slices(data))
        except ssl.SSLError:
            self.abort()

    def _encrypt_slices(self, data: bytes) -> list[bytes]:
        pieces = []
        view = memoryview(data)
        for at in range(0, len(data), _SLICE):
            self._write(view[at : at + _SLICE])
            pieces.append(self._out_read())
        return pieces

    def _say_goodbye(self) -> None:
        """Put close_notify on the wire (RFC 8446, 6.1)."""
        # It wants the peer's own goodbye too, which nobody waits for.
        with contextlib.suppress(ssl.SSLError, ValueError):
            self.tls.unwrap()
        self._flush()

    def write_eof(self) -> None:
        """Send close_notify, and close our side of the stream below."""
        if self._ended or self.closing:
            return
        if self._established:
            self._say_goodbye()
        self._ended = True
        super().write_eof()

    def close(self) -> None:
        """Close in order, with close_notify."""
        if self._established and not self.closing and not self._ended:
            self._say_goodbye()
        super().close()

    def expire(self, now: float) -> bool:
        """A handshake takes too long, or the session's deadline passed."""
        if self._established:
            return super().expire(now)
        self._fail(TimeoutError("handshake timed out"))
        self.abort()
        return True
