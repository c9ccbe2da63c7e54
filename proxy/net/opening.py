"""Opens connections for one pool, in the version of HTTP that plan and server agree on."""

import asyncio
import ssl
from collections.abc import Callable
from typing import Protocol

from proxy.errors import UpstreamError
from proxy.net.channel import Channel
from proxy.net.connecting import Connector, FirstWords, is_our_own, speaks_http2, told
from proxy.net.http2_upstream import Http2Upstream, SharedOwner
from proxy.net.upstream_connection import Owner, UpstreamConnection
from proxy.state.counters import Counters
from proxy.upstream.peer import Peer
from proxy.upstream.plan import PoolPlan


class OpeningError(UpstreamError):
    """There is no connection to be had.

    Attributes:
        ours: It is this machine that has run out of something.
        untrusted: A server is there, and its certificate is not to be trusted: waiting does not
            mend that.
    """

    def __init__(
        self, status: int, detail: str, *, ours: bool = False, untrusted: bool = False
    ) -> None:
        super().__init__(status, detail)
        self.ours = ours
        self.untrusted = untrusted


class BothOwner(Owner, SharedOwner, Protocol):
    """The pool that connections of either kind belong to."""

    connections: int


class Opener:
    """See the module's docstring."""

    __slots__ = ("_connector", "_counters", "_keep_idle", "_on_channel", "_owner")

    def __init__(
        self,
        plan: PoolPlan,
        owner: BothOwner,
        on_channel: Callable[[Channel], None],
        counters: Counters,
    ) -> None:
        """Make ready.

        Raises:
            TlsConfigurationError: The authorities of an https upstream cannot be used.
        """
        self._connector = Connector(plan, asyncio.get_running_loop())
        self._owner = owner
        self._on_channel = on_channel
        self._counters = counters
        self._keep_idle = plan.keep_alive_idle if plan.keep_alive_connections else 0.0

    async def open(
        self, peer: Peer, patience: float, *, http2: bool
    ) -> UpstreamConnection | Http2Upstream:
        """Return a new connection to a peer.

        Args:
            peer: Whom it leads to.
            patience: Seconds, also for TLS and for the first word of HTTP/2.
            http2: Whether HTTP/2 may be spoken.

        Raises:
            OpeningError: There is none to be had.
        """
        try:
            async with asyncio.timeout(patience):
                channel = await self._connector.connect(peer, http2=http2)
                return await self._begin(channel, peer)
        except TimeoutError:
            raise OpeningError(504, f"{peer.label}: connecting timed out") from None
        except OSError as error:  # ssl's errors are OSErrors, too
            raise OpeningError(
                502,
                f"{peer.label}: {told(error)}",
                ours=is_our_own(error),
                untrusted=isinstance(error, ssl.SSLCertVerificationError),
            ) from None

    async def _begin(self, channel: Channel, peer: Peer) -> UpstreamConnection | Http2Upstream:
        """Put a session on a new channel.

        Raises:
            ConnectionError: The server does not speak HTTP/2, and should.
        """
        owner = self._owner
        owner.connections += 1
        self._counters.upstream_connections += 1
        self._on_channel(channel)
        if not speaks_http2(channel, peer):
            connection = UpstreamConnection(channel, peer, owner)
            channel.session = connection
            return connection
        secure = peer.server.scheme == "https"
        first = channel.session
        shared = Http2Upstream(channel, peer, owner, secure=secure, keep_idle=self._keep_idle)
        try:
            if isinstance(first, FirstWords) and first.data:
                shared.data_received(first.data)
            await shared.settled
        finally:
            if not shared.room:
                channel.abort()
        if not shared.room:
            raise ConnectionError("the server does not speak HTTP/2, or takes no requests")
        return shared
