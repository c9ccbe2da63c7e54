"""Content codings for what a route's handler answers: which answers, and what their heads then say.

An answer is encoded when it is of a type that shrinks, is long enough (or of unknown length), and
nobody forbids it: neither `no-transform` on either side, nor a coding that it has already, nor a
part of something larger (206, Content-Range). What may stream (server-sent events,
`X-Accel-Buffering: no`) and gRPC, whose frames have a coding of their own, are left alone.

zstd and gzip cost about the same; br costs five times as much and is used for answers in passing
only where the client takes none of the others that are configured. HTTP/1.0 gets no coding, as in
nginx: an answer that loses its length could end there only with the connection, and its client
could not tell it from one cut short. Nor does a request with Range that is answered with the whole
(200): who counts bytes goes on with a Range behind it, under the strong ETag that is left to it.

The head of an encoded answer differs from the handler's (RFC 9110, 8.8.3.3 and 14.3; RFC 9530):
its ETag is weak, since bytes differ from those it was made for; Accept-Ranges and all digests go,
which are of other bytes; its length goes. `Vary: Accept-Encoding` stands on every answer that some
client would get encoded (RFC 9110, 12.5.5).

An answer that holds a secret beside something its asker chose lets whoever sees lengths guess the
secret (BREACH). No proxy can tell which answers do: such routes say `compress: off`.
"""

import re
from collections.abc import Callable

from proxy.exchange.exchange import Exchange
from proxy.message.accept_encoding import acceptable_in
from proxy.message.edit import FieldEdit, either_case
from proxy.message.fields import field_values
from proxy.message.head import ResponseHead
from proxy.policy.encoders import OPEN, OpenStreams
from proxy.policy.part import Encoder, Part

NAME = "compression"

_MOST_PLANS = 64
_LONGEST_BLOCK = 2048  # blocks of answers to remember; an upstream repeats its own within a second

_NOT_WHOLE = frozenset({204, 205, 206, 304})
_NEVER = "(?!application/grpc|text/event-stream)"

_OF_OTHER_BYTES = (
    "content-encoding", "accept-ranges", "content-md5", "digest", "content-digest", "repr-digest",
)  # fmt: skip
OF_OTHER_BYTES = FieldEdit(_OF_OTHER_BYTES)
"""Takes out of a head, or out of trailers, what is not true of the encoded body.

Content-Encoding is among them since one that says `identity` makes way for ours. Repr-Digest goes
because a representation is what it is after its coding (RFC 9530, 3); Unencoded-Digest may stay.
"""

_WRONG = frozenset(name.encode() for name in _OF_OTHER_BYTES)
_NAMES = ("content-type", "content-range", "vary", "etag", *_OF_OTHER_BYTES)
_find_fields = re.compile(
    rf"\n({'|'.join(map(either_case, _NAMES))}):[ \t]*([^\r\n]*)".encode()
).findall
_LEFT_ALONE = re.compile(
    (
        rf"\n(?:{either_case('range')}:"
        rf"|{either_case('cache-control')}:[^\r\n]*{either_case('no-transform')})"
    ).encode()
).search
_NO_VARY = FieldEdit(["vary"])
_STRONG_TAG = re.compile(rf"(\n{either_case('etag')}:[ \t]*)(?=\")".encode())
_NO_TAG = FieldEdit(["etag"])

_Told = dict[bytes, bytes]
"""The fields of an answer that matter here: by lower-case name, those of one name joined."""


class _Plan:
    """What the answers with one field block become, if they are to be encoded for somebody."""

    __slots__ = ("_base", "_encoded", "_head", "_varied")

    def __init__(self, block: bytes, told: _Told) -> None:
        varied = _varied(block, told)
        self._varied = None if varied is block else varied
        self._base = OF_OTHER_BYTES.apply(varied) if not _WRONG.isdisjoint(told) else varied
        if b"etag" in told:
            self._base = _weakened(self._base, told[b"etag"])
        self._encoded: dict[str, bytes] = {}
        self._head: ResponseHead | None = None  # the last one of `plain`

    def plain(self, head: ResponseHead) -> ResponseHead:
        """Return the head for an answer that goes out as it is; the same for one that repeats."""
        if self._varied is None:
            return head
        made = self._head
        if (
            made is None
            or made.content_length != head.content_length
            or made.status != head.status
            or made.reason != head.reason
        ):
            made = self._head = head.with_block(self._varied)
        return made

    def encoded(self, head: ResponseHead, coding: str) -> ResponseHead:
        """Return a new head for an answer that is encoded."""
        block = self._encoded.get(coding)
        if block is None:
            block = self._base + f"Content-Encoding: {coding}\r\n".encode("ascii")
            self._encoded[coding] = block
        made = head.with_block(block)
        made.content_length = None
        return made


class Compression:
    """The answers of routes that are compressed alike."""

    __slots__ = (
        "_cheap",
        "_dear",
        "_is_compressible",
        "_min_size",
        "_plans",
        "_streams",
    )

    def __init__(
        self,
        codings: tuple[str, ...],
        types: tuple[str, ...],
        min_size: int,
        streams: OpenStreams = OPEN,
    ) -> None:
        """See `compression`."""
        cheap = tuple(name for name in codings if name != "br")
        self._cheap = cheap or codings
        self._dear = codings if cheap and cheap != codings else ()
        self._is_compressible = type_matcher(types)
        self._min_size = min_size
        self._streams = streams
        self._plans: dict[bytes, _Plan | None] = {}

    def encode(self, exchange: Exchange, head: ResponseHead) -> tuple[ResponseHead, Encoder | None]:
        """Decide by the head of an answer; see `policy.part.Encode`.

        HEAD gets the head that GET would get, and no encoder.
        """
        length = head.content_length
        status = head.status
        if head.streaming or (length is not None and length < self._min_size and status != 304):
            return head, None
        if status in _NOT_WHOLE or status < 200:
            return (self._not_modified(exchange, head) if status == 304 else head), None
        try:
            plan = self._plans[head.block]
        except KeyError:
            plan = self._planned(head.block)
        if plan is None:
            return head, None
        for coding in self._wanted(exchange):
            if exchange.head.method == "HEAD":
                return plan.encoded(head, coding), None
            encoder = self._streams.open(coding)
            if encoder is not None:
                return plan.encoded(head, coding), encoder
        return plan.plain(head), None

    def _planned(self, block: bytes) -> _Plan | None:
        plans = self._plans
        told = _told(block)
        plan = _Plan(block, told) if self._may_be_encoded(told) else None
        if len(block) <= _LONGEST_BLOCK:
            if len(plans) >= _MOST_PLANS:
                plans.clear()
            plans[block] = plan
        return plan

    def _may_be_encoded(self, told: _Told) -> bool:
        return self._is_compressible(told.get(b"content-type", b"")) and _is_plain(told)

    def _wanted(self, exchange: Exchange) -> tuple[str, ...]:
        """Return the codings that the client would get, best first."""
        request = exchange.head
        block = request.block
        taken = acceptable_in(block, self._cheap)
        if not taken and self._dear:
            taken = acceptable_in(block, self._dear)
        if not taken or request.version == "HTTP/1.0" or _LEFT_ALONE(b"\n" + block):
            return ()
        return taken

    def _not_modified(self, exchange: Exchange, head: ResponseHead) -> ResponseHead:
        """Return the head of a 304, so that it speaks of what the client has.

        It carries the Vary that a 200 would have (RFC 9110, 15.4.5); most tell no Content-Type, so
        it may be told too often, which costs a cache little. Its ETag is weak if the client has the
        answer under the weak one: a cache that is told a strong one may not update an answer with
        a weak one (RFC 9111, 4.3.4). A client that named the strong one has what it belongs to,
        from a time when it took no coding or since it is never encoded, and finds it by that.
        """
        block = head.block
        told = _told(block)
        kind = told.get(b"content-type")
        if (kind is not None and not self._is_compressible(kind)) or not _is_plain(told):
            return head
        edited = _varied(block, told)
        tag = told.get(b"etag", b"")
        if tag.startswith(b'"') and self._wanted(exchange):
            had = field_values(exchange.head.block, "if-none-match")
            if any("W/" + tag.decode("latin-1") in value for value in had):
                edited = _weakened(edited, tag)
        return head if edited is block else head.with_block(edited)


def compression(
    codings: tuple[str, ...], types: tuple[str, ...], min_size: int, streams: OpenStreams = OPEN
) -> Part:
    """Return the part that encodes a route's answers.

    Args:
        codings: Of `encoders.CODINGS`, most wanted first; clients' weights come before that.
        types: Media types in lower case, in which `*` stands for anything.
        min_size: Answers with fewer bytes go out as they are.
        streams: Makes the encoders.
    """
    return Part(NAME, encode=Compression(codings, types, min_size, streams).encode)


def type_matcher(patterns: tuple[str, ...]) -> Callable[[bytes], bool]:
    """Return what tells whether the value of a Content-Type field matches one of some patterns."""
    spelt = "|".join(re.escape(each).replace(r"\*", r"[^;,\s]*") for each in patterns)
    match = re.compile(rf"{_NEVER}(?:{spelt})[ \t]*(?:;|\Z)".encode(), re.IGNORECASE).match
    return lambda value: match(value) is not None


def _told(block: bytes) -> _Told:
    told: _Told = {}
    # A line is found by the LF that ends the one before, so the block is led by one.
    for spelt, value in _find_fields(b"\n" + block):
        name = spelt.lower()
        told[name] = told[name] + b", " + value if name in told else value
    return told


def _is_plain(told: _Told) -> bool:
    """Tell whether an answer is neither encoded already nor a part of something larger."""
    coding = told.get(b"content-encoding", b"identity").rstrip(b" \t").lower()
    return coding == b"identity" and b"content-range" not in told


def _varied(block: bytes, told: _Told) -> bytes:
    """Return `block` with Accept-Encoding in its Vary; the same object where it is."""
    vary = told.get(b"vary")
    if vary is None:
        return block + b"Vary: Accept-Encoding\r\n"
    names = {name.strip(b" \t") for name in vary.lower().split(b",")}
    if b"accept-encoding" in names or b"*" in names:
        return block
    values = vary.strip(b", \t")
    line = b"Vary: %b, Accept-Encoding\r\n" % values if values else b"Vary: Accept-Encoding\r\n"
    return _NO_VARY.apply(block) + line


def _weakened(block: bytes, tag: bytes) -> bytes:
    """Return `block`, which has `tag` for an ETag, with a weak one (RFC 9110, 8.8.1).

    A tag that breaks the grammar goes: nobody knows how to make it weak (nginx does the same).
    """
    if tag.startswith(b'"'):
        return _STRONG_TAG.sub(rb"\1W/", b"\n" + block)[1:]
    return block if tag.startswith(b'W/"') else _NO_TAG.apply(block)
