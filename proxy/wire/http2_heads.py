"""Reads the field sections of one HTTP/2 connection: HPACK, bounds, and a memory for repeats.

A client sends the same head again and again, and once its indexes have settled, in the same bytes.
These mean the same as long as the dynamic table is the same, so what was read is remembered until
the table changes. The memory is the connection's own: no credential in it outlives it.
"""

from proxy.errors import BadRequestError
from proxy.message.head import HeadLimits, RequestHead
from proxy.wire.http2_events import Http2Error
from proxy.wire.http2_frames import ErrorCode
from proxy.wire.http2_hpack import Field, SectionDecoder, SectionError, SectionTooLargeError
from proxy.wire.http2_request import read_fields

_MEMO_ENTRIES = 16
_MEMO_BYTES = 2048  # a longer section is not remembered
_MEMO_BLOCK = 4096  # nor is one whose fields are longer than this: indexes unfold to much
_READ_ANYWAY = 4  # times the limit that is still decoded, so that it can be answered


class HeadReader:
    """See the module's docstring."""

    __slots__ = ("_changes", "_decoder", "_known", "_limits", "_memo", "_seen")

    def __init__(self, limits: HeadLimits) -> None:
        self._limits = limits
        self._decoder = SectionDecoder(_READ_ANYWAY * limits.size)
        self._memo: dict[tuple[bytes, bool], RequestHead] = {}
        self._seen: set[int] = set()
        self._known: dict[Field, bytes] = {}  # what its fields are in HTTP/1.1
        self._changes = 0

    def request(self, section: bytes, *, ended: bool) -> RequestHead:
        """Return a request's head.

        Raises:
            MalformedError: It is none; the connection goes on.
            BadRequestError: It must not be served; the connection goes on.
            Http2Error: The section cannot be decoded, and so no later one.
        """
        key = (section, ended)
        head = self._memo.get(key)
        if head is not None:
            return head
        before = self._changes
        fields = self.fields(section)
        self._check(fields)
        head = read_fields(fields, ended=ended, known=self._known)
        lasts = self._changes == before
        if lasts and len(section) <= _MEMO_BYTES and len(head.block) <= _MEMO_BLOCK:
            self._remember(key, head)
        return head

    def _remember(self, key: tuple[bytes, bool], head: RequestHead) -> None:
        """Remember a head that comes for the second time, as `http1_server` does."""
        seen = hash(key)
        if seen not in self._seen:
            if len(self._seen) >= _MEMO_ENTRIES:
                self._seen.clear()
            self._seen.add(seen)
            return
        if len(self._memo) >= _MEMO_ENTRIES:
            self._memo.clear()
        self._memo[key] = head

    def forget(self) -> None:
        """Let go of what is remembered."""
        self._forget_sections()
        self._known.clear()

    def _forget_sections(self) -> None:
        self._memo.clear()
        self._seen.clear()

    def fields(self, section: bytes) -> list[Field]:
        """Return the fields of any section, trailers among them.

        Raises:
            Http2Error: It cannot be decoded.
        """
        decoder = self._decoder
        try:
            fields = decoder.decode(section)
        except SectionTooLargeError:
            raise Http2Error(ErrorCode.ENHANCE_YOUR_CALM, "head far too large") from None
        except SectionError as error:
            raise Http2Error(ErrorCode.COMPRESSION_ERROR, f"malformed section: {error}") from None
        if decoder.changes != self._changes:
            self._changes = decoder.changes
            self._forget_sections()
        return fields

    def _check(self, fields: list[Field]) -> None:
        limits = self._limits
        # The pseudo-header fields are none of HTTP/1.1, and crumbs of cookies are one field there.
        most = limits.fields + 4
        if len(fields) > most and sum(name != b"cookie" for name, _ in fields) >= most:
            raise BadRequestError("too many fields", status=431)
        size = 0
        for name, value in fields:
            size += len(name) + len(value) + 4
            if name == b":path" and len(value) > limits.target:
                raise BadRequestError("target too long", status=414)
        if size > limits.size:
            raise BadRequestError("head too large", status=431)
