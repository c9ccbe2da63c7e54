"""Preconditions (RFC 9110, 13): whether a request is to be done, in the standard's own order."""

import re
from enum import Enum
from typing import NamedTuple

from proxy.message.fields import field_values
from proxy.message.http_date import parse_http_date

_any = re.compile(rb"\n(?:[Ii][Ff]-|[Rr][Aa][Nn][Gg][Ee]:)").search
_entity_tags = re.compile(r'(W/)?("[!#-~\x80-\xff]*")').findall
_entity_tag = re.compile(r'"[!#-~\x80-\xff]*"').fullmatch


class Validators(NamedTuple):
    """What tells one state of a resource's representation from another.

    Attributes:
        etag: The entity tag, quotes and all; W/ before it where it is weak; "" for none.
        modified: Seconds of Last-Modified, or None.
        settled: True when nothing can have changed within that very second any more
            (RFC 9110, 8.8.2.2).
    """

    etag: str = ""
    modified: int | None = None
    settled: bool = False


class Outcome(Enum):
    """What preconditions come to: go on, 304, or 412."""

    PASSED = 200
    NOT_MODIFIED = 304
    FAILED = 412


def is_plain(block: bytes) -> bool:
    """Say whether a request's fields hold neither a precondition nor a range."""
    # A line is found by the LF that ends the one before, so the block is led by one.
    return _any(b"\n" + block) is None


def evaluate(method: str, block: bytes, found: Validators, now: float) -> Outcome:
    """Return what a request's preconditions come to for a representation that is there.

    What breaks the grammar counts as not said, but for If-Match: who sends one must not be
    answered as if it held.

    Args:
        method: Of the request.
        block: The request's fields.
        found: Of the representation that would be sent.
        now: Seconds, to read years of two digits by.
    """
    must_match = field_values(block, "if-match")
    if must_match:
        if not _matches(must_match, found.etag, weakly=False):
            return Outcome.FAILED
    else:
        since = _date(block, "if-unmodified-since", now)
        if since is not None and found.modified is not None and found.modified > since:
            return Outcome.FAILED
    if_none = field_values(block, "if-none-match")
    if if_none:
        if _matches(if_none, found.etag, weakly=True):
            return Outcome.NOT_MODIFIED if method in {"GET", "HEAD"} else Outcome.FAILED
    elif method in {"GET", "HEAD"}:
        since = _date(block, "if-modified-since", now)
        if since is not None and found.modified is not None and found.modified <= since:
            return Outcome.NOT_MODIFIED
    return Outcome.PASSED


def range_holds(block: bytes, found: Validators, now: float) -> bool:
    """Say whether If-Range lets the range be served; so does its absence (RFC 9110, 13.1.5)."""
    values = field_values(block, "if-range")
    if not values:
        return True
    if len(values) > 1:
        return False
    if _entity_tag(values[0]):  # a weak one matches nothing here
        return values[0] == found.etag
    return (
        found.modified is not None
        and found.settled
        and parse_http_date(values[0], now) == found.modified
    )


def _matches(values: list[str], etag: str, *, weakly: bool) -> bool:
    if values == ["*"]:
        return True
    opaque = etag.removeprefix("W/")
    if not opaque or (not weakly and opaque != etag):
        return False
    return any(
        tag == opaque and (weakly or not weak)
        for value in values
        for weak, tag in _entity_tags(value)
    )


def _date(block: bytes, name: str, now: float) -> int | None:
    """Return the date of a field; of several none, for it is no list."""
    values = field_values(block, name)
    return parse_http_date(values[0], now) if len(values) == 1 else None
