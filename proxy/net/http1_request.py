"""Writes requests in HTTP/1.1: the head to send, made once for a head that is repeated."""

from proxy.exchange.exchange import Exchange
from proxy.message.edit import FieldEdit
from proxy.message.forwarding import forwarding_block
from proxy.message.head import RequestHead
from proxy.message.target import strip_prefix
from proxy.routing.route import ProxyPlan

_WITHOUT_TRAILER = FieldEdit(["trailer"])


class RequestPlan:
    """What was worked out for a request's head on a route.

    It holds one client's forwarding fields, so it lives no longer than that client's connection:
    it is kept with the head (`Found.plan`), and heads are remembered by one connection alone.

    Attributes:
        plan: For which way to the upstream.
        begin: The head to send, up to the value of X-Request-ID.
        end: The rest: framing as the client had it, and the empty line.
    """

    __slots__ = ("begin", "end", "plan")

    def __init__(self, plan: ProxyPlan, begin: bytes, end: bytes) -> None:
        self.plan = plan
        self.begin = begin
        self.end = end


def request_head(exchange: Exchange, plan: ProxyPlan, length: int | None) -> bytes:
    """Return the head to send; with `length` None the body's framing is the client's own."""
    known = exchange.plan
    if type(known) is not RequestPlan or known.plan is not plan:
        head = exchange.head
        known = RequestPlan(plan, _begin(exchange, plan), _framing(head, head.content_length))
        exchange.plan = known
    begin, end = known.begin, known.end
    added = exchange.added
    if length is not None:
        end = _framing(exchange.head, length)
        if exchange.head.chunked:  # a body with a length has no trailers, so none are announced
            begin = _WITHOUT_TRAILER.apply(begin)
    if added:
        end = b"\r\n" + added[:-2] + end
    return begin + exchange.request_id.encode("ascii") + end


def _begin(exchange: Exchange, plan: ProxyPlan) -> bytes:
    head = exchange.head
    target = head.target
    if plan.strip or target.startswith("//"):
        target = strip_prefix(target, head.path, plan.strip)
    line = f"{head.method} {target} HTTP/1.1\r\nHost: {plan.host or head.authority}\r\n"
    block = plan.request_edit.apply(head.block + _told(exchange, forwarded=plan.forwarded))
    # RFC 9110, 7.6.3: a gateway must say that it forwarded a request.
    via = f"Via: {head.version[5:]} pyproxy\r\nX-Request-ID: "
    return line.encode("latin-1") + block + via.encode("ascii")


def _told(exchange: Exchange, *, forwarded: bool) -> bytes:
    """Return the forwarding fields; those of an untrusted client are the same each time."""
    client, authority = exchange.client, exchange.head.authority
    known = client.told
    if known is not None and known[0] == authority and known[1] is forwarded:
        return known[2]
    block = forwarding_block(exchange, forwarded=forwarded)
    if not client.trusted:
        client.told = (authority, forwarded, block)
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
