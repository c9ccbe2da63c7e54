"""The serving half of a worker: listeners, the program in force, the sweep, and the end."""

import asyncio
from collections.abc import Callable, Sequence
from functools import partial
from random import Random
from typing import Protocol

from proxy.clock import monotonic
from proxy.net.channel import Channel
from proxy.net.door import ALPN, HTTP1_ONLY, Door
from proxy.net.listen import BACKLOG, ListenSocket
from proxy.net.live_program import LiveProgram
from proxy.net.pool import LivePool
from proxy.net.resolver import Resolver
from proxy.net.service import Service
from proxy.net.spool import SpoolBudget
from proxy.net.tls_contexts import PreparedTls, TlsFront
from proxy.net.tunnel import FAREWELL
from proxy.net.websockets import WebSockets
from proxy.observe.access_log import compile_format
from proxy.routing.program import Program
from proxy.state.shared import WorkerShare
from proxy.upstream.group import PeerGroup
from proxy.upstream.peer import address_text

_SWEEP = 1.0  # seconds
_STALLED = 60.0  # seconds in which an upstream must take something of a body
_LAST = 1.0  # seconds in which closing connections may send what they still have


class Logs(Protocol):
    """Where lines go."""

    @property
    def dropped(self) -> int:
        """Lines that no log could take."""

    def access_line(self, line: str) -> None:
        """Take a line; returns at once."""

    def flush(self) -> None:
        """Hand over what was taken."""

    def reopen(self) -> None:
        """Open the files again under their names."""


class WorkerServer:
    """Serves what comes in on a set of listening sockets.

    Must be made and used in the loop's thread. `start` begins; `prepare` makes a new program
    ready, and calling what it returns swaps it in; `drain` ends.
    """

    def __init__(
        self,
        program: Program,
        listeners: Sequence[ListenSocket],
        front: TlsFront,
        share: WorkerShare,
        logs: Logs,
        workers: int = 1,
    ) -> None:
        """Build everything for a program.

        Args:
            program: What to serve.
            listeners: Bound sockets.
            front: The TLS front made before the fork.
            share: Where this worker counts.
            logs: Where lines go.
            workers: How many share the upstreams' limits.

        Raises:
            TlsConfigurationError: A certificate or CA file cannot be used.
        """
        self._loop = asyncio.get_running_loop()
        self._listeners = tuple(listeners)
        self._front = front
        self._share = share
        self._logs = logs
        self._workers = workers
        self._servers: list[asyncio.Server] = []
        self._resolver = Resolver(self._loop)
        self._budget = SpoolBudget.for_worker(workers)
        self._random = Random()  # noqa: S311 - spreads load, guards nothing
        self._upstream_channels: set[Channel] = set()
        self._pools: dict[str, LivePool] = {}
        self._timer: asyncio.TimerHandle | None = None
        websockets = WebSockets(share.counters, share.websockets)
        self._service = Service(share.counters, logs.access_line, self._ended, websockets)
        self._door = Door(self._service, share, front, self._count_upstreams)
        self.prepare(program)()

    async def start(self) -> None:
        """Begin to accept, and to sweep."""
        for listener in self._listeners:
            server = await self._loop.create_server(
                partial(self._door.entrance, listener.endpoint), sock=listener.sock, backlog=BACKLOG
            )
            self._servers.append(server)
        self._sweep()

    def prepare(self, program: Program) -> Callable[[], None]:
        """Build everything for a program; calling the result puts it in force.

        Pools whose plan stays keep their connections and their health. Nothing changes until the
        result is called, and calling it cannot fail.

        Raises:
            TlsConfigurationError: A certificate or CA file cannot be used.
            ValueError: The access log's format is wrong.
        """
        tls = PreparedTls(program.tls, ALPN if program.tls.http2 else HTTP1_ONLY)
        plan = program.log
        formatter = None if plan.access_to == "off" else compile_format(plan.access_format)
        before = self._pools
        made: dict[str, LivePool] = {}
        try:
            for name, pool_plan in program.pools.items():
                old = before.get(name)
                if old is not None and old.plan == pool_plan:
                    made[name] = old
                else:
                    group = PeerGroup(pool_plan, self._random, self._workers)
                    made[name] = LivePool(
                        pool_plan, group, self._resolver, self._watch, self._share.counters
                    )
            live = LiveProgram(program, made, self._service, self._budget)
        except BaseException:
            _retire(made, keep=before)
            raise

        def commit() -> None:
            self._pools = made
            self._front.swap(tls)
            self._service.use(live, formatter)
            # Connections live on, and with them whom the old program believed.
            for session in self._door.sessions:
                self._door.judge(session.client)
            _retire(before, keep=made)

        return commit

    def _watch(self, channel: Channel) -> None:
        self._upstream_channels.add(channel)

    def _count_upstreams(self) -> int:
        """Say how many descriptors are in use beside the clients'."""
        return len(self._upstream_channels) + self._budget.files + self._service.files.files

    def _ended(self, session: object) -> None:
        self._door.sessions.discard(session)

    # Once a second.

    def _sweep(self) -> None:
        """Look at every deadline, and do whatever is done once a second."""
        self._timer = self._loop.call_later(_SWEEP, self._sweep)
        now = monotonic()
        self._service.tick()
        write_idle = self._service.timeouts.write_idle
        least = max(1.0, self._service.timeouts.min_rate * write_idle)
        counters = self._share.counters
        for channel in tuple(self._door.channels):
            if channel.deadline < now:
                counters.client_timeouts += channel.expire(now)
            elif (channel.writing_paused or channel.closing) and channel.check_stalled(
                now, write_idle, least
            ):
                counters.client_timeouts += 1
                channel.abort()
        self._sweep_upstreams(now)
        self._publish()
        self._logs.flush()

    def _publish(self) -> None:
        counters = self._share.counters
        counters.upstream_connections_open = len(self._upstream_channels)
        counters.queued = sum(pool.queued for pool in self._pools.values())
        counters.log_lines_dropped = self._logs.dropped
        counters.publish()

    def _sweep_upstreams(self, now: float) -> None:
        for channel in tuple(self._upstream_channels):
            if channel.transport is None:
                self._upstream_channels.discard(channel)
            elif channel.deadline < now:
                self._share.counters.upstream_timeouts += channel.expire(now)
            elif channel.closing and channel.check_stalled(now, _STALLED):
                channel.abort()
            elif channel.writing_paused and channel.check_stalled(now, _STALLED):
                self._share.counters.upstream_timeouts += channel.expire(now)
        board = self._share.health
        for name, pool in self._pools.items():
            pool.sweep(now)
            if pool.plan.health is None:
                continue
            for peer in tuple(pool.group):
                verdict = board.get(board.key(name, peer.server.url, address_text(peer.address)))
                pool.group.set_health(peer, up=verdict is not False)

    # The end, and what is asked from outside.

    async def drain(self, timeout: float) -> None:  # noqa: ASYNC109 - a deadline for others
        """Stop accepting, let running requests finish, then close what is left."""
        self._service.draining = True
        self._stop_listening()
        for session in tuple(self._door.sessions):
            session.stop_soon()
        end = monotonic() + timeout
        while self._door.channels and monotonic() < end:  # noqa: ASYNC110 - ends by a deadline
            await asyncio.sleep(0.05)
        # What would never end by itself is told to.
        websockets = self._service.websockets
        websockets.go_away()
        end = monotonic() + FAREWELL
        while len(websockets) and monotonic() < end:  # noqa: ASYNC110 - as above
            await asyncio.sleep(0.01)
        for session in tuple(self._door.sessions):
            session.close()
        end = monotonic() + _LAST
        while self._door.channels and monotonic() < end:  # noqa: ASYNC110 - as above
            await asyncio.sleep(0.01)
        self.close()

    def _stop_listening(self) -> None:
        for server in self._servers:
            server.close()
        self._servers.clear()

    def close(self) -> None:
        """End everything at once."""
        self._stop_listening()
        if self._timer is not None:
            self._timer.cancel()
        for channel in tuple(self._door.channels):
            channel.abort()
        _retire(self._pools, keep={})
        self._service.workshop.close()
        self._service.files.close()
        self._resolver.close()
        for channel in tuple(self._upstream_channels):
            channel.abort()
        self._share.counters.publish()
        self._logs.flush()

    def reopen_logs(self) -> None:
        """Open the log files again under their names."""
        self._logs.reopen()

    def status(self) -> dict[str, object]:
        """Tell how things are, in values that JSON knows; the figures shared by all follow suit."""
        self._publish()
        counters = self._share.counters
        return {
            "connections": len(self._door.channels),
            "requests": counters.requests,
            "upstream_connections": len(self._upstream_channels),
            "upstreams": {
                name: [
                    {
                        "server": peer.server.url,
                        "address": address_text(peer.address),
                        "down": peer.down,
                        "out": peer.out_until > monotonic(),
                        "active": peer.active,
                        "idle": len(peer.idle),
                    }
                    for peer in pool.group
                ]
                for name, pool in self._pools.items()
            },
        }


def _retire(pools: dict[str, LivePool], *, keep: dict[str, LivePool]) -> None:
    for pool in pools.values():
        if all(pool is not kept for kept in keep.values()):
            pool.retire()
