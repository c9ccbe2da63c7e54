"""What every policy becomes at load: one thing, or nothing, for each phase of an exchange."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from proxy.exchange.exchange import Exchange
from proxy.exchange.verdict import Verdict
from proxy.message.edit import FieldEdit
from proxy.message.head import ResponseHead

Gate = Callable[[Exchange], Verdict]
"""Lets an exchange pass (None), answers it, or says what must happen first. A ProxyError that it
raises is answered too."""

Shape = Callable[[Exchange, ResponseHead], ResponseHead]
"""Makes another head of the one that a handler answers with, or returns the same. Heads are never
changed, for they are remembered. A ProxyError that it raises is answered in its place. The proxy's
own errors and redirects are not shaped."""


class Encoder(Protocol):
    """Turns the pieces of one body into a content coding (RFC 9110, 8.4), each in a few ms."""

    def encode(self, data: bytes) -> bytes:
        """Take a piece; return what there is to send, which may be b""."""

    def flush(self) -> bytes:
        """Return what makes all that was taken so far decodable by the client."""

    def finish(self) -> bytes:
        """End the body: return its rest."""


Encode = Callable[[Exchange, ResponseHead], tuple[ResponseHead, Encoder | None]]
"""Decides by the head of an answer, shaped already, whether its body is to be encoded: returns the
head to send (without a length where the body will be encoded) and the encoder for the body. No
encoder: the body goes out as it is, under the head returned."""


@dataclass(frozen=True, slots=True, weakref_slot=True)
class Part:
    """One policy of one route.

    Attributes:
        name: Its place in `policy.order`.
        gate: Asked before the route's handler.
        request_edit: What is forwarded loses and gets these fields.
        response_edit, response_edit_plain: The same for what the client gets, over https and http.
        shape: Applied to what the route's handler answers with, before the edits.
        encode: Asked after all shapes.
    """

    name: str
    gate: Gate | None = None
    request_edit: FieldEdit | None = None
    response_edit: FieldEdit | None = None
    response_edit_plain: FieldEdit | None = None
    shape: Shape | None = None
    encode: Encode | None = None


def field_line(name: str, value: str) -> bytes:
    """Return one line of a field block.

    Raises:
        ValueError: It would be more than one line, or is not in ISO-8859-1.
    """
    if any(char in "\r\n\0" for char in name + value) or not name or ":" in name:
        raise ValueError(f"not one header field: {name!r}")
    return f"{name}: {value}\r\n".encode("latin-1")
