"""The most bytes a request's body may have.

A body whose length the head tells is refused before a byte of it is read or 100 (Continue) sent.
One that comes in chunks is counted by the room with sockets, which raises `too_large` as well.
"""

from proxy.errors import BadRequestError
from proxy.exchange.exchange import Exchange
from proxy.policy.part import Part

NAME = "body_limit"

_UNITS = ((1024**4, "TB"), (1024**3, "GB"), (1024**2, "MB"), (1024, "KB"))


def body_limit(limit: int, route: str) -> Part:
    """Return the part that enforces a limit.

    Args:
        limit: Bytes, more than 0.
        route: The route's label, to be named in the answer.
    """

    def gate(exchange: Exchange) -> None:
        length = exchange.head.content_length
        if length is not None and length > limit:
            raise too_large(limit, route)

    return Part(NAME, gate=gate)


def too_large(limit: int, route: str) -> BadRequestError:
    """Return the error for a body beyond the limit: it says which limit, where, and whose."""
    size = spell_size(limit)
    return BadRequestError(
        f"request body over the limit of {size} on {route}",
        status=413,
        public=f"The proxy takes request bodies of at most {size} on {route} (limits: body).",
    )


def spell_size(count: int) -> str:
    """Return bytes as people read them: 10485760 is "10 MB"."""
    for unit, name in _UNITS:
        if count >= unit:
            return f"{count / unit:.4g} {name}"
    return f"{count} bytes"
