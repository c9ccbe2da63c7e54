"""Opening connections to the servers of one upstream, with TLS where their plan says so."""

import asyncio
import errno
import ssl

from proxy.net.channel import Channel
from proxy.net.tls import TlsChannel
from proxy.net.tls_contexts import client_context, explain
from proxy.upstream.peer import Address, Peer
from proxy.upstream.plan import PoolPlan

_MOST_FIRST_WORDS = 64 * 1024
_OUR_OWN = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM, errno.EADDRNOTAVAIL})


class FirstWords:
    """Keeps what a server says before it is listened to: in HTTP/2 it may speak first.

    Implements `channel.Session`.

    Attributes:
        data: What it said.
    """

    __slots__ = ("_channel", "data")

    def __init__(self, channel: Channel) -> None:
        self._channel = channel
        self.data = b""

    def data_received(self, data: bytes) -> None:
        """Keep it, for the moment that it takes."""
        self.data += data
        if len(self.data) > _MOST_FIRST_WORDS:
            self._channel.abort()

    def eof_received(self) -> None:
        """It left at once."""
        self._channel.close()

    def pause_writing(self) -> None:
        """Nothing is written yet."""

    def resume_writing(self) -> None:
        """Nothing was."""

    def channel_lost(self, error: Exception | None) -> None:
        """Whoever connects sees it."""

    def deadline_passed(self, now: float) -> bool:  # noqa: ARG002 - the face's signature
        """There is none."""
        return False


class Connector:
    """Opens the connections of one pool."""

    __slots__ = ("_context", "_http2_context", "_loop", "_server_name")

    def __init__(self, plan: PoolPlan, loop: asyncio.AbstractEventLoop) -> None:
        """Make the TLS context that is needed, if any.

        Raises:
            TlsConfigurationError: The authorities of an https upstream cannot be used.
        """
        self._loop = loop
        self._server_name = plan.tls.server_name
        self._context: ssl.SSLContext | None = None
        if any(server.scheme == "https" for server in plan.servers):
            self._context = client_context(verify=plan.tls.verify, ca_pem=plan.tls.ca_pem)
        self._http2_context = self._context
        if self._context is not None and plan.http2:
            self._http2_context = client_context(
                verify=plan.tls.verify, ca_pem=plan.tls.ca_pem, alpn=("h2", "http/1.1")
            )

    async def connect(self, peer: Peer, *, http2: bool = False) -> Channel:
        """Return an open channel to a peer; without a session yet, it closes at the first byte.

        Where HTTP/2 is to be spoken its session is `FirstWords`, until another takes its place.

        Args:
            peer: Whom to connect to.
            http2: Offer HTTP/2 to an https server, where the plan says so.

        Raises:
            OSError: There is no connection to be had, or (`ssl.SSLError`) none to be trusted.
        """
        context = self._http2_context if http2 else self._context
        if peer.server.scheme == "https" and context is not None:
            channel: Channel = await self._connect_tls(peer, context)
        else:
            channel = Channel()
            if speaks_http2(channel, peer):
                channel.session = FirstWords(channel)
            await self._open_transport(peer.address, channel)
        if channel.lost:  # before anybody could be told of it
            raise ConnectionResetError(errno.ECONNRESET, "closed as soon as it was open")
        return channel

    async def _connect_tls(self, peer: Peer, context: ssl.SSLContext) -> TlsChannel:
        done: asyncio.Future[None] = self._loop.create_future()

        def established(tls: TlsChannel) -> None:
            if speaks_http2(tls, peer):
                tls.session = FirstWords(tls)
            if not done.done():
                done.set_result(None)

        def failed(_: TlsChannel, error: Exception) -> None:
            if not done.done():
                done.set_exception(error)

        name = self._server_name or peer.server.host
        tls = TlsChannel(
            lambda incoming, outgoing: context.wrap_bio(incoming, outgoing, server_hostname=name),
            established,
            failed,
        )
        try:
            await self._open_transport(peer.address, tls)
            await done
        except BaseException:
            done.cancel()  # nobody waits for what becomes of it
            tls.abort()
            raise
        return tls

    async def _open_transport(self, address: Address, channel: Channel) -> None:
        if isinstance(address, str):
            await self._loop.create_unix_connection(lambda: channel, address)
        else:
            await self._loop.create_connection(lambda: channel, *address)


def speaks_http2(channel: Channel, peer: Peer) -> bool:
    """Say whether HTTP/2 is to be spoken: with TLS by what was agreed on, else by the address."""
    if isinstance(channel, TlsChannel):
        return channel.tls.selected_alpn_protocol() == "h2"
    return peer.server.scheme == "h2c"


def told(error: OSError) -> str:
    """Return in words why there is no connection."""
    if isinstance(error, ssl.SSLError):
        return explain(error)
    return error.strerror or str(error) or type(error).__name__


def is_our_own(error: OSError) -> bool:
    """Say whether it is this machine that has run out of something, rather than the peer."""
    return error.errno in _OUR_OWN
