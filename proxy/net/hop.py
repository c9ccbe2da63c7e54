"""A route's way to its upstream: starts a relay for each exchange."""

from collections.abc import Callable

from proxy.errors import ProxyError
from proxy.exchange.exchange import Exchange
from proxy.net.pool import LivePool
from proxy.net.relay import Relay
from proxy.net.spool import SpoolBudget
from proxy.routing.route import ProxyPlan
from proxy.state.counters import Counters


class LiveHop:
    """What every relay of a route shares.

    Attributes:
        pool: Where connections come from.
        plan: What the configuration says.
        fail: Answers an error.
        counters: What the worker counts.
        budget: What the worker's spools may take.
    """

    __slots__ = ("budget", "counters", "fail", "plan", "pool")

    def __init__(
        self,
        pool: LivePool,
        plan: ProxyPlan,
        fail: Callable[[Exchange, ProxyError], None],
        counters: Counters,
        budget: SpoolBudget,
    ) -> None:
        self.pool = pool
        self.plan = plan
        self.fail = fail
        self.counters = counters
        self.budget = budget

    def serve(self, exchange: Exchange) -> None:
        """Send an exchange on its way."""
        Relay(self, exchange).start()
