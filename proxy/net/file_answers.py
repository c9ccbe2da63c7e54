"""Answers with a file: made once for what repeats, sent from memory or as a stream.

A file without a precompressed neighbour is encoded as the route has it: a small one once, in a
thread, and kept in the cache; a large one as it passes. Neither is offered in parts: who asks for a
range gets one of the file itself. What answers for a path where there is nothing says `no-cache`,
which an age that the route gives its answers does not replace: there may be something tomorrow.
"""

import asyncio
import errno
import logging
from collections.abc import Callable, Hashable, Sequence
from functools import partial
from typing import Protocol

from proxy.clock import wall_time
from proxy.errors import Fault, ProxyError
from proxy.exchange.answer import Answer
from proxy.exchange.exchange import Exchange
from proxy.files.cache import Entry, Ready
from proxy.files.finding import Sighting, Signature
from proxy.files.representation import Piece, Representation, reply, validators
from proxy.message.conditional import is_plain
from proxy.message.content_type import content_type
from proxy.message.fields import field_values
from proxy.message.head import RequestHead, ResponseHead
from proxy.net.file_desk import FileDesk
from proxy.net.file_stream import FileStream
from proxy.net.shaping import Shaping
from proxy.policy.encoders import compress_once
from proxy.policy.part import Encode, Encoder, Shape

_log = logging.getLogger("pyproxy.files")
_BUSY = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.EAGAIN})
_UNCACHED = b"Cache-Control: no-cache\r\n"


class Service(Protocol):
    """What file handlers take of the worker; see `service.Service`."""

    date_line: bytes
    files: FileDesk

    def fail(self, exchange: Exchange, error: ProxyError) -> None:
        """Answer an error."""


class Pending:
    """An exchange that waits for a thread. Implements `Consumer`.

    Attributes:
        exchange: What waits.
        full: True while the client has not read what it was sent before.
    """

    __slots__ = ("exchange", "full")

    def __init__(self, exchange: Exchange) -> None:
        self.exchange = exchange
        self.full = False
        exchange.consumer = self

    @property
    def wanted(self) -> bool:
        """Say whether the client is still there."""
        return self.exchange.consumer is self

    def body_received(self, data: bytes) -> None:
        """Throw away what nobody asked for."""

    def body_ended(self, trailers: bytes) -> None:
        """Nothing waits for it."""

    def client_full(self) -> None:
        """Take note."""
        self.full = True

    def client_ready(self) -> None:
        """Take note."""
        self.full = False

    def client_gone(self) -> None:
        """The exchange has no consumer any more: that tells all."""


class FileAnswers:
    """The answers of one route. See the module's docstring."""

    __slots__ = ("_encode", "_service", "_shaping")

    def __init__(self, service: Service, shapes: tuple[Shape, ...], encode: Encode | None) -> None:
        self._service = service
        self._shaping = Shaping(shapes, None) if shapes else None
        self._encode = encode

    def send(self, exchange: Exchange, ready: Ready) -> None:
        """Send an answer, maybe once more.

        Raises:
            ProxyError: It is to be answered in its place.
        """
        head = ready.dated(self._service.date_line)
        if self._shaping is not None:
            head, _ = self._shaping.begin(exchange, head)
        if ready.body and exchange.head.method == "GET":
            exchange.stream.send_whole(exchange, head, ready.body)
        else:
            exchange.stream.send_answer(exchange, Answer(head))

    def repeat(self, exchange: Exchange, entry: Entry, codings: tuple[str, ...]) -> bool:
        """Answer from the cache; False if what the client wants is not in it."""
        ready = entry.ready.get(self._key(exchange.head, codings))
        if ready is not None:
            exchange.plan = ready
            self.send(exchange, ready)
            return True
        coding = next((each for each in codings if each in entry.neighbours), "")
        body = entry.bodies.get(entry.neighbours[coding] if coding else entry.of)
        if body is None:
            return False
        self.whole(exchange, entry, codings, coding, body)
        return True

    def _key(self, request: RequestHead, codings: tuple[str, ...]) -> Hashable:
        """Return all that an answer depends on beside the file; None where that is still more."""
        if not is_plain(request.block):
            return None
        if self._encode is None:
            return codings
        if request.version == "HTTP/1.0" or b"-transform" in request.block:
            return None
        return codings, request.method

    def whole(
        self,
        exchange: Exchange,
        entry: Entry,
        codings: tuple[str, ...],
        coding: str,
        body: bytes,
        *,
        fallback: bool = False,
    ) -> None:
        """Answer with a small file.

        Args:
            exchange: Whom to answer.
            entry: Of the cache, for what the exchange asks for.
            codings: What the client takes, best first.
            coding: Of the body: one of the entry's neighbours, or "" for the file itself.
            body: All of it.
            fallback: See the module's docstring.

        Raises:
            ProxyError: It is to be answered in place of the file: a precondition failed, say.
        """
        of = entry.neighbours[coding] if coding else entry.of
        vary = bool(entry.neighbours)
        form, head, pieces = _found(exchange, entry.name, of, coding, vary=vary)
        head, encoder = self._dressed(exchange, head, coding, fallback=fallback)
        draft = _Draft(exchange, entry, None, head)
        # What may change unseen within the second, or is not this path's own, is made every time.
        if form.validators.settled and not fallback and head.status in {200, 304}:
            draft.key = 304 if head.status == 304 else self._key(exchange.head, codings)
        if encoder is None:
            self._finish(draft, _joined(pieces, body))
        else:
            self._finish_encoded(draft, body)

    def stream(self, exchange: Exchange, sighting: Sighting, *, full: bool) -> None:
        """Answer with a large file.

        Args:
            exchange: Whom to answer.
            sighting: What there is; its `fd` is taken if it is needed.
            full: True while the client has not read what it was sent before.

        Raises:
            ProxyError: As in `whole`.
        """
        coding, fallback = sighting.coding, sighting.fallback
        vary = bool(sighting.neighbours)
        _, head, pieces = _found(exchange, sighting.name, sighting.signature, coding, vary=vary)
        head, encoder = self._dressed(exchange, head, coding, fallback=fallback)
        if not pieces or exchange.head.method == "HEAD":
            self.send(exchange, Ready(head, b"", 0.0))
            return
        if self._shaping is not None:
            head, _ = self._shaping.begin(exchange, head)
        desk = self._service.files
        stream = FileStream(exchange, sighting.fd, pieces, desk, self._service, encoder)
        sighting.fd = -1
        exchange.stream.send_head(exchange, head)
        stream.start(full=full)

    def _dressed(
        self, exchange: Exchange, head: ResponseHead, coding: str, *, fallback: bool
    ) -> tuple[ResponseHead, Encoder | None]:
        if fallback:
            head.block += _UNCACHED
        if self._encode is None or coding:
            return head, None
        return self._encode(exchange, head)

    def _finish(self, draft: "_Draft", body: bytes) -> None:
        exchange, entry = draft.exchange, draft.entry
        ready = Ready(draft.head, body, entry.until)
        if draft.key is not None:
            exchange.plan = ready
            if ready.head.status == 200:
                self._service.files.cache.keep(entry, draft.key, ready)
        self.send(exchange, ready)

    def _finish_encoded(self, draft: "_Draft", body: bytes) -> None:
        """Send what is kept of a file's coding, or have it made."""
        entry = draft.entry
        coding = field_values(draft.head.block, "content-encoding")[-1]
        encoded = entry.encoded.get(coding)
        if encoded is not None:
            draft.head.content_length = len(encoded)
            self._finish(draft, encoded)
            return
        pending = Pending(draft.exchange)
        desk = self._service.files

        def made(done: "asyncio.Future[bytes]") -> None:
            if done.cancelled():  # the worker ends, and its connections with it
                return
            if done.exception() is None and coding not in entry.encoded:
                desk.cache.encoded(entry, coding, done.result())
            conclude(self._service, pending, lambda: finish(done.result()))

        def finish(data: bytes) -> None:
            draft.head.content_length = len(data)
            self._finish(draft, data)

        call = partial(compress_once, coding, body)
        desk.once((id(entry), coding), call).add_done_callback(made)


class _Draft:
    """An answer whose body is still to be made.

    Attributes:
        exchange: Whose it is.
        entry: Of what it answers with.
        key: What to keep it under; None where it is not to be kept.
        head: Its head.
    """

    __slots__ = ("entry", "exchange", "head", "key")

    def __init__(self, exchange: Exchange, entry: Entry, key: Hashable, head: ResponseHead) -> None:
        self.exchange = exchange
        self.entry = entry
        self.key = key
        self.head = head


def conclude(service: Service, pending: Pending, act: Callable[[], None]) -> None:
    """Act on what a thread came to, if anybody still waits; an error ends this exchange alone."""
    exchange = pending.exchange
    if not pending.wanted:
        return
    exchange.consumer = None
    try:
        act()
    except ProxyError as error:
        service.fail(exchange, error)
    except OSError as error:
        status = 503 if error.errno in _BUSY else 500
        service.fail(exchange, ProxyError(status, Fault.PROXY, f"files: {error.strerror}"))
    except Exception as error:  # noqa: BLE001 - one bug must not take the worker's others along
        _log.exception("request %s failed", exchange.request_id)
        service.fail(exchange, ProxyError(500, Fault.PROXY, f"internal error: {error!r}"))


def _found(
    exchange: Exchange, name: str, of: Signature, coding: str, *, vary: bool
) -> tuple[Representation, ResponseHead, Sequence[Piece]]:
    """Return what there is, and what the request for it comes to."""
    now = wall_time()
    found = validators(of, coding, now)
    form = Representation(content_type(name), of.size, found, coding, vary=vary)
    head, pieces = reply(exchange.head, form, now)
    return form, head, pieces


def _joined(pieces: Sequence[Piece], body: bytes) -> bytes:
    """Return the pieces of a body as one; all of it as the very object."""
    return b"".join(
        piece if isinstance(piece, bytes) else body[piece.first : piece.end] for piece in pieces
    )
