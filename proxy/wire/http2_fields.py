"""Answers' fields in HPACK (RFC 7541), from the field blocks that the rest of the house uses.

Nothing is put into the client's dynamic table: so an encoded line is the same on every connection
at any time, and is made once. What indexes would save in bytes costs more in looking them up.
"""

from functools import lru_cache

from hpack.table import HeaderTable

_NAMES = {
    name: index + 1 for index, (name, _) in reversed(list(enumerate(HeaderTable.STATIC_TABLE)))
}
_STATUSES = {
    value: index + 1
    for index, (name, value) in enumerate(HeaderTable.STATIC_TABLE)
    if name == b":status"
}
_STATUS_NAME = _NAMES[b":status"]
_SECRET = frozenset((b"set-cookie", b"authorization", b"www-authenticate"))
_NOT_REMEMBERED = (b"set-cookie", b"location:")
_MOST_LINES = 4096
_LONGEST_LINE = 512  # bytes; a longer line is not remembered


def _integer(value: int, bits: int, first: int) -> bytes:
    """Return an integer with a prefix of so many bits, the others as in `first` (5.1)."""
    highest = (1 << bits) - 1
    if value < highest:
        return bytes((first | value,))
    out = bytearray((first | highest,))
    value -= highest
    while value >= 0x80:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


def _literal(name: bytes, value: bytes) -> bytes:
    """Return a literal field that no table takes in (6.2.2); a secret one, nobody's (6.2.3)."""
    first = 0x10 if name in _SECRET else 0x00
    index = _NAMES.get(name)
    head = (
        _integer(index, 4, first) if index else bytes((first,)) + _integer(len(name), 7, 0) + name
    )
    return head + _integer(len(value), 7, 0) + value


def _line(line: bytes) -> bytes:
    name, _, value = line.partition(b":")
    return _literal(name.lower(), value.strip(b" \t"))


_remembered = lru_cache(maxsize=_MOST_LINES)(_line)


@lru_cache(maxsize=1024)
def _status(status: int) -> bytes:
    value = b"%d" % status
    index = _STATUSES.get(value)
    if index is not None:
        return bytes((0x80 | index,))
    return _integer(_STATUS_NAME, 4, 0) + _integer(len(value), 7, 0) + value


def encode_head(status: int, block: bytes, length: int | None) -> bytes:
    """Return an answer's field section.

    Args:
        status: 100..999.
        block: The fields, as a field block in strict grammar.
        length: Of the body, where it is known.
    """
    parts = [_status(status)]
    for line in block.split(b"\r\n")[:-1]:
        # No memory of ours outlives a connection that a secret went through; redirects carry some.
        begin = line[:10].lower()
        common = len(line) <= _LONGEST_LINE and not begin.startswith(_NOT_REMEMBERED)
        parts.append(_remembered(line) if common else _line(line))
    if length is not None:
        parts.append(_literal(b"content-length", b"%d" % length))
    return b"".join(parts)


def encode_trailers(block: bytes) -> bytes:
    """Return the field section of trailers."""
    return b"".join(_line(line) for line in block.split(b"\r\n")[:-1])
