"""A route's way to its upstream: what all of its relays share."""

from collections.abc import Callable
from typing import Protocol

from proxy.errors import ProxyError
from proxy.exchange.exchange import Exchange
from proxy.net.pool import LivePool
from proxy.net.shaping import Shaping
from proxy.net.spool import SpoolBudget
from proxy.net.websockets import WebSockets
from proxy.routing.route import ProxyPlan
from proxy.state.counters import Counters


class Hop(Protocol):
    """What a relay takes of its route."""

    pool: LivePool
    plan: ProxyPlan
    counters: Counters
    budget: SpoolBudget
    websockets: WebSockets
    shaping: Shaping | None

    def fail(self, exchange: Exchange, error: ProxyError) -> None:
        """Answer an error."""


class LiveHop:
    """One route in one worker.

    Attributes:
        pool: Where connections come from.
        plan: What the configuration says.
        fail: Answers an error.
        websockets: Those of the worker.
        counters: What the worker counts.
        budget: What the worker's spools may take.
        shaping: What the route makes of answers, or None.
    """

    __slots__ = ("budget", "counters", "fail", "plan", "pool", "shaping", "websockets")

    def __init__(
        self,
        pool: LivePool,
        plan: ProxyPlan,
        fail: Callable[[Exchange, ProxyError], None],
        websockets: WebSockets,
        budget: SpoolBudget,
    ) -> None:
        self.pool = pool
        self.plan = plan
        self.fail = fail
        self.websockets = websockets
        self.counters = websockets.counters
        self.budget = budget
        self.shaping: Shaping | None = None
