"""An exchange whose gates cannot decide yet: carries out what they ask for.

While it waits it is the exchange's consumer: what comes of the request's body is kept, and nothing
more is read once that is a lot. Whoever serves the exchange then gets all of it. As long as reading
goes on, a client that leaves is noticed, and what is done for it ends.
"""

import asyncio
from collections.abc import Callable, Mapping
from typing import Any, Protocol

from proxy.errors import Fault, ProxyError
from proxy.exchange.answer import Answer
from proxy.exchange.exchange import Exchange
from proxy.exchange.verdict import Delay, Subrequest, Verdict, Wait, Work
from proxy.message.head import ResponseHead
from proxy.net.pool import LivePool
from proxy.net.subrequest import LiveSubrequest
from proxy.net.workshop import Workshop
from proxy.state.counters import Counters

_KEPT = 64 * 1024
"""Bytes of a body beyond which no more of it is read."""

_MOST_KEPT = 64 * 1024 * 1024
"""Bytes of bodies that a worker keeps in this way at a time."""


class Desk(Protocol):
    """Who is told how a wait ended; see `service.Service`.

    Attributes:
        kept: Bytes of bodies that all waiting exchanges keep.
    """

    counters: Counters
    kept: int
    workshop: Workshop

    def passed(self, waiting: "Waiting") -> None:
        """The gate lets the exchange pass: go on with the next."""

    def answered(self, waiting: "Waiting", answer: Answer) -> None:
        """The gate answers the exchange."""

    def failed(self, waiting: "Waiting", error: Exception) -> None:
        """What the gate asked for failed."""


class Waiting:
    """See the module's docstring. Implements `Consumer`.

    Attributes:
        exchange: What waits.
        left: The gates still to be asked.
        serve: The handler behind them.
    """

    __slots__ = (
        "_body",
        "_desk",
        "_ended",
        "_give_up",
        "_held",
        "_pools",
        "_trailers",
        "exchange",
        "left",
        "serve",
    )

    def __init__(
        self,
        desk: Desk,
        exchange: Exchange,
        left: tuple[Callable[[Exchange], Verdict], ...],
        serve: Callable[[Exchange], None],
        pools: Mapping[str, LivePool],
    ) -> None:
        self._desk = desk
        self._pools = pools
        self.exchange = exchange
        self.left = left
        self.serve = serve
        self._body: list[bytes] = []
        self._held = 0
        self._ended = False
        self._trailers = b""
        self._give_up: Callable[[], object] | None = None
        exchange.consumer = self

    def carry_out(self, wait: Wait) -> None:
        """Do what a gate asks for; it, or the next one, is heard then."""
        if type(wait) is Delay:
            loop = asyncio.get_running_loop()
            self._give_up = loop.call_later(wait.seconds, self._heed, None).cancel
        elif type(wait) is Work:
            future = self._desk.workshop.begin(wait.call)
            self._give_up = future.cancel
            future.add_done_callback(lambda done: self._worked(done, wait))
        elif type(wait) is Subrequest:
            self._ask(wait)

    def _ask(self, wait: Subrequest) -> None:
        subrequest = LiveSubrequest(
            self.exchange,
            wait,
            self._pools[wait.pool],
            lambda head, body: self._told(wait, head, body),
            self._failed,
            self._desk.counters,
        )
        self._give_up = subrequest.abandon
        subrequest.start()

    def _worked(self, done: "asyncio.Future[Any]", wait: Work[Any]) -> None:
        if done.cancelled() or self._give_up is None:
            return
        try:
            verdict = wait.then(done.result())
        except Exception as error:  # noqa: BLE001 - a bug ends this exchange alone
            self._failed(error)
        else:
            self._heed(verdict)

    def _told(self, wait: Subrequest, head: ResponseHead, body: bytes) -> None:
        try:
            verdict = wait.then(head, body)
        except Exception as error:  # noqa: BLE001 - as above
            self._failed(error)
        else:
            self._heed(verdict)

    def _failed(self, error: Exception) -> None:
        self._give_up = None
        self._desk.failed(self, error)

    def _heed(self, verdict: Verdict) -> None:
        self._give_up = None
        if verdict is None:
            self._desk.passed(self)
        elif type(verdict) is Answer:
            self._desk.answered(self, verdict)
        elif isinstance(verdict, Wait):
            self.carry_out(verdict)

    def hand_over(self) -> None:
        """Give what came of the body to whoever serves the exchange now, and read on."""
        exchange = self.exchange
        consumer = exchange.consumer
        body, held = self._body, self._held
        self.let_go()
        if consumer is None or not exchange.head.has_body:
            return
        if held > _KEPT:
            exchange.stream.resume_body(exchange)  # delivers nothing before this turn is over
        for piece in body:
            if exchange.consumer is not consumer:
                return
            consumer.body_received(piece)
        if self._ended and exchange.consumer is consumer:
            consumer.body_ended(self._trailers)

    def let_go(self) -> None:
        """Keep nothing of the body any more."""
        self._desk.kept -= self._held
        self._held = 0
        self._body = []

    # From the client.

    def body_received(self, data: bytes) -> None:
        """Keep a piece, and read no more when that is enough."""
        desk = self._desk
        self._body.append(data)
        before, self._held = self._held, self._held + len(data)
        desk.kept += len(data)
        if desk.kept > _MOST_KEPT:
            desk.failed(self, ProxyError(503, Fault.PROXY, "too many bodies wait at gates"))
        elif before <= _KEPT < self._held:
            self.exchange.stream.pause_body(self.exchange)

    def body_ended(self, trailers: bytes) -> None:
        """The request's body is whole."""
        self._ended = True
        self._trailers = trailers

    def client_full(self) -> None:
        """Nothing is sent yet."""

    def client_ready(self) -> None:
        """Nothing waits to be sent."""

    def client_gone(self) -> None:
        """Give up what was begun."""
        self.let_go()
        give_up, self._give_up = self._give_up, None
        if give_up is not None:
            give_up()


def no_handler(exchange: Exchange) -> None:
    """Stand in for the handler of a route whose gates were to answer every request.

    Raises:
        ProxyError: Always.
    """
    raise ProxyError(500, Fault.PROXY, f"route {exchange.route} has no handler")
