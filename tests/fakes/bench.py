"""A worker's serving half in the test's own loop, between raw clients and a scripted upstream."""

import asyncio
import json
import socket
import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from typing import Any

from proxy.net.channel import Channel
from proxy.net.listen import ListenSocket
from proxy.net.pool import LivePool
from proxy.net.server import WorkerServer
from proxy.net.tls_contexts import TlsFront
from proxy.policy.part import Encode, Gate, Shape
from proxy.routing.program import Program
from proxy.routing.route import (
    Endpoint,
    Limits,
    LogPlan,
    ProxyPlan,
    Route,
    Timeouts,
    TlsPlan,
    TlsSite,
)
from proxy.routing.sites import Site, SiteTable
from proxy.routing.table import RouteTable
from proxy.state.counters import Counters
from proxy.state.shared import SharedState
from proxy.upstream.plan import PoolPlan, ServerPlan
from tests.fakes.wires import Wire, until

_TO_APP = ProxyPlan("app")
_LIMITS = Limits()
_TIMEOUTS = Timeouts()


@dataclass
class Lines:
    """Keeps the access log's lines."""

    lines: list[str] = field(default_factory=list)
    dropped: int = 0

    def access_line(self, line: str) -> None:
        self.lines.append(line)

    def flush(self) -> None:
        pass

    def reopen(self) -> None:
        pass


def server_plan(port: int, scheme: str = "http") -> ServerPlan:
    """One server on 127.0.0.1."""
    return ServerPlan(f"{scheme}://127.0.0.1:{port}", scheme, "127.0.0.1", port)


def pool_plan(*ports: int) -> PoolPlan:
    """A pool of servers on 127.0.0.1 that gives up at once where nobody is there."""
    servers = tuple(server_plan(port) for port in ports)
    return PoolPlan("app", servers, hold=0.0, queue_timeout=0.0)


def program(  # noqa: PLR0913 - whatever a test may want to be different
    pool: PoolPlan,
    *,
    plan: ProxyPlan = _TO_APP,
    body_limit: int = 0,
    gates: tuple[Gate, ...] = (),
    limits: Limits = _LIMITS,
    timeouts: Timeouts = _TIMEOUTS,
    pairs: tuple[tuple[bytes, bytes], ...] = (),
    encode: Encode | None = None,
    shapes: tuple[Shape, ...] = (),
) -> Program:
    """A program whose only route leads to `pool`."""
    only = Route("/", gates=gates, proxy=plan, body_limit=body_limit, encode=encode, shapes=shapes)
    site = Site("localhost", RouteTable({}, {"/": (only,)}))
    sites = SiteTable({"localhost": site}, {}, None)
    tls = TlsPlan(sites=(TlsSite(("localhost",), pairs, default=True),) if pairs else ())
    log = LogPlan(access_format="json")
    return Program((), sites, {"app": pool}, tls, limits, timeouts, log)


@dataclass
class Bench:
    """A running worker.

    Attributes:
        server: What is tested.
        port: Of its endpoint.
    """

    server: WorkerServer
    logs: Lines
    port: int
    clients: list[Wire] = field(default_factory=list)

    async def client(self, tls: ssl.SSLContext | None = None, rcvbuf: int = 0) -> Wire:
        """Connect. A small `rcvbuf` makes a reader's slowness felt soon."""
        sock = socket.socket()
        if rcvbuf:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, rcvbuf)
        sock.settimeout(0)
        try:
            await asyncio.get_running_loop().sock_connect(sock, ("127.0.0.1", self.port))
        except OSError:
            sock.close()
            raise
        more: dict[str, Any] = {"ssl": tls, "server_hostname": "localhost"} if tls else {}
        limit = 1 << 10 if rcvbuf else 1 << 16
        reader, writer = await asyncio.open_connection(sock=sock, limit=limit, **more)
        wire = Wire(reader, writer)
        self.clients.append(wire)
        return wire

    def sweep(self) -> None:
        """Do now what is done once a second."""
        timer = self.server._timer
        assert timer is not None
        timer.cancel()
        self.server._sweep()

    async def until(self, look: Callable[[], object]) -> None:
        """Wait for something that is bound to come."""
        await until(look)

    async def entries(self, count: int) -> list[dict[str, Any]]:
        """Wait for so many lines of the access log, and no more than these."""
        await until(lambda: len(self.logs.lines) >= count)
        assert len(self.logs.lines) == count, self.logs.lines
        return [json.loads(line) for line in self.logs.lines]

    async def entry(self) -> dict[str, Any]:
        """Wait for the only line of the access log."""
        return (await self.entries(1))[0]

    async def channel(self) -> Channel:
        """Wait for the only client's channel."""
        await until(lambda: self.server._door.channels)
        (channel,) = self.server._door.channels
        return channel

    @property
    def counters(self) -> Counters:
        return self.server._share.counters

    @property
    def pool(self) -> LivePool:
        return self.server._pools["app"]

    async def at_rest(self) -> None:
        """Wait until nobody is served, and see that nothing is left over."""
        await until(lambda: not self.server._door.channels)
        await until(lambda: not any(peer.active for peer in self.pool.group))
        assert not self.pool._waiting
        assert not self.server._door.sessions
        assert not self.server._budget.files
        assert self.counters.requests_active == 0
        assert self.server._share.connections.total() == 0


@asynccontextmanager
async def bench(made: Program, *, tls: bool = False, workers: int = 1) -> AsyncIterator[Bench]:
    """Run a worker, and see at the end that nothing of any exchange is left."""
    sock = socket.socket()
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    sock.bind(("127.0.0.1", 0))
    sock.listen(200)
    sock.settimeout(0)
    port = sock.getsockname()[1]
    endpoint = Endpoint("127.0.0.1", port, tls)
    made = replace(made, endpoints=(endpoint,))
    logs = Lines()
    share = SharedState.create(1).worker(0)
    server = WorkerServer(made, [ListenSocket(sock, endpoint)], TlsFront(), share, logs, workers)
    await server.start()
    running = Bench(server, logs, port)
    try:
        yield running
        for client in running.clients:
            client.writer.transport.abort()
        await running.at_rest()
    finally:
        for client in running.clients:
            client.writer.transport.abort()
        server.close()
        await asyncio.sleep(0)
        sock.close()


def get(target: str = "/", fields: str = "", method: str = "GET") -> bytes:
    """A request without a body."""
    return f"{method} {target} HTTP/1.1\r\nHost: localhost\r\n{fields}\r\n".encode()


def post(body: bytes, fields: str = "", target: str = "/") -> bytes:
    """A request with a body."""
    return posting(len(body), fields, target) + body


def posting(length: int, fields: str = "", target: str = "/") -> bytes:
    """The head of a request whose body is still to come."""
    return (
        f"POST {target} HTTP/1.1\r\nHost: localhost\r\nContent-Length: {length}\r\n{fields}\r\n"
    ).encode()
