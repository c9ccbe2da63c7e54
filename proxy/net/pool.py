"""The connections to one upstream in one worker: carries out what `upstream` decides.

Who wants a connection asks with `ask` and is told by `connected` or `not_connected`, at once where
a kept-alive connection is free. While every peer is full, or none can be reached, it waits here,
up to its deadline. While nobody can be reached, only one of those who wait is sent out to try at a
time: a server that has just come back must not be met by all of them.
"""

import asyncio
from collections import OrderedDict
from collections.abc import Callable, Sequence
from typing import Protocol

from proxy.clock import monotonic
from proxy.errors import ProxyError, UpstreamError
from proxy.exchange.exchange import Exchange
from proxy.message.fields import field_values
from proxy.net.channel import Channel
from proxy.net.http2_upstream import Http2Upstream
from proxy.net.opening import Opener, OpeningError
from proxy.net.resolver import Resolver, Watch
from proxy.net.sharing import Sharing, close_shared
from proxy.net.tasks import start
from proxy.net.upstream_connection import UpstreamConnection
from proxy.net.upstream_stream import UpstreamStream
from proxy.state.counters import Counters
from proxy.upstream.group import Availability, PeerGroup
from proxy.upstream.keepalive import IDEMPOTENT, idle_bound, idle_lifetime, reuse_allowed
from proxy.upstream.peer import Address, Peer
from proxy.upstream.plan import PoolPlan, ServerPlan

_TICK = 0.25  # seconds between tries while nobody can be reached


class Waiter(Protocol):
    """Who wants a connection.

    Attributes:
        exchange: For whom.
        tried: Peers not to be tried again.
        wait_until: Monotonic seconds until when to wait; 0.0 while it never had to.
    """

    exchange: Exchange
    tried: list[Peer]
    wait_until: float

    @property
    def connect_timeout(self) -> float:
        """Seconds that opening a connection may take."""

    def connected(self, upstream: UpstreamStream) -> bool:
        """Take a stream, counted as active already; False to give it back."""

    def not_connected(self, error: ProxyError, peer: Peer | None) -> None:
        """None can be had from `peer`, or, if that is None, from anybody in time."""


class LivePool:
    """See the module's docstring. Implements `upstream_connection.Owner` and `SharedOwner`."""

    __slots__ = (
        "_closed",
        "_loop",
        "_opener",
        "_resolver",
        "_scout",
        "_sharing",
        "_timer",
        "_trouble",
        "_waiting",
        "_watches",
        "connections",
        "group",
        "plan",
    )

    def __init__(
        self,
        plan: PoolPlan,
        group: PeerGroup,
        resolver: Resolver,
        on_channel: Callable[[Channel], None],
        counters: Counters,
    ) -> None:
        """Make a pool and begin to look its servers' names up.

        Args:
            plan: What the configuration says.
            group: Its peers.
            resolver: Knows the addresses of names, now and later.
            on_channel: Told of each new channel, for the sweep.
            counters: What the worker counts.

        Raises:
            TlsConfigurationError: The authorities of an https upstream cannot be used.
        """
        self.plan = plan
        self.group = group
        self.connections = 0
        self._loop = asyncio.get_running_loop()
        self._opener = Opener(plan, self, on_channel, counters)
        self._resolver = resolver
        self._waiting: OrderedDict[Waiter, None] = OrderedDict()
        self._scout: Waiter | None = None
        self._sharing: Sharing[Waiter] = Sharing(plan)
        self._timer: asyncio.TimerHandle | None = None
        self._closed = False
        self._trouble: UpstreamError | None = None  # of the last try to connect
        self._watches: list[Watch] = []
        for server in plan.servers:
            self._watch(server)

    def _watch(self, server: ServerPlan) -> None:
        if server.unix_path:
            self._update(server, (server.unix_path,))
            return

        def changed(addresses: Sequence[Address]) -> None:
            self._update(server, addresses)

        self._watches.append(self._resolver.watch(server.host, server.port, changed))

    def _update(self, server: ServerPlan, addresses: Sequence[Address]) -> None:
        for peer in self.group.update(server, addresses):
            _close_idle(peer)
            self._sharing.forget(peer)
        if self._waiting:
            self._wake_all()

    # Asking.

    def ask(self, waiter: Waiter, *, fresh: bool = False, peer: Peer | None = None) -> None:
        """Get a connection for `waiter`, now or later.

        Args:
            waiter: Who is told.
            fresh: Not one that was used before.
            peer: From this peer and no other.
        """
        now = monotonic()
        chosen = peer or self.group.pick(now, waiter.exchange, waiter.tried)
        if chosen is None:
            self._queue(waiter, now)
            return
        chosen.active += 1
        sharing = self._sharing.expected(chosen, waiter.exchange)
        if sharing:
            shared = self._sharing.free(chosen)
            if shared is not None:
                self._share(shared, waiter, fresh=fresh)
                return
            if not self._sharing.join(chosen, waiter, fresh=fresh):
                return
        elif not fresh and chosen.idle:
            connection = self._reuse(chosen, waiter.exchange, now)
            if connection is not None:
                self._give(connection, waiter)
                return
        _ = start(self._open(chosen, waiter, joined=sharing), f"connect {chosen.label}")

    def _give(self, connection: UpstreamConnection, waiter: Waiter) -> None:
        self._not_scout(waiter)
        if not waiter.connected(connection):
            self.release(connection)

    def _share(self, connection: Http2Upstream, waiter: Waiter, *, fresh: bool) -> None:
        self._not_scout(waiter)
        if not waiter.connected(stream := connection.stream(fresh=fresh)):
            stream.give_back()

    def _reuse(self, peer: Peer, exchange: Exchange, now: float) -> UpstreamConnection | None:
        idle = peer.idle
        method = exchange.head.method
        while idle:
            connection: UpstreamConnection = idle.pop()
            if not connection.open or connection.expires <= now:
                connection.close()
                continue
            idle_for = now - connection.idle_since
            if method in IDEMPOTENT or reuse_allowed(
                method,
                has_idempotency_key=bool(field_values(exchange.head.block, "idempotency-key")),
                idle_for=idle_for,
            ):
                return connection
            idle.append(connection)  # good enough for the next GET
            return None
        return None

    async def _open(self, peer: Peer, waiter: Waiter, *, joined: bool) -> None:
        """Open a connection to a peer for a waiter that may be gone when it is there.

        With `joined` others may come meanwhile to wait for the same one.
        """
        sharing = self._sharing
        http2 = sharing.offered(peer, waiter.exchange)
        made: UpstreamConnection | Http2Upstream | OpeningError
        try:
            made = await self._opener.open(peer, waiter.connect_timeout, http2=http2)
        except OpeningError as error:
            made = error
        waiters = sharing.opened(peer) if joined else [(waiter, False)]
        if isinstance(made, OpeningError):
            self._failed(peer, [one for one, _ in waiters], made)
            return
        if isinstance(made, Http2Upstream):
            sharing.add(made)
        elif http2:
            sharing.declined(peer)
        for one, fresh in waiters:
            if isinstance(made, Http2Upstream) and made.room:
                self._share(made, one, fresh=fresh)
            elif isinstance(made, UpstreamConnection) and one is waiters[0][0]:
                self._give(made, one)
            else:
                peer.active -= 1
                self.ask(one)
        if self._waiting:
            self._wake_all()

    def _failed(self, peer: Peer, waiters: list[Waiter], error: OpeningError) -> None:
        peer.active -= len(waiters)
        self._trouble = error
        if not error.ours:
            self.group.failed(peer, monotonic())
        if not peer.server.unix_path:
            self._resolver.poke(peer.server.host)
        for waiter in waiters:
            self._not_scout(waiter)
            waiter.not_connected(error, peer)

    def _not_scout(self, waiter: Waiter) -> None:
        """A waiter's way led to an end, so that another one may be sent out."""
        if self._scout is waiter:
            self._scout = None

    # Waiting.

    def _queue(self, waiter: Waiter, now: float) -> None:
        """Let a request wait: for a free connection, or for anybody to be there at all."""
        self._not_scout(waiter)
        # READY is who waited until now for somebody that may be tried again, and does not answer.
        refusing = self.group.verdict(now, waiter.tried) is not Availability.SATURATED
        if not waiter.wait_until:
            waiter.wait_until = now + (self.plan.hold if refusing else self.plan.queue_timeout)
        # Without `hold` the failure itself is the answer: 502 for refused, 504 for too slow.
        trouble = waiter.exchange.error if waiter.tried and refusing else None
        if isinstance(trouble, ProxyError) and (
            getattr(trouble, "untrusted", False) or not self.plan.hold
        ):
            waiter.not_connected(trouble, None)
            return
        if waiter.wait_until <= now:
            detail = "no server can be reached" if refusing else "every server is busy"
            if refusing and self._trouble is not None:
                detail += f" ({self._trouble.detail})"
            waiter.not_connected(UpstreamError(503, f"{self.plan.name}: {detail}"), None)
            return
        if waiter.tried:  # a scout comes back to its place at the front
            waiter.tried.clear()
            self._waiting[waiter] = None
            self._waiting.move_to_end(waiter, last=False)
        else:
            self._waiting[waiter] = None
        self._set_timer()

    @property
    def queued(self) -> int:
        """How many requests wait."""
        return len(self._waiting)

    def has_others(self, tried: Sequence[Peer]) -> bool:
        """Say whether anybody beside these peers could take a request, now or when less busy."""
        return self.group.verdict(monotonic(), tried) is not Availability.REFUSING

    def _set_timer(self) -> None:
        if self._timer is None and self._waiting:
            self._timer = self._loop.call_later(_TICK, self._tick)

    def _tick(self) -> None:
        """End what waited too long, and send one scout out."""
        self._timer = None
        now = monotonic()
        late = [waiter for waiter in self._waiting if waiter.wait_until <= now]
        for waiter in late:
            # One that is told may forget another.
            if self._waiting.pop(waiter, self) is not self:
                self._queue(waiter, now)
        if self._waiting and self._scout is None:
            verdict = self.group.verdict(now)
            if verdict is Availability.READY:
                self._scout = self._waiting.popitem(last=False)[0]
                self.ask(self._scout)
        self._set_timer()

    def _wake_all(self) -> None:
        waiting, self._waiting = self._waiting, OrderedDict()
        for waiter in waiting:
            self.ask(waiter)

    def forget(self, waiter: Waiter) -> None:
        """A waiter is no longer interested."""
        self._waiting.pop(waiter, None)
        self._not_scout(waiter)

    # Connections coming back.

    def release(self, connection: UpstreamConnection) -> None:
        """Take back a connection whose answer is whole."""
        peer = connection.peer
        peer.active -= 1
        if peer.on_trial:
            self.group.succeeded(peer)
        idle = peer.idle
        if (
            connection.reusable
            and not peer.gone
            and not self._closed
            and len(idle) < idle_bound(self.plan)
        ):
            spare = len(idle) >= self.plan.keep_alive_connections
            lifetime = idle_lifetime(self.plan, connection.keep_alive_timeout, spare=spare)
            now = monotonic()
            connection.idle_since = now
            connection.expires = now + lifetime
            connection.used += 1
            if lifetime > 0:
                idle.append(connection)
            else:
                connection.close()
        else:
            connection.close()
        self._wake_one()

    def answering(self, connection: UpstreamConnection) -> None:
        """The head of an answer came: its peer works, however long the rest takes."""
        self.stream_answering(connection.peer)

    def given_up(self, connection: UpstreamConnection) -> None:
        """A connection's request was given up; the connection is being closed."""
        self.stream_over(connection.peer)

    def _wake_one(self) -> None:
        if self._waiting:
            self.ask(self._waiting.popitem(last=False)[0])

    def lost(self, connection: UpstreamConnection, *, active: bool) -> None:
        """A connection is gone."""
        self.connections -= 1
        peer = connection.peer
        if active:
            self.stream_over(peer)
        elif connection in peer.idle:
            peer.idle.remove(connection)

    # Streams of shared connections.

    def stream_answering(self, peer: Peer) -> None:
        """The head of an answer came: its peer works."""
        if peer.on_trial:
            self.group.succeeded(peer)

    def stream_over(self, peer: Peer) -> None:
        """A request on a shared connection is over, however it ended."""
        peer.active -= 1
        self._wake_one()

    def shared_lost(self, connection: Http2Upstream) -> None:
        """A shared connection is gone."""
        self.connections -= 1
        if connection in connection.peer.shared:
            connection.peer.shared.remove(connection)

    # Once a second.

    def sweep(self, now: float) -> None:
        """Close kept-alive connections whose time is up."""
        for peer in self.group:
            late = [connection for connection in peer.idle if connection.expires <= now]
            if late:
                peer.idle[:] = [each for each in peer.idle if each.expires > now]
                for connection in late:
                    connection.close()

    def retire(self) -> None:
        """Keep nothing alive any more; what runs or waits may end in peace."""
        self._closed = True
        for watch in self._watches:
            self._resolver.unwatch(watch)
        self._watches.clear()
        for peer in self.group:
            _close_idle(peer)
            close_shared(peer)


def _close_idle(peer: Peer) -> None:
    idle, peer.idle[:] = list(peer.idle), []
    for connection in idle:
        connection.close()
