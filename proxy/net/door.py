"""The door: every client connection comes in here, is counted, and is given its session.

In order: admission (limits over all workers), PROXY protocol where a trusted peer must speak it,
the TLS handshake, and then a session for what ALPN agreed on.
"""

import asyncio
import logging
import math
import resource
import ssl
from collections.abc import Callable
from typing import Protocol, cast

from proxy.clock import monotonic
from proxy.errors import BadRequestError, Fault, ProxyError
from proxy.exchange.exchange import Client
from proxy.message.networks import plain_address
from proxy.net.channel import READ_SIZE, Channel, read_view
from proxy.net.http1_connection import Http1Connection
from proxy.net.http2_connection import Http2Connection
from proxy.net.service import Service
from proxy.net.tls import TlsChannel
from proxy.net.tls_contexts import FrontConnection, TlsFront, explain
from proxy.routing.route import Endpoint
from proxy.state.connections import Admission
from proxy.state.shared import WorkerShare
from proxy.wire.proxy_protocol import ProxyHeader, ProxyProtocolError, parse_proxy_header
from proxy.wire.tls_client_hello import ClientHelloError, parse_client_hello

_log = logging.getLogger("pyproxy.tls")
_SPARE_DESCRIPTORS = 64  # kept free for logs, spools and what else must go on
_GRACE = 10  # beyond a limit by a tenth, connections are closed rather than answered

_PLAIN_ON_TLS = (
    b"HTTP/1.1 400 Bad Request\r\nContent-Type: text/plain; charset=utf-8\r\n"
    b"Content-Length: 55\r\nConnection: close\r\n\r\n"
    b"This port speaks TLS: its addresses begin with https://"
)

_SESSIONS: dict[str, type[Http1Connection] | type[Http2Connection]] = {
    "h2": Http2Connection,
    "http/1.1": Http1Connection,
}
ALPN = tuple(_SESSIONS)
"""The protocols spoken over TLS, the preferred first."""
HTTP1_ONLY = ("http/1.1",)
"""Those where HTTP/2 is switched off."""

_view = read_view()


class Session(Protocol):
    """What the door keeps of a session.

    Attributes:
        client: Whose it is.
    """

    client: Client

    def stop_soon(self) -> None:
        """Finish, and take no new work."""

    def close(self) -> None:
        """Close at once."""


class Door:
    """Lets clients in. One for each worker.

    Attributes:
        channels: Every open client channel, for the sweep.
        sessions: Every session.
    """

    __slots__ = ("_front", "_most", "_upstreams", "channels", "service",
                 "sessions", "share")  # fmt: skip

    def __init__(
        self, service: Service, share: WorkerShare, front: TlsFront, upstreams: Callable[[], int]
    ) -> None:
        """Take what every connection needs.

        Args:
            service: Serves their exchanges.
            share: Where connections are counted, over all workers.
            front: Wraps those that come in by TLS.
            upstreams: Says how many connections to upstreams there are.
        """
        self.service = service
        self.share = share
        self._front = front
        self._upstreams = upstreams
        limit = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
        self._most = math.inf if limit == resource.RLIM_INFINITY else limit - _SPARE_DESCRIPTORS
        self.channels: set[Channel] = set()
        self.sessions: set[Session] = set()

    def entrance(self, endpoint: Endpoint) -> asyncio.BaseProtocol:
        """Return the protocol for a connection that comes in at an endpoint."""
        return Entrance(self, endpoint)

    def full(self) -> bool:
        """Say whether the worker is about to run out of file descriptors."""
        return len(self.channels) + self._upstreams() >= self._most

    def admit(self, address: str) -> tuple[bool, ProxyError | None]:
        """Count a connection in; return whether it may stay, and what to answer it, if anything.

        One that is a little too many gets an answer that says so; one that is much too many would
        cost a handshake for that, and is closed.
        """
        limits = self.service.live.program.limits
        table = self.share.connections
        most, most_each = limits.connections, limits.connections_per_ip
        admission = table.enter(address, most, most_each)
        if admission is Admission.OK:
            return True, None
        self.share.counters.connections_refused += 1
        if table.enter(address, _beyond(most), _beyond(most_each)) is not Admission.OK:
            return False, None
        if admission is Admission.TOO_MANY:
            return True, ProxyError(503, Fault.PROXY, "too many connections")
        return True, BadRequestError(
            f"more than {most_each} connections from {address}",
            status=429,
            public="Too many connections from your address.",
        )

    def open_channel(self, client: Client, refusal: ProxyError | None, *, tls: bool) -> Channel:
        """Return the channel for an admitted client."""
        if not tls:
            channel: Channel = ClientChannel(self, client.peer)
            self.open_session(channel, client, refusal)
            return channel

        def wrap(incoming: ssl.MemoryBIO, outgoing: ssl.MemoryBIO) -> ssl.SSLObject:
            return self._front.wrap(incoming, outgoing, client.local_address)

        def established(channel: TlsChannel) -> None:
            self._established(channel, client, refusal)

        def failed(channel: TlsChannel, error: Exception) -> None:
            self._handshake_failed(channel, client, error)

        channel = TlsClientChannel(self, client.peer, wrap, established, failed)
        channel.deadline = monotonic() + self.service.timeouts.tls_handshake
        return channel

    def open_session(self, channel: Channel, client: Client, refusal: ProxyError | None) -> None:
        """Give a channel the session for what ALPN agreed on; HTTP/1.1 without (RFC 7301)."""
        self.judge(client)
        protocol = channel.tls.selected_alpn_protocol() if isinstance(channel, TlsChannel) else None
        session = _SESSIONS.get(protocol or "", Http1Connection)(
            channel, self.service, client, refusal
        )
        channel.session = session
        self.sessions.add(session)

    def judge(self, client: Client) -> None:
        """Decide by the program in force whether a client's forwarding fields are believed."""
        client.trusted = not client.unnamed and self.service.live.trusted.contains(client.peer)
        client.told = None

    def _established(self, channel: TlsChannel, client: Client, refusal: ProxyError | None) -> None:
        tls = channel.tls
        counters = self.share.counters
        counters.handshakes_ok += 1
        if tls.session_reused:
            counters.handshakes_resumed += 1
        client.tls_version = tls.version() or ""
        cipher = tls.cipher()
        client.tls_cipher = cipher[0] if cipher else ""
        if isinstance(tls, FrontConnection):
            client.server_name = tls.server_name or ""
        self.open_session(channel, client, refusal)

    def _handshake_failed(self, channel: TlsChannel, client: Client, error: Exception) -> None:
        if not channel.hello:  # a port scan or a health check: nobody tried to shake hands
            return
        self.share.counters.handshakes_failed += 1
        name = ""
        reason = str(error) or type(error).__name__
        if isinstance(error, ssl.SSLError):
            reason = explain(error)
            if error.reason == "HTTP_REQUEST" and channel.transport is not None:
                channel.transport.write(_PLAIN_ON_TLS)
        try:
            hello = parse_client_hello(channel.hello)
            name = (hello.server_name or "") if hello is not None else ""
        except ClientHelloError:
            pass
        if isinstance(channel.tls, FrontConnection) and channel.tls.refusal:
            reason = channel.tls.refusal
        _log.info(
            "TLS handshake failed: client %s, name %s: %s", client.peer, name or "-", reason,
        )  # fmt: skip

    def left(self, channel: Channel, address: str) -> None:
        """A channel is gone."""
        self.channels.discard(channel)
        self.share.connections.leave(address)
        self.share.counters.connections_open -= 1


class ClientChannel(Channel):
    """A client's plain channel; counted out at its end."""

    __slots__ = ("_address", "_door")

    def __init__(self, door: Door, address: str) -> None:
        super().__init__()
        self._door = door
        self._address = address

    def connection_lost(self, exc: Exception | None) -> None:
        """Count it out."""
        super().connection_lost(exc)
        self._door.left(self, self._address)


class TlsClientChannel(TlsChannel):
    """A client's channel with TLS; counted out at its end."""

    __slots__ = ("_address", "_door")

    def __init__(
        self,
        door: Door,
        address: str,
        wrap: Callable[[ssl.MemoryBIO, ssl.MemoryBIO], ssl.SSLObject],
        established: Callable[[TlsChannel], None],
        failed: Callable[[TlsChannel, Exception], None],
    ) -> None:
        super().__init__(wrap, established, failed)
        self._door = door
        self._address = address

    def connection_lost(self, exc: Exception | None) -> None:
        """Count it out."""
        super().connection_lost(exc)
        self._door.left(self, self._address)


class Entrance(asyncio.BufferedProtocol):
    """The first protocol of a connection: finds out who it is, and makes way for its channel."""

    __slots__ = ("_buffer", "_client", "_door", "_endpoint", "_timer", "_transport")

    def __init__(self, door: Door, endpoint: Endpoint) -> None:
        self._door = door
        self._endpoint = endpoint
        self._buffer = b""
        self._transport: asyncio.Transport | None = None
        self._timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Let it in, or wait for its PROXY protocol header first."""
        self._transport = stream = cast("asyncio.Transport", transport)
        door = self._door
        counters = door.share.counters
        counters.connections_accepted += 1
        if door.full():
            counters.connections_refused += 1
            stream.abort()
            return
        peer = stream.get_extra_info("peername")
        local = stream.get_extra_info("sockname")
        if not peer or not local:  # gone before it was accepted
            stream.abort()
            return
        client = Client(
            plain_address(peer[0]) or peer[0], peer[1], local[1],
            "https" if self._endpoint.tls else "http",
        )  # fmt: skip
        client.local_address = local[0]
        live = door.service.live
        if live.program.proxy_protocol:
            # Whoever may not speak for others is closed: its own address would be believed else.
            if not live.trusted.contains(client.peer):
                _log.info("connection from %s without PROXY protocol refused", client.peer)
                counters.connections_refused += 1
                stream.abort()
                return
            self._timer = asyncio.get_running_loop().call_later(
                live.program.timeouts.request_header, stream.abort
            )
            self._client = client
        else:
            self._enter(client, b"")

    def _enter(self, client: Client, rest: bytes) -> None:
        """Put the channel in our place and hand over what was read beyond the header."""
        transport, door = self._transport, self._door
        if transport is None:
            return
        stays, refusal = door.admit(client.peer)
        if not stays:
            transport.abort()
            return
        door.share.counters.connections_open += 1
        channel = door.open_channel(client, refusal, tls=self._endpoint.tls)
        door.channels.add(channel)
        transport.set_protocol(channel)
        channel.connection_made(transport)
        for at in range(0, len(rest), READ_SIZE):
            piece = rest[at : at + READ_SIZE]
            _view[: len(piece)] = piece
            channel.buffer_updated(len(piece))

    def get_buffer(self, sizehint: int) -> memoryview:  # noqa: ARG002 - the loop's signature
        """Lend the shared buffer."""
        return _view

    def buffer_updated(self, nbytes: int) -> None:
        """Read the PROXY protocol header."""
        self._buffer += bytes(_view[:nbytes])
        try:
            header = parse_proxy_header(self._buffer)
        except ProxyProtocolError as error:
            _log.info("PROXY protocol from %s: %s", self._client.peer, error.detail)
            if self._transport is not None:
                self._transport.abort()
            return
        if header is None:
            return
        if self._timer is not None:
            self._timer.cancel()
        self._enter(_told(self._client, header), self._buffer[header.consumed :])

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - the loop's signature
        """It left before it was let in."""
        if self._timer is not None:
            self._timer.cancel()
        self._transport = None


def _beyond(limit: int) -> int:
    """Return the limit up to which a connection too many is told so; 0 for none."""
    return limit + limit // _GRACE + 1 if limit else 0


def _told(client: Client, header: ProxyHeader) -> Client:
    """Return the client that a PROXY protocol header speaks of."""
    if header.source is None:  # LOCAL or UNKNOWN: the proxy speaks for itself
        client.unnamed = True
        return client
    told = Client(header.source[0], header.source[1], client.local_port, client.scheme)
    told.local_address = client.local_address
    if header.destination is not None:
        told.local_address = header.destination[0]
        told.local_port = header.destination[1]
    return told
