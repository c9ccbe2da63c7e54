"""A Program in a worker: with pools that have sockets, and routes bound to those who serve them."""

from functools import partial
from typing import Protocol

from proxy.errors import ProxyError
from proxy.exchange.exchange import Exchange
from proxy.message.head import HeadLimits
from proxy.message.networks import NetworkSet
from proxy.net import relay
from proxy.net.file_answers import Service as FileService
from proxy.net.file_handler import FileHandler
from proxy.net.hop import LiveHop
from proxy.net.pool import LivePool
from proxy.net.shaping import shaping
from proxy.net.spool import SpoolBudget
from proxy.net.websockets import WebSockets
from proxy.routing.program import Program


class Service(FileService, Protocol):
    """What handlers need of the worker's service."""

    websockets: WebSockets

    def fail(self, exchange: Exchange, error: ProxyError) -> None:
        """Answer an error, or cut short the answer that has begun."""


class LiveProgram:
    """See the module's docstring.

    Attributes:
        program: What was compiled.
        pools: By name.
        trusted: Whose forwarding fields are believed.
        head_limits: Bounds for the heads of new connections.
    """

    __slots__ = ("head_limits", "pools", "program", "trusted")

    def __init__(
        self, program: Program, pools: dict[str, LivePool], service: Service, budget: SpoolBudget
    ) -> None:
        """Bind every route of a program."""
        self.program = program
        self.pools = pools
        self.trusted = NetworkSet(program.trusted)
        limits = program.limits
        self.head_limits = HeadLimits(limits.header_size, limits.headers, limits.target)
        for site in program.all_sites():
            for route in site.routes.routes:
                if route.proxy is not None:
                    pool = pools[route.proxy.pool]
                    hop = LiveHop(pool, route.proxy, service.fail, service.websockets, budget)
                    hop.shaping = shaping(route.shapes, route.encode)
                    route.serve = partial(relay.begin, hop)
                elif route.files is not None:
                    route.serve = FileHandler(route, route.files, service, site.routes).serve
