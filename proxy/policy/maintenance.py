"""A site, or a part of one, that is closed for a while.

Whoever is not let in gets an error page that says so, with Retry-After, and what stands behind is
left alone. It is what was asked for, so that it is told of in the log of accesses alone.
"""

from collections.abc import Callable

from proxy.errors import Fault, ProxyError
from proxy.exchange.answer import Answer
from proxy.exchange.error_pages import ErrorPages
from proxy.exchange.exchange import Exchange
from proxy.exchange.pages import error_answer
from proxy.policy.part import Part

NAME = "maintenance"

PUBLIC = "This site is being worked on and will be back soon."
"""What the built-in page says."""


def maintenance(
    pages: ErrorPages,
    *,
    status: int = 503,
    retry_after: float = 0.0,
    is_on: Callable[[float], bool] | None = None,
    is_let_in: Callable[[str], bool] | None = None,
) -> Part:
    """Return the part that keeps clients out.

    Args:
        pages: Those of the route; one for the status is what clients get.
        status: Of the answer, 400..599.
        retry_after: Seconds after which clients should come again; 0 says nothing of it.
        is_on: Tells whether it is on at a time, in monotonic seconds; always without it. It is
            asked for each request.
        is_let_in: Tells whether an address is let in all the same; nobody without it.
    """
    error = ProxyError(status, Fault.PROXY, "maintenance", public=PUBLIC)

    def gate(exchange: Exchange) -> Answer | None:
        if is_on is not None and not is_on(exchange.started):
            return None
        if is_let_in is not None and is_let_in(exchange.address):
            return None
        exchange.error = error
        return error_answer(
            exchange.head,
            error,
            exchange.request_id,
            retry_after=retry_after,
            pages=pages,
        )

    return Part(NAME, gate=gate)
