"""Error answers of an upstream, replaced by the error pages that the configuration has for them.

Only where there is a page for the status, and the client would get it: a client that would rather
have JSON than a page for people keeps the application's own answer. Of the upstream's fields those
stay that belong to the status rather than to the body (RFC 9110, 15.5), cookies, and what lets a
page of another origin see the status at all (CORS); nginx keeps WWW-Authenticate alone.
"""

import re

from proxy.errors import InterceptedError
from proxy.exchange.error_pages import ErrorPages
from proxy.exchange.exchange import Exchange
from proxy.exchange.pages import own_page
from proxy.message.edit import either_case
from proxy.message.head import ResponseHead
from proxy.policy.part import Part

NAME = "intercept"

KEPT = (
    "www-authenticate", "retry-after", "allow", "content-range", "set-cookie",
    "access-control-allow-origin", "access-control-allow-credentials",
    "access-control-expose-headers",
)  # fmt: skip
"""Fields of the upstream's answer that stay, in lower case."""

_kept_lines = re.compile(
    rf"(?:\A|(?<=\n))(?:{'|'.join(map(either_case, KEPT))}):[^\n]*\n".encode()
).findall


def intercept(pages: ErrorPages) -> Part:
    """Return the part that puts error pages in the place of an upstream's error answers.

    Args:
        pages: Those of the route. Where there are none the part has nothing to do.
    """

    def shape(exchange: Exchange, head: ResponseHead) -> ResponseHead:
        if head.status < 400 or own_page(exchange.head, head.status, pages) is None:
            return head
        raise InterceptedError(head.status, b"".join(_kept_lines(head.block)))

    return Part(NAME, shape=shape)
