"""Byte ranges (RFC 9110, 14): which parts of a body are asked for, and how several travel.

Ranges that overlap, or nearly touch, are sent as one, so that no answer is longer than the body
and a few lines; a request for more ranges than anybody needs is answered with the whole body.
"""

import re
from typing import NamedTuple

_MOST_RANGES = 32
_NEAR = 80
"""Bytes between two ranges that cost less than the head of another part (RFC 9110, 15.3.7.2)."""

_LONGEST = 18  # digits; what is more is more than any body
_spec = re.compile(r"[ \t]*(\d*)-(\d*)[ \t]*", re.ASCII).fullmatch


class ByteRange(NamedTuple):
    """A part of a body: its first byte, and the one behind its last."""

    first: int
    end: int

    @property
    def size(self) -> int:
        """Return how many bytes it has."""
        return self.end - self.first

    def content_range(self, size: int) -> bytes:
        """Return the Content-Range field of the part of a body of `size` bytes."""
        return b"Content-Range: bytes %d-%d/%d\r\n" % (self.first, self.end - 1, size)


def unsatisfied(size: int) -> bytes:
    """Return the Content-Range field of 416 (RFC 9110, 15.5.17)."""
    return b"Content-Range: bytes */%d\r\n" % size


def parse_ranges(value: str, size: int) -> tuple[ByteRange, ...] | None:
    """Return the parts that a Range field asks for, in its order.

    Args:
        value: Of the field.
        size: Of the whole body, in bytes.

    Returns:
        None where the field is to be ignored: another unit, a wrong grammar, too many ranges. An
        empty tuple where there is no such part: the answer is 416.
    """
    unit, equals, specs = value.partition("=")
    if unit.strip(" \t").lower() != "bytes" or not equals:
        return None
    wanted: list[ByteRange] = []
    for count, spec in enumerate(filter(str.strip, specs.split(",", 4 * _MOST_RANGES))):
        one = _read(spec, size) if count < _MOST_RANGES else None
        if one is None:
            return None
        if one.size > 0:
            wanted.append(one)
    if not wanted and not specs.strip(" \t,"):
        return None
    return _joined(wanted)


def _read(spec: str, size: int) -> ByteRange | None:
    """Return one range, empty where it lies behind the body; None where it is none."""
    found = _spec(spec)
    if found is None:
        return None
    first, last = found[1], found[2]
    if not first:
        if not last:
            return None
        # Of an empty body nothing can be a part, yet its end was asked for, and this is it.
        return ByteRange(max(0, size - _number(last)), size) if size else None
    if last and _number(last) < _number(first):
        return None
    end = min(size, _number(last) + 1) if last else size
    return ByteRange(min(_number(first), size), end)


def _number(digits: str) -> int:
    digits = digits.lstrip("0")
    return int(digits or "0") if len(digits) <= _LONGEST else 10**_LONGEST


def _joined(wanted: list[ByteRange]) -> tuple[ByteRange, ...]:
    """Return ranges with those that overlap or nearly touch made one, where the first stood."""
    groups: list[tuple[int, ByteRange]] = []
    for place, one in sorted(enumerate(wanted), key=lambda item: item[1]):
        if groups and one.first <= groups[-1][1].end + _NEAR:
            before, held = groups[-1]
            groups[-1] = min(before, place), ByteRange(held.first, max(held.end, one.end))
        else:
            groups.append((place, one))
    return tuple(one for _, one in sorted(groups))


class Multipart(NamedTuple):
    """Several parts as one body: multipart/byteranges (RFC 9110, 14.6).

    Attributes:
        content_type: Of the answer.
        parts: The bytes before each part, and the part.
        closing: The bytes behind the last one.
    """

    content_type: str
    parts: tuple[tuple[bytes, ByteRange], ...]
    closing: bytes

    @property
    def size(self) -> int:
        """Return the length of the whole."""
        return sum(len(lead) + part.size for lead, part in self.parts) + len(self.closing)


def multipart(
    ranges: tuple[ByteRange, ...], size: int, content_type: str, boundary: str
) -> Multipart:
    """Put several parts of a body together.

    Args:
        ranges: Two or more.
        size: Of the whole body.
        content_type: Of the body.
        boundary: What nobody can have put into the body: random letters and digits.
    """
    lead = f"\r\n--{boundary}\r\nContent-Type: {content_type}\r\n".encode("latin-1")
    return Multipart(
        f"multipart/byteranges; boundary={boundary}",
        tuple((lead + one.content_range(size) + b"\r\n", one) for one in ranges),
        f"\r\n--{boundary}--\r\n".encode("ascii"),
    )
