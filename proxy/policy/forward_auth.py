"""Asks an authentication server about each request: its 2xx lets one in, anything else does not.

What is asked is what Traefik's ForwardAuth, Caddy's forward_auth and nginx's auth_request ask, so
that servers made for any of them answer it: a GET with the client's fields and no body. They say
in different fields what is asked about, and all of those are sent: X-Forwarded-Method and -Uri
(Traefik, Caddy), X-Original-Method and -URL (what everybody configures for nginx), beside the
forwarding fields that every request gets. What a client sends by these names is never passed on.

What the server says no with goes to the client: its status, fields and page, so that a browser is
led to log in. What is neither yes nor no (5xx, 304, none at all) is an error of ours and lets
nobody in.

A server that is itself reached through this proxy needs a route that asks nobody; else every
question leads to another one, until the first one's time is up.

Left out are fields about the body that is not sent, and conditions and ranges, which are about the
representation asked for: a 304 or a 206 would say nothing of whether the client may have it. nginx,
Traefik and Caddy leave them in.
"""

import re
from collections.abc import Callable, Sequence
from functools import partial

from proxy.errors import UpstreamError
from proxy.exchange.answer import Answer
from proxy.exchange.exchange import Exchange
from proxy.exchange.verdict import Subrequest, Verdict
from proxy.message.edit import FieldEdit, either_case
from proxy.message.fields import field_values
from proxy.message.forwarding import forwarding_block
from proxy.message.head import RequestHead, ResponseHead
from proxy.message.hop_by_hop import FORWARDING, REQUEST_FIELDS
from proxy.message.target import strip_prefix
from proxy.policy.part import Part, field_line

NAME = "forward_auth"

ANSWER_LIMIT = 64 * 1024
"""Most bytes of an answer's body: a page to log in is small, or somewhere else."""

_SET_COOKIE = "set-cookie"
_PRIVATE = b"Cache-Control: private\r\n"
_ASKED_ABOUT = (
    "x-forwarded-method", "x-forwarded-uri", "x-original-method", "x-original-url",
    "x-original-uri", "x-auth-request-redirect",
)  # fmt: skip
_NOT_ASKED = (
    "content-type", "content-encoding", "content-language", "content-location", "content-range",
    "content-md5", "content-digest", "repr-digest", "digest", "trailer",
    "range", "if-range", "if-match", "if-none-match", "if-modified-since", "if-unmodified-since",
)  # fmt: skip
_WRITTEN = frozenset(REQUEST_FIELDS).difference(FORWARDING) | {
    "x-forwarded-for", "x-forwarded-proto", "x-forwarded-host", "x-forwarded-port", "x-real-ip",
    "forwarded", "x-request-id", "via", "trailer",
}  # fmt: skip
_CREDENTIALS = frozenset({"authorization", "cookie"})
"""What the server judges by: it is asked with the client's own even where it says what to send."""

_USERS = (
    "remote-user", "x-auth-request-user", "x-forwarded-user", "x-auth-request-preferred-username",
    "x-forwarded-preferred-username", "x-authentik-username", "x-webauth-user", "x-remote-user",
    "x-auth-user", "x-user", "x-auth-request-email", "x-forwarded-email", "remote-email",
    "x-authentik-email",
)  # fmt: skip
"""Who the user is, the plainest first: Authelia, oauth2-proxy, authentik, Grafana and the like."""


def forward_auth(
    pool: str, host: str, target: str, copy_headers: Sequence[str], timeout: float
) -> Part:
    """Return the part that asks a server.

    Args:
        pool: Through which pool.
        host: Host field for the server.
        target: Path and query to ask for.
        copy_headers: Fields of its 2xx to forward. Whatever the client sends under these names is
            taken out, also where the server sends none. Set-Cookie among them goes to the client
            instead, with whatever the request is answered with.
        timeout: Seconds for all of it.

    Raises:
        ValueError: A name in `copy_headers` is one that the proxy itself writes.
    """
    copied = [name.lower() for name in copy_headers if name.lower() != _SET_COOKIE]
    if not _WRITTEN.isdisjoint(copied):
        raise ValueError(f"the proxy itself writes one of these: {', '.join(copied)}")
    asker = _Asker(pool, host, target, copied, timeout)
    asker.cookies = len(copied) < len(copy_headers)
    return Part(NAME, gate=asker.ask, request_edit=FieldEdit(copied) if copied else None)


class _Asker:
    """One question, made ready.

    Attributes:
        cookies: Whether the cookies of a 2xx go to the client.
    """

    __slots__ = ("_edit", "_find", "_host", "_pool", "_target", "_timeout", "_users", "cookies")

    def __init__(
        self, pool: str, host: str, target: str, copied: Sequence[str], timeout: float
    ) -> None:
        self._pool = pool
        self._host = host
        self._target = target
        self._timeout = timeout
        self._edit = FieldEdit({*_ASKED_ABOUT, *_NOT_ASKED, *copied} - _CREDENTIALS)
        self._find = _finder(copied)
        self._users = [name for name in _USERS if name in copied]
        self.cookies = False

    def ask(self, exchange: Exchange) -> Subrequest:
        """Ask about a request."""
        about = exchange.head
        head = RequestHead("GET", self._target, "HTTP/1.1")
        head.authority = self._host
        head.block = self._edit.apply(about.block) + _question(exchange)
        if about.forwarding and exchange.client.trusted:
            head.forwarding = self._edit.apply(about.forwarding)
        then = partial(self._decide, exchange)
        return Subrequest(self._pool, head, self._timeout, ANSWER_LIMIT, then)

    def _decide(self, exchange: Exchange, head: ResponseHead, body: bytes) -> Verdict:
        status = head.status
        if 200 <= status < 300:
            self._let_in(exchange, head.block)
            return None
        # A 304 would tell caches that what they have may go on being given to anybody.
        if status >= 500 or status == 304:
            raise _useless(self._pool, head)
        return _refusal(head, body)

    def _let_in(self, exchange: Exchange, block: bytes) -> None:
        if self._find is not None:
            lines = self._find(b"\n" + block)
            if lines:
                added = b"\r\n".join(lines) + b"\r\n"
                exchange.added += added
                exchange.user = self._user(added) or exchange.user
        if self.cookies:
            _pass_cookies(exchange, block)

    def _user(self, added: bytes) -> str:
        for name in self._users:
            found = field_values(added, name)
            if found:
                return found[0]
        return ""


def _finder(names: Sequence[str]) -> Callable[[bytes], list[bytes]] | None:
    """Return what finds the lines of these names, those without a value left out."""
    if not names:
        return None
    either = "|".join(map(either_case, names))
    pattern = re.compile(rf"\n((?:{either}):[ \t]*[^ \t\r\n][^\r\n]*)".encode())
    return pattern.findall


def _question(exchange: Exchange) -> bytes:
    """Return the lines that say what is asked about: the target as it would be forwarded."""
    head = exchange.head
    target = head.target
    if target.startswith("//"):
        target = strip_prefix(target, head.path, "")
    host = head.authority
    if head.forwarding and exchange.client.trusted:
        told = field_values(forwarding_block(exchange), "x-forwarded-host")
        host = told[0] if told else ""
    lines = f"X-Forwarded-Method: {head.method}\r\nX-Forwarded-Uri: {target}\r\n"
    lines += f"X-Original-Method: {head.method}\r\n"
    if host:
        lines += f"X-Original-URL: {exchange.scheme}://{host}{target}\r\n"
    return lines.encode("latin-1")


def _pass_cookies(exchange: Exchange, block: bytes) -> None:
    """Give the client the cookies of a 2xx, unless the route takes cookies out of answers.

    The handler's answer may be one for everybody. With a cookie of this client's it is not, so no
    shared cache may keep it, whatever it says of itself (RFC 6265, 7.3; RFC 9111, 5.2.2.7).
    """
    edit = exchange.edit
    if _SET_COOKIE in edit.removes:
        return
    cookies = field_values(block, _SET_COOKIE)
    if cookies:
        lines = b"".join(field_line("Set-Cookie", cookie) for cookie in cookies)
        exchange.edit = FieldEdit({*edit.removes, "expires"}, edit.block + lines + _PRIVATE)


def _refusal(head: ResponseHead, body: bytes) -> Answer:
    """Return the server's answer as one for the client: a page to log in, a challenge, a no.

    It is about this client alone, so nobody may keep it unless the server says so.
    """
    block = head.block
    if not field_values(block, "cache-control"):
        block += b"Cache-Control: no-store\r\n"
    answer = ResponseHead(head.status, head.reason, block)
    answer.content_length = len(body)
    answer.dated = head.dated
    return Answer(answer, body)


def _useless(pool: str, head: ResponseHead) -> UpstreamError:
    """Return the error for an answer that says neither yes nor no; its page is not the client's."""
    status = 503 if head.status == 503 else 502
    again = field_values(head.block, "retry-after") if status == 503 else []
    return UpstreamError(
        status,
        f"{pool}: the authentication server answered {head.status}",
        fields=field_line("Retry-After", again[0]) if again else b"",
    )
