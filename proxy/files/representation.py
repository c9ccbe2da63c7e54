"""One form of a file as it may be sent, and what a request for it comes to (RFC 9110, 13 to 15).

An entity tag is made of a file's size and the time of its last change, as nginx, Caddy and Apache
make it, so that machines with copies of the same files agree on it. Two changes may fall into one
tick of the file system's clock: for as long as another one could, the tag is a weak one, and no
range is continued by it. Files whose time was set to the dawn of time, as image builders do for
images that can be built again, have a tag by the time they were put in place.
"""

import secrets
from collections.abc import Sequence
from typing import NamedTuple

from proxy.errors import BadRequestError
from proxy.files.finding import Signature
from proxy.message.conditional import Outcome, Validators, evaluate, is_plain, range_holds
from proxy.message.fields import field_values
from proxy.message.head import RequestHead, ResponseHead
from proxy.message.http_date import http_date
from proxy.message.ranges import ByteRange, Multipart, multipart, parse_ranges, unsatisfied
from proxy.message.status import reason

_SETTLED = 2.0  # seconds after which no other change can have the same time; FAT has steps of two
_DAWN = 366 * 86400 * 10  # builders use 0, 1, and the first day that a ZIP file knows, in 1980
_NANOSECONDS = 1_000_000_000

Piece = bytes | ByteRange
"""A piece of a body: bytes as they are, or a part of the file."""


def validators(of: Signature, coding: str, now: float) -> Validators:
    """Return what tells this state of a file from others.

    Args:
        of: The signature of what is sent.
        coding: Its content coding, "" for none.
        now: Wall clock seconds.
    """
    seconds = of.mtime_ns // _NANOSECONDS
    opaque = f"{of.mtime_ns:x}-{of.size:x}"
    known = seconds > _DAWN
    if not known:
        opaque += f"-{of.ctime_ns:x}"
    if coding:
        opaque += f"-{coding}"
    last = of.mtime_ns if known else of.ctime_ns
    settled = last / _NANOSECONDS + _SETTLED <= now
    # A time to come is none to tell (RFC 9110, 8.8.2.1).
    modified = seconds if known and seconds <= now else None
    return Validators(f'"{opaque}"' if settled else f'W/"{opaque}"', modified, settled)


class Representation:
    """See the module's docstring.

    Attributes:
        size: In bytes.
        validators: See there.
    """

    __slots__ = ("_coding", "_content_type", "_vary", "size", "validators")

    def __init__(
        self, content_type: str, size: int, found: Validators, coding: str = "", *, vary: bool
    ) -> None:
        """Take what is known of a file, or of a neighbour.

        Args:
            content_type: Of the file itself.
            size: Of what is sent.
            found: Of what is sent.
            coding: Of what is sent; "" for the file as it is.
            vary: True where another client might get another coding.
        """
        self._content_type = content_type
        self._coding = coding
        self._vary = vary
        self.size = size
        self.validators = found

    def head(self) -> ResponseHead:
        """Return the head of an answer with all of it."""
        return self._head(200, self.size, self._content_type)

    def _head(self, status: int, length: int, content_type: str, more: bytes = b"") -> ResponseHead:
        lines = f"Content-Type: {content_type}\r\n"
        if self._coding:
            lines += f"Content-Encoding: {self._coding}\r\n"
        lines += "Accept-Ranges: bytes\r\n"
        head = ResponseHead(
            status, reason(status), lines.encode("latin-1") + more + self._validator_fields()
        )
        head.content_length = length
        return head

    def _validator_fields(self) -> bytes:
        lines = ""
        if self.validators.modified is not None:
            lines += f"Last-Modified: {http_date(self.validators.modified)}\r\n"
        lines += f"ETag: {self.validators.etag}\r\n"
        if self._vary:
            lines += "Vary: Accept-Encoding\r\n"
        return lines.encode("latin-1")

    def unchanged(self) -> ResponseHead:
        """Return the head that says that the client has it already (RFC 9110, 15.4.5)."""
        return ResponseHead(304, reason(304), self._validator_fields())

    def part(self, one: ByteRange) -> ResponseHead:
        """Return the head of an answer with a part of it."""
        return self._head(206, one.size, self._content_type, one.content_range(self.size))

    def parts(self, ranges: tuple[ByteRange, ...]) -> tuple[ResponseHead, Multipart]:
        """Return the head of an answer with several parts of it, and how they are put together."""
        several = multipart(ranges, self.size, self._content_type, secrets.token_hex(16))
        return self._head(206, several.size, several.content_type), several


class Reply(NamedTuple):
    """What a request comes to: a head, and what of the file is its body.

    Attributes:
        head: `content_length` is set, but with 304.
        pieces: In order. Those of a request for HEAD are not to be sent.
    """

    head: ResponseHead
    pieces: Sequence[Piece]


def reply(request: RequestHead, of: Representation, now: float) -> Reply:
    """Return what a GET or HEAD comes to.

    Args:
        request: Its head.
        of: What there is for it.
        now: Wall clock seconds.

    Raises:
        BadRequestError: A precondition failed (412), or there is no such part (416).
    """
    whole = (ByteRange(0, of.size),) if of.size else ()
    block = request.block
    if is_plain(block):
        return Reply(of.head(), whole)
    outcome = evaluate(request.method, block, of.validators, now)
    if outcome is Outcome.NOT_MODIFIED:
        return Reply(of.unchanged(), ())
    if outcome is Outcome.FAILED:
        raise BadRequestError("a precondition failed", status=412)
    ranges = _ranges(request, of, now)
    if ranges is None:
        return Reply(of.head(), whole)
    if not ranges:
        raise BadRequestError("no such range", status=416, fields=unsatisfied(of.size))
    if len(ranges) == 1:
        return Reply(of.part(ranges[0]), ranges)
    head, several = of.parts(ranges)
    pieces = [piece for lead, part in several.parts for piece in (lead, part)]
    return Reply(head, [*pieces, several.closing])


def _ranges(request: RequestHead, of: Representation, now: float) -> tuple[ByteRange, ...] | None:
    """Return the parts asked for, or None where all of it is to be sent (RFC 9110, 14.2)."""
    if request.method != "GET":
        return None
    values = field_values(request.block, "range")
    if len(values) != 1 or not range_holds(request.block, of.validators, now):
        return None
    return parse_ranges(values[0], of.size)
