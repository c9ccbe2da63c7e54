"""What a route's answers say of how long they may be kept: `Cache-Control` and `Expires`.

An age is said of what may be kept at all: answers to GET and HEAD with 200, 206 or 304, and with
301 or 308, which browsers keep for ever where nobody says for how long. Not of other redirects,
which nginx's `expires` does: one to the login page would stay. Nor of errors.

Who serves the answer knows best what must not be kept. An answer that says `no-store`, `private` or
`no-cache` of itself goes out as it is; one that sets a cookie becomes `private` and has no
`Expires`, the one thing that a cache without Cache-Control goes by. Everything else that an answer
says of its age is replaced, but for `no-transform`, which speaks of other things.

The words `no-store` and `no-cache` are said of every answer, whatever its status. They replace what
it says, but `no-cache` takes no `no-store` and no `private` away.

Fields set by `response_headers` come later and replace these.
"""

import re
from collections.abc import Callable
from email.utils import formatdate
from typing import Literal

from proxy.exchange.exchange import Exchange
from proxy.message.edit import FieldEdit
from proxy.message.fields import field_values
from proxy.message.hashed_names import carries_hash
from proxy.message.head import ResponseHead
from proxy.policy.part import Part

NAME = "cache_headers"

_METHODS = frozenset({"GET", "HEAD"})
_STATUSES = frozenset({200, 206, 301, 304, 308})
_MOST_HEADS = 64
_LARGEST = 2048
"""Bytes of a head that is remembered; upstream connections remember none that is larger."""

_without = FieldEdit(("cache-control", "expires", "pragma")).apply
_directives = re.compile(
    r"(?:\A|,)[ \t]*(no-store|private|no-cache|no-transform)(?=[ \t]*(?:[,=]|\Z))", re.IGNORECASE
).findall

Make = Callable[[ResponseHead], ResponseHead]


class _Shaped:
    """What was made of heads, for as long as it holds.

    An upstream's connection hands out one head for one and the same bytes, and what is sent to a
    client is prepared once for a head. So must what is made of it be one and the same object.
    """

    __slots__ = ("_made", "_make")

    def __init__(self, make: Make) -> None:
        self._make = make
        self._made: dict[ResponseHead, ResponseHead] = {}

    def of(self, head: ResponseHead) -> ResponseHead:
        made = self._made.get(head)
        if made is None:
            if len(head.block) > _LARGEST:
                return self._make(head)
            if len(self._made) >= _MOST_HEADS:
                self._made.clear()
            made = self._made[head] = self._make(head)
        return made

    def forget(self) -> None:
        self._made.clear()


class _Age:
    """Makes heads that say for how long."""

    __slots__ = ("_age", "_expires", "_hashed", "_immutable", "_now", "_plain", "_second")

    def __init__(self, age: int, now: Callable[[], float], *, immutable: bool) -> None:
        self._age = age
        self._now = now
        self._immutable = immutable
        self._second = -1
        self._expires = b""
        self._plain = _Shaped(lambda head: self._aged(head, ""))
        self._hashed = _Shaped(lambda head: self._aged(head, ", immutable"))

    def shape(self, exchange: Exchange, head: ResponseHead) -> ResponseHead:
        request = exchange.head
        if head.status not in _STATUSES or request.method not in _METHODS:
            return head
        now = self._now()
        if not self._second <= now < self._second + 1:
            self._turn(int(now))
        if self._immutable and carries_hash(request.path):
            return self._hashed.of(head)
        return self._plain.of(head)

    def _turn(self, second: int) -> None:
        self._second = second
        self._expires = f"Expires: {formatdate(second + self._age, usegmt=True)}\r\n".encode()
        self._plain.forget()
        self._hashed.forget()

    def _aged(self, head: ResponseHead, more: str) -> ResponseHead:
        block = head.block
        said = _said(block)
        if said & {"no-store", "private", "no-cache"}:
            return head
        private = "private, " if field_values(block, "set-cookie") else ""
        line = _line(f"{private}max-age={self._age}{more}", said)
        return head.with_block(_without(block) + line + (b"" if private else self._expires))


def cache_age(age: int, now: Callable[[], float], *, immutable: bool = False) -> Part:
    """Return the part that says for how long answers may be kept.

    Args:
        age: Seconds.
        now: The wall clock, in seconds since 1970.
        immutable: Whether to say `immutable` (RFC 8246) where the file's name carries a hash.
    """
    return Part(NAME, shape=_Age(age, now, immutable=immutable).shape)


def cache_word(word: Literal["no-store", "no-cache"]) -> Part:
    """Return the part that says that answers are not kept, or not used without asking again."""

    def worded(head: ResponseHead) -> ResponseHead:
        block = head.block
        said = _said(block)
        value: str = word
        if word == "no-cache":
            if "no-store" in said:
                return head
            if "private" in said or field_values(block, "set-cookie"):
                value = "private, no-cache"
        return head.with_block(_without(block) + _line(value, said))

    shaped = _Shaped(worded)
    return Part(NAME, shape=lambda _exchange, head: shaped.of(head))


def _said(block: bytes) -> set[str]:
    """Return what an answer says of itself that matters here.

    `Pragma: no-cache` counts where there is no Cache-Control (RFC 9111, 5.4).
    """
    values = field_values(block, "cache-control") or field_values(block, "pragma")
    return {name.lower() for value in values for name in _directives(value)}


def _line(value: str, said: set[str]) -> bytes:
    more = ", no-transform" if "no-transform" in said else ""
    return f"Cache-Control: {value}{more}\r\n".encode("ascii")
