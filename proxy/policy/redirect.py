"""Answers that send the client elsewhere: a route's redirect, http to https, a missing slash.

A route's `to` is sent as it stands, like nginx's `return` and Caddy's `redir`: neither the rest of
the path nor the query is added, unless it says so with `{uri}`, the path and query as the client
sent them. `{host}` is the request's host without port.
"""

import re

from proxy.errors import BadRequestError
from proxy.exchange.answer import Answer
from proxy.exchange.exchange import Exchange
from proxy.message.authority import url_host
from proxy.message.head import RequestHead, ResponseHead
from proxy.message.status import reason
from proxy.policy.part import Part, field_line

NAME = "redirect"
TO_HTTPS = "redirect_http"
ADD_SLASH = "add_slash"

_HTTPS_PORT = 443
_placeholders = re.compile(r"\{(uri|host)\}").sub
_SAFE = frozenset({"GET", "HEAD"})


def redirect(to: str, status: int, default_host: str = "") -> Part:
    """Return the part for a route's `redirect`.

    Args:
        to: A path or URL, which may hold `{uri}` and `{host}`.
        status: 301, 302, 303, 307 or 308.
        default_host: What `{host}` is for an HTTP/1.0 client that names none.
    """
    if "{" not in to:
        head = _head(status, to)
        return Part(NAME, gate=lambda _exchange: Answer(head))

    def gate(exchange: Exchange) -> Answer:
        request = exchange.head
        # In one go: what a client writes is never taken for a placeholder.
        location = _placeholders(
            lambda found: _uri(request) if found[1] == "uri" else _host(request, default_host), to
        )
        return Answer(_head(status, _on_this_host(location)))

    return Part(NAME, gate=gate)


def to_https(status: int, port: int, default_host: str = "") -> Part:
    """Return the part that sends http requests to https, host, path and query unchanged.

    What a trusted proxy says came by https passes: TLS ended there, and a redirect would go in
    circles.

    Args:
        status: 301 or 308. With 301 a client may turn POST into GET (RFC 9110, 15.4.2).
        port: Where https is served; it is named in the URL unless it is 443, or 0 for not known.
        default_host: Of the URL, for an HTTP/1.0 client that names none.
    """
    suffix = "" if port in {0, _HTTPS_PORT} else f":{port}"

    def gate(exchange: Exchange) -> Answer | None:
        if exchange.scheme == "https":
            return None
        request = exchange.head
        return Answer(
            _head(status, f"https://{_host(request, default_host)}{suffix}{_uri(request)}")
        )

    return Part(TO_HTTPS, gate=gate)


def add_slash() -> Part:
    """Return the part that sends `/app?x` to `/app/?x`."""
    return Part(ADD_SLASH, gate=lambda exchange: Answer(with_slash(exchange.head)))


def with_slash(request: RequestHead) -> ResponseHead:
    """Return the head that sends a client to its path with a slash behind it.

    With 301, or 308 where the method must stay (RFC 9110, 15.4.9).
    """
    path, mark, query = request.target.partition("?")
    status = 301 if request.method in _SAFE else 308
    return _head(status, _on_this_host(f"{path}/{mark}{query}"))


def _head(status: int, location: str) -> ResponseHead:
    head = ResponseHead(status, reason(status), field_line("Location", location))
    head.content_length = 0
    return head


def _uri(head: RequestHead) -> str:
    return head.target if head.target != "*" else "/"


def _host(head: RequestHead, default: str) -> str:
    host = head.host or default
    if not host:
        raise BadRequestError("a redirect to this host, and the request names none")
    return url_host(host)


def _on_this_host(location: str) -> str:
    """Return a path that a browser cannot take for another host: `//x` is one (RFC 3986, 4.2)."""
    return "/" + location.lstrip("/") if location.startswith("//") else location
