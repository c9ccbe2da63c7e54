"""What a route's answers say of how long they may be kept: `Cache-Control` and `Expires`.

An age is said of what may be kept at all: answers to GET and HEAD with 200, 206 or 304, and with
301 or 308, which browsers keep for ever where nobody says for how long. Not of other redirects,
which nginx's `expires` does: one to the login page would stay. Nor of errors, nor of a page that
came where a script, a style sheet or an image was asked for: single-page applications answer so
what a deployment has taken away or not brought yet.

A route that asks who the client is, by its address, a password or another server, says `private`:
a cache that many share would hand its answers to those who are kept out. RFC 9111, 3.5 keeps such a
cache from it only where the request has an Authorization field.

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
from typing import Generic, Literal, NamedTuple, TypeVar

from proxy.exchange.exchange import Exchange
from proxy.message.edit import FieldEdit
from proxy.message.fields import field_values
from proxy.message.hashed_names import carries_hash
from proxy.message.head import ResponseHead
from proxy.message.http_date import http_date
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

_is_page = re.compile(r"text/html|application/xhtml\+xml", re.IGNORECASE).match
_PARTS_OF_PAGES = (
    ".js", ".mjs", ".css", ".map", ".json", ".wasm", ".svg", ".png", ".jpg", ".jpeg", ".gif",
    ".webp", ".avif", ".ico", ".woff", ".woff2", ".ttf", ".otf",
)  # fmt: skip

Made = TypeVar("Made")


class _Memo(Generic[Made]):
    """What was made of heads, for as long as it holds.

    An upstream's connection hands out one head for one and the same bytes, and what is sent to a
    client is prepared once for a head. So must what is made of it be one and the same object.
    """

    __slots__ = ("_made", "_make", "forget", "known")

    def __init__(self, make: Callable[[ResponseHead], Made]) -> None:
        self._make = make
        self._made: dict[ResponseHead, Made] = {}
        self.known = self._made.get
        self.forget = self._made.clear

    def make(self, head: ResponseHead) -> Made:
        made = self._make(head)
        if len(head.block) <= _LARGEST:
            if len(self._made) >= _MOST_HEADS:
                self._made.clear()
            self._made[head] = made
        return made


class _Aged(NamedTuple):
    """What is made of one head: for any name, and for one that carries a hash."""

    plain: ResponseHead
    hashed: ResponseHead
    is_page: bool


class _Age:
    """Makes heads that say for how long."""

    __slots__ = ("_age", "_expires", "_immutable", "_memo", "_now", "_private", "_second")

    def __init__(
        self, age: int, now: Callable[[], float], *, immutable: bool, private: bool
    ) -> None:
        self._age = age
        self._now = now
        self._immutable = immutable
        self._private = private
        self._second = -1
        self._expires = b""
        self._memo = _Memo(self._aged)

    def shape(self, exchange: Exchange, head: ResponseHead) -> ResponseHead:
        request = exchange.head
        if head.status not in _STATUSES or request.method not in _METHODS:
            return head
        now = self._now()
        if not self._second <= now < self._second + 1:
            self._turn(int(now))
        plain, hashed, is_page = self._memo.known(head) or self._memo.make(head)
        if is_page and request.path.endswith(_PARTS_OF_PAGES):
            return head
        return hashed if self._immutable and carries_hash(request.path) else plain

    def _turn(self, second: int) -> None:
        self._second = second
        self._expires = f"Expires: {http_date(second + self._age)}\r\n".encode()
        self._memo.forget()

    def _aged(self, head: ResponseHead) -> _Aged:
        block = head.block
        said = _said(block)
        if said & {"no-store", "private", "no-cache"}:
            return _Aged(head, head, is_page=False)
        private = "private, " if self._private or field_values(block, "set-cookie") else ""
        expires = b"" if private else self._expires
        value = f"{private}max-age={self._age}"
        rest = _without(block)
        plain = head.with_block(rest + _line(value, said) + expires)
        hashed = plain
        if self._immutable:
            hashed = head.with_block(rest + _line(f"{value}, immutable", said) + expires)
        return _Aged(plain, hashed, any(map(_is_page, field_values(block, "content-type"))))


def cache_age(
    age: int, now: Callable[[], float], *, immutable: bool = False, private: bool = False
) -> Part:
    """Return the part that says for how long answers may be kept.

    Args:
        age: Seconds.
        now: The wall clock, in seconds since 1970.
        immutable: Whether to say `immutable` (RFC 8246) where the file's name carries a hash.
        private: Whether all answers are for those alone who are let in.
    """
    return Part(NAME, shape=_Age(age, now, immutable=immutable, private=private).shape)


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

    memo = _Memo(worded)
    return Part(NAME, shape=lambda _exchange, head: memo.known(head) or memo.make(head))


def _said(block: bytes) -> set[str]:
    """Return what an answer says of itself that matters here.

    `Pragma: no-cache` counts where there is no Cache-Control (RFC 9111, 5.4).
    """
    values = field_values(block, "cache-control") or field_values(block, "pragma")
    return {name.lower() for value in values for name in _directives(value)}


def _line(value: str, said: set[str]) -> bytes:
    more = ", no-transform" if "no-transform" in said else ""
    return f"Cache-Control: {value}{more}\r\n".encode("ascii")
