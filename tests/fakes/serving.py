"""A client's HTTP/1.1 connection without a loop: bytes in, bytes out, and time moved by hand."""

import asyncio
import json
import math
import socket
from collections.abc import Callable
from typing import Any

import pytest

from proxy.errors import ProxyError
from proxy.exchange.exchange import Client, Exchange
from proxy.message.edit import FieldEdit
from proxy.message.head import ResponseHead
from proxy.net.channel import Channel
from proxy.net.http1_connection import Http1Connection
from proxy.net.live_program import LiveProgram
from proxy.net.service import Service
from proxy.net.spool import SpoolBudget
from proxy.observe.access_log import compile_format
from proxy.policy.part import Gate
from proxy.routing.program import Program
from proxy.routing.route import Limits, LogPlan, Route, Timeouts, TlsPlan
from proxy.routing.sites import Site, SiteTable
from proxy.routing.table import RouteTable
from proxy.state.counters import Counters
from tests.fakes.websockets import no_websockets

DATE = b"Date: Thu, 01 Jan 1970 00:00:00 GMT\r\n"
Handler = Callable[[Exchange], None]


class Clock:
    """Stands still until a test moves it."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, *modules: str) -> None:
        self.now = 1000.0
        for module in modules:
            monkeypatch.setattr(f"proxy.net.{module}.monotonic", lambda: self.now)


class Sock:
    """Remembers whether closing was made a reset."""

    family = socket.AF_INET
    resets = False

    def setsockopt(self, level: int, option: int, value: bytes) -> None:
        """Take an option."""
        assert (level, option) == (socket.SOL_SOCKET, socket.SO_LINGER)
        assert int.from_bytes(value[:4], "little") == 1
        self.resets = True


class Pipe(asyncio.Transport):
    """Keeps what is written to it, and how it was ended.

    Attributes:
        writes: What each call wrote.
        on_write: Called after each.
    """

    def __init__(self, **extra: object) -> None:
        self.sock = Sock()
        super().__init__({"socket": self.sock, **extra})
        self.writes: list[bytes] = []
        self.on_write: Callable[[], None] = lambda: None
        self.reading = True
        self.ended = self.closed = self.aborted = False
        self.protocol: asyncio.BaseProtocol | None = None

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        """Take the marks."""

    def get_write_buffer_size(self) -> int:
        """All is on its way at once."""
        return 0

    def set_protocol(self, protocol: asyncio.BaseProtocol) -> None:
        """Take who is told from now on."""
        self.protocol = protocol

    def write(self, data: bytes | bytearray | memoryview) -> None:
        """Keep it."""
        assert not self.ended
        assert not self.closed
        self.writes.append(bytes(data))
        self.on_write()

    def pause_reading(self) -> None:
        """Note it."""
        self.reading = False

    def resume_reading(self) -> None:
        """Note it."""
        self.reading = True

    def is_reading(self) -> bool:
        """Say whether bytes are read."""
        return self.reading

    def write_eof(self) -> None:
        """Note it."""
        self.ended = True

    def is_closing(self) -> bool:
        """Say whether its end began."""
        return self.closed

    def close(self) -> None:
        """Note it."""
        self.closed = True

    def abort(self) -> None:
        """Note it."""
        self.closed = self.aborted = True


class Taker:
    """A consumer that keeps what it is told."""

    def __init__(self) -> None:
        self.body = b""
        self.trailers: bytes | None = None
        self.told: list[str] = []

    def body_received(self, data: bytes) -> None:
        """Take a piece."""
        self.body += data

    def body_ended(self, trailers: bytes) -> None:
        """Take the end."""
        assert self.trailers is None
        self.trailers = trailers

    def client_full(self) -> None:
        """Note it."""
        self.told.append("full")

    def client_ready(self) -> None:
        """Note it."""
        self.told.append("ready")

    def client_gone(self) -> None:
        """Note it."""
        self.told.append("gone")


def one_site(*routes: Route, edit: FieldEdit | None = None, **more: Any) -> Program:  # noqa: ANN401 - of Program
    """A program whose site for "localhost" has these routes, one for everything beneath its label.

    Routes of one label share a prefix, the more particular first.
    """
    prefixes: dict[str, tuple[Route, ...]] = {}
    for route in routes:
        prefixes[route.label] = (*prefixes.get(route.label, ()), route)
    site = Site("localhost", RouteTable({}, prefixes))
    if edit is not None:
        site.edit = site.edit_plain = edit
    settings: dict[str, Any] = {"limits": Limits(), "timeouts": Timeouts(), **more}
    table = settings.pop("sites", None) or SiteTable({"localhost": site}, {})
    return Program((), table, {}, TlsPlan(), log=LogPlan(), **settings)


class Line:
    """One connection, its service and its log.

    Attributes:
        exchanges: Every one that reached the handler, with its taker in `takers`.
        gone: The sessions that said that their connection ended.
    """

    def __init__(  # noqa: PLR0913 - whatever a test may want to be different
        self,
        handler: Handler | None = None,
        *,
        made: Program | None = None,
        gates: tuple[Gate, ...] = (),
        edit: FieldEdit | None = None,
        body_limit: int = 0,
        refusal: ProxyError | None = None,
        timeouts: Timeouts | None = None,
    ) -> None:
        self.exchanges: list[Exchange] = []
        self.takers: list[Taker] = []
        self.lines: list[str] = []
        self.gone: list[object] = []
        self.counters = Counters()
        self.service = Service(
            self.counters, self.lines.append, self.gone.append, no_websockets(self.counters)
        )
        self.service.date_line = DATE
        if made is None:
            route = Route("/", gates=gates, body_limit=body_limit, serve=handler or self.keep)
            if edit is not None:
                route.edit = route.edit_plain = edit
            made = one_site(route, timeouts=timeouts or Timeouts())
        self.use(made)
        self.client = Client("192.0.2.1", 50000, 443, "https")
        self.pipe = Pipe()
        self.channel = Channel()
        self.channel.connection_made(self.pipe)
        self.session = Http1Connection(self.channel, self.service, self.client, refusal)
        self.channel.session = self.session

    def use(self, made: Program) -> None:
        """Put a program in force."""
        live = LiveProgram(made, {}, self.service, SpoolBudget())
        self.service.use(live, compile_format("json"))

    def keep(self, exchange: Exchange) -> None:
        """Serve an exchange: the test answers it."""
        exchange.consumer = taker = Taker()
        self.exchanges.append(exchange)
        self.takers.append(taker)

    def send(self, data: bytes) -> None:
        """Bytes come from the client."""
        if self.channel.session is not None:
            self.channel.session.data_received(data)

    def asked(self, data: bytes) -> Exchange:
        """Bytes come from the client, with one more request in them."""
        count = len(self.exchanges)
        self.send(data)
        assert len(self.exchanges) == count + 1
        return self.exchanges[-1]

    def lost(self) -> None:
        """The connection is gone."""
        self.pipe.closed = True
        self.channel.connection_lost(None)

    def out(self) -> bytes:
        """Return what was written since the last time."""
        data = b"".join(self.pipe.writes)
        self.pipe.writes.clear()
        return data

    def entries(self) -> list[dict[str, Any]]:
        """Return the lines of the access log."""
        return [json.loads(line) for line in self.lines]


def head_of(
    status: int = 200, length: int | None = None, block: bytes = b"", *, dated: bool = False
) -> ResponseHead:
    """An upstream's head."""
    reasons = {200: "OK", 101: "Switching Protocols", 204: "No Content", 304: "Not Modified"}
    head = ResponseHead(status, reasons.get(status, "Some"), block)
    head.content_length = length
    head.dated = dated
    return head


def left(line: Line, clock: Clock) -> float:
    """Seconds to the connection's deadline."""
    return line.channel.deadline - clock.now


def passes(line: Line, clock: Clock) -> bool:
    """Let the deadline pass; whether the client counts as slow."""
    assert line.channel.deadline < math.inf
    clock.now = line.channel.deadline
    return line.channel.expire(clock.now)


def ends(line: Line, exchange: Exchange | None = None) -> None:
    """Answer the running exchange."""
    line.session.send_whole(exchange or line.exchanges[-1], head_of(length=2), b"ok")


def statuses(line: Line) -> list[int]:
    """Statuses of the answers so far, by the log."""
    return [entry["status"] for entry in line.entries()]
