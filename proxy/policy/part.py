"""What every policy becomes at load: one thing, or nothing, for each phase of an exchange."""

from collections.abc import Callable
from dataclasses import dataclass

from proxy.exchange.answer import Answer
from proxy.exchange.exchange import Exchange
from proxy.message.edit import FieldEdit

Gate = Callable[[Exchange], Answer | None]
"""Lets an exchange pass (None) or answers it. A ProxyError that it raises is answered too."""


@dataclass(frozen=True, slots=True)
class Part:
    """One policy of one route.

    Attributes:
        name: Its place in `policy.order`.
        gate: Asked before the route's handler.
        request_edit: What is forwarded loses and gets these fields.
        response_edit, response_edit_plain: The same for what the client gets, over https and http.
    """

    name: str
    gate: Gate | None = None
    request_edit: FieldEdit | None = None
    response_edit: FieldEdit | None = None
    response_edit_plain: FieldEdit | None = None


def field_line(name: str, value: str) -> bytes:
    """Return one line of a field block.

    Raises:
        ValueError: It would be more than one line, or is not in ISO-8859-1.
    """
    if any(char in "\r\n\0" for char in name + value) or not name or ":" in name:
        raise ValueError(f"not one header field: {name!r}")
    return f"{name}: {value}\r\n".encode("latin-1")
