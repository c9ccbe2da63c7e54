"""A route's way to its upstream: writes request heads, and starts a relay for each exchange."""

from collections.abc import Callable

from proxy.errors import ProxyError
from proxy.exchange.exchange import Exchange
from proxy.message.forwarding import forwarding_block
from proxy.message.head import RequestHead
from proxy.message.target import strip_prefix
from proxy.net.pool import LivePool
from proxy.net.relay import Relay
from proxy.routing.route import ProxyPlan


class RequestPlan:
    """What was worked out for a request's head, kept with it for as long as it is repeated.

    Attributes:
        hop: Whose it is.
        begin: The head to send, up to the value of X-Request-ID.
        end: The rest: framing as the client had it, and the empty line.
    """

    __slots__ = ("begin", "end", "hop")

    def __init__(self, hop: "LiveHop", begin: bytes, end: bytes) -> None:
        self.hop = hop
        self.begin = begin
        self.end = end


class LiveHop:
    """See the module's docstring. Implements `relay.Hop`.

    Attributes:
        pool: Where its connections come from.
        plan: What the configuration says.
        fail: Answers an error.
    """

    __slots__ = ("fail", "plan", "pool")

    def __init__(
        self, pool: LivePool, plan: ProxyPlan, fail: Callable[[Exchange, ProxyError], None]
    ) -> None:
        self.pool = pool
        self.plan = plan
        self.fail = fail

    def serve(self, exchange: Exchange) -> None:
        """Send an exchange on its way."""
        Relay(self, exchange).start()

    def request_head(self, exchange: Exchange, length: int | None) -> bytes:
        """Return the head to send; with `length` None the body's framing is the client's own."""
        plan = exchange.plan
        if type(plan) is not RequestPlan or plan.hop is not self:
            head = exchange.head
            plan = RequestPlan(self, self._begin(exchange), _framing(head, head.content_length))
            exchange.plan = plan
        end = plan.end
        if length is not None:
            end = _framing(exchange.head, length)
        return plan.begin + exchange.request_id.encode("ascii") + end

    def _begin(self, exchange: Exchange) -> bytes:
        head = exchange.head
        target = head.target
        if self.plan.strip:
            target = strip_prefix(target, head.path, self.plan.strip)
        host = self.plan.host or head.authority
        line = f"{head.method} {target} HTTP/1.1\r\nHost: {host}\r\n"
        block = self.plan.request_edit.apply(head.block + self._told(exchange))
        # RFC 9110, 7.6.3: a gateway must say that it forwarded a request.
        via = f"Via: {head.version[5:]} pyproxy\r\nX-Request-ID: "
        return line.encode("latin-1") + block + via.encode("ascii")

    def _told(self, exchange: Exchange) -> bytes:
        """Return the forwarding fields; those of an untrusted client are the same each time."""
        client, authority = exchange.client, exchange.head.authority
        known = client.told
        if known is not None and known[0] == authority and known[1] is self.plan.forwarded:
            return known[2]
        block = forwarding_block(exchange, forwarded=self.plan.forwarded)
        if not client.trusted:
            client.told = (authority, self.plan.forwarded, block)
        return block


def _framing(head: RequestHead, length: int | None) -> bytes:
    """Return the lines about the body and the connection, led by the CRLF of the line before."""
    if head.upgrade:
        return b"\r\nConnection: Upgrade\r\nUpgrade: %b\r\n\r\n" % head.upgrade.encode("ascii")
    lines = b"\r\n"
    if length is not None:
        lines += b"Content-Length: %d\r\n" % length
    elif head.chunked:
        lines += b"Transfer-Encoding: chunked\r\n"
    if head.te_trailers:
        lines += b"TE: trailers\r\nConnection: TE\r\n"
    return lines + b"\r\n"
