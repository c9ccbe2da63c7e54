"""The content codings: encoders for bodies that pass through, and one call for those at rest.

What passes through is encoded on the loop, so each coding runs at a level that takes less than
3 ms for 256 KB: gzip 0.5, zstd 0.7, br 2.6 ms. An encoder at work holds memory until its body ends:
at most about 220 KB for gzip, 640 KB for zstd and 700 KB for br, and a body may last as long as its
client likes. `OpenStreams` bounds how many there are.

Windows are small, 128 KB, for the sake of that memory. That is also far below the 8 MB that a
client must be ready to keep for zstd (RFC 9659, 3).
"""

import sys
import zlib
from collections.abc import Callable
from typing import Final

import brotli
from isal import isal_zlib

from proxy.policy.part import Encoder

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

_GZIP_LEVEL = 2  # of isal's 0..3
_ZSTD_LEVEL = 2
_BROTLI_QUALITY = 3
_WINDOW = 17  # 128 KB, as a power of two
_GZIP_FORMAT = 31  # zlib's "window bits" for a gzip header and 32 KB

_ZSTD_OPTIONS: dict[int, int] = {
    zstd.CompressionParameter.compression_level: _ZSTD_LEVEL,
    zstd.CompressionParameter.window_log: _WINDOW,
}
_AT_REST_GZIP = 6  # 9 takes four times as long for 1 % less
_AT_REST_ZSTD: dict[int, int] = {
    zstd.CompressionParameter.compression_level: 9,  # 12 takes twenty times as long for 1 % less
    zstd.CompressionParameter.window_log: 22,
}
_AT_REST_BROTLI = 5

_MOST_IDLE = 4
_idle_zstd: list[zstd.ZstdCompressor] = []
"""Compressors between two bodies. To make one takes longer than 1 KB does."""


class OpenStreams:
    """Counts the encoders at work, and makes new ones as long as there is room.

    Attributes:
        dear: How many of them encode zstd or br.
        all: How many there are.
    """

    __slots__ = ("_most", "_most_dear", "all", "dear")

    def __init__(self, most_dear: int, most: int) -> None:
        """Take the most encoders for zstd and br, and the most of all kinds."""
        self._most_dear = most_dear
        self._most = most
        self.dear = 0
        self.all = 0

    def open(self, coding: str) -> Encoder | None:
        """Return an encoder for one body, or None where there are too many already.

        Raises:
            KeyError: `coding` is not in `CODINGS`.
        """
        dear = coding != "gzip"
        if self.all >= self._most or (dear and self.dear >= self._most_dear):
            return None
        return _ENCODERS[coding](self)


OPEN = OpenStreams(most_dear=64, most=512)
"""Those of this process: at most 45 MB for zstd and br, and 100 MB for gzip."""


class _Counted:
    """What all encoders have in common: they count as open until they finish or are dropped."""

    __slots__ = ("_fresh", "_streams")

    _DEAR = True

    def __init__(self, streams: OpenStreams) -> None:
        self._streams: OpenStreams | None = streams
        streams.all += 1
        streams.dear += self._DEAR
        self._fresh = False  # whether something was taken since the last flush

    def _close(self) -> None:
        streams, self._streams = self._streams, None
        if streams is not None:
            streams.all -= 1
            streams.dear -= self._DEAR

    # A body that is cut short has no last call: its encoder is let go with its exchange.
    __del__ = _close


class GzipEncoder(_Counted):
    """gzip (RFC 1952)."""

    __slots__ = ("_machine",)

    _DEAR = False

    def __init__(self, streams: OpenStreams) -> None:
        super().__init__(streams)
        self._machine = isal_zlib.compressobj(_GZIP_LEVEL, isal_zlib.DEFLATED, _GZIP_FORMAT)

    def encode(self, data: bytes) -> bytes:
        """Take a piece."""
        self._fresh = True
        return self._machine.compress(data)

    def flush(self) -> bytes:
        """Make what was taken decodable; b"" where nothing was since the last flush."""
        if not self._fresh:
            return b""
        self._fresh = False
        return self._machine.flush(isal_zlib.Z_SYNC_FLUSH)

    def finish(self) -> bytes:
        """End the body."""
        self._close()
        return self._machine.flush()


class ZstdEncoder(_Counted):
    """zstd (RFC 8878)."""

    __slots__ = ("_held", "_machine")

    def __init__(self, streams: OpenStreams) -> None:
        super().__init__(streams)
        self._machine = (
            _idle_zstd.pop() if _idle_zstd else zstd.ZstdCompressor(options=_ZSTD_OPTIONS)
        )
        self._held = b""

    def encode(self, data: bytes) -> bytes:
        """Take a piece, and return what the one before came to.

        The last piece is held back, so that a body of one piece is encoded in one call that knows
        its size: that is a third faster, and the client need not make room for a whole window.
        """
        self._fresh = True
        held, self._held = self._held, data
        return self._machine.compress(held) if held else b""

    def flush(self) -> bytes:
        """Make what was taken decodable; b"" where nothing was since the last flush."""
        if not self._fresh:
            return b""
        self._fresh = False
        held, self._held = self._held, b""
        return self._machine.compress(held, zstd.ZstdCompressor.FLUSH_BLOCK)

    def finish(self) -> bytes:
        """End the body."""
        self._close()
        rest = self._machine.compress(self._held, zstd.ZstdCompressor.FLUSH_FRAME)
        self._held = b""
        if len(_idle_zstd) < _MOST_IDLE:
            _idle_zstd.append(self._machine)
        return rest


class BrotliEncoder(_Counted):
    """br (RFC 7932)."""

    __slots__ = ("_machine",)

    def __init__(self, streams: OpenStreams) -> None:
        super().__init__(streams)
        self._machine = brotli.Compressor(quality=_BROTLI_QUALITY, lgwin=_WINDOW)

    def encode(self, data: bytes) -> bytes:
        """Take a piece."""
        self._fresh = True
        encoded: bytes = self._machine.process(data)
        return encoded

    def flush(self) -> bytes:
        """Make what was taken decodable; b"" where nothing was since the last flush."""
        if not self._fresh:
            return b""
        self._fresh = False
        encoded: bytes = self._machine.flush()
        return encoded

    def finish(self) -> bytes:
        """End the body."""
        self._close()
        encoded: bytes = self._machine.finish()
        return encoded


_ENCODERS: Final[dict[str, Callable[[OpenStreams], Encoder]]] = {
    "zstd": ZstdEncoder,
    "br": BrotliEncoder,
    "gzip": GzipEncoder,
}
CODINGS = tuple(_ENCODERS)


def compress_once(coding: str, data: bytes) -> bytes:
    """Encode a body that will be sent often: smaller, and 3 to 10 times slower, than in passing.

    Takes 2 ms for 100 KB, 6 to 8 ms for 256 KB, and lets other threads run meanwhile. The same
    data always comes to the same bytes.

    Raises:
        ValueError: `coding` is not in `CODINGS`.
    """
    if coding == "br":
        encoded: bytes = brotli.compress(data, quality=_AT_REST_BROTLI)
        return encoded
    if coding == "zstd":
        return zstd.compress(data, options=_AT_REST_ZSTD)
    if coding == "gzip":
        return zlib.compress(data, _AT_REST_GZIP, _GZIP_FORMAT)
    raise ValueError(f"no content coding of ours: {coding}")
