"""A request of the proxy's own on behalf of an exchange: one question to a server, one answer.

It is sent as any request is, through a pool, on a kept-alive connection where one is free, and
tells of the same client; but it has no body and its answer is taken whole. One deadline covers all
of it: the wait for a connection, opening it, and the answer to its last byte. No timer is made for
it, since each of those has a deadline already that the loop's own rounds look at; so it may end up
to a second late.
"""

from collections.abc import Callable
from functools import lru_cache

from proxy.clock import monotonic
from proxy.errors import ProxyError, UpstreamError
from proxy.exchange.exchange import Exchange
from proxy.exchange.verdict import Subrequest
from proxy.message.head import RequestHead, ResponseHead
from proxy.net.pool import LivePool
from proxy.net.upstream_stream import UpstreamStream
from proxy.routing.route import ProxyPlan
from proxy.state.counters import Counters
from proxy.upstream.peer import Peer
from proxy.upstream.retry import Failure, Retry, after


@lru_cache(maxsize=256)  # as many as there are questions in the configuration
def _way(pool: str, host: str, timeout: float) -> ProxyPlan:
    return ProxyPlan(pool, host=host, response_timeout=timeout, idle_timeout=timeout)


class LiveSubrequest:
    """One subrequest on its way. Implements `pool.Waiter` and `AnswerTaker`.

    Attributes:
        exchange: An exchange of its own, for the client of the one that waits.
        tried: Peers that could not be reached.
        wait_until: When it fails, in monotonic seconds; see `pool.Waiter`.
    """

    __slots__ = (
        "_ask",
        "_body",
        "_counters",
        "_done",
        "_failed",
        "_head",
        "_over",
        "_pool",
        "_retries",
        "_upstream",
        "exchange",
        "tried",
        "wait_until",
    )

    def __init__(
        self,
        exchange: Exchange,
        ask: Subrequest,
        pool: LivePool,
        done: Callable[[ResponseHead, bytes], None],
        failed: Callable[[ProxyError], None],
        counters: Counters,
    ) -> None:
        """Take all that is needed; `start` begins.

        Args:
            exchange: The one that waits; nothing of it is changed.
            ask: What to ask. Its head's authority is sent as Host, "" for the client's own.
            pool: Through which.
            done: Told of the answer, whatever its status.
            failed: Told that none can be had: 502, 503 or 504. One of the two is called, once.
            counters: What the worker counts.
        """
        self._ask = ask
        self._pool = pool
        self._done = done
        self._failed = failed
        self._counters = counters
        self._upstream: UpstreamStream | None = None
        self._head: ResponseHead | None = None
        self._body = b""
        self._retries = 0
        self._over = False
        now = monotonic()
        self.exchange = _of_its_own(exchange, ask.head, now)
        self.tried: list[Peer] = []
        self.wait_until = now + ask.timeout

    @property
    def connect_timeout(self) -> float:
        """Seconds that opening a connection may take."""
        return min(self._pool.plan.connect_timeout, self._left())

    def start(self) -> None:
        """Ask. One of the two callbacks may come before this returns."""
        self._pool.ask(self)

    def abandon(self) -> None:
        """Give up: nobody is told anything any more."""
        self._over = True
        self._drop()
        self._pool.forget(self)

    def _left(self) -> float:
        return max(0.0, self.wait_until - monotonic())

    # The pool's word.

    def connected(self, upstream: UpstreamStream) -> bool:
        """Send the request. False: nobody wants it any more."""
        if self._over or self._upstream is not None:
            return False
        self._upstream = upstream
        self._counters.upstream_requests += 1
        ask = self._ask
        upstream.hold(self, self.exchange, _way(ask.pool, ask.head.authority, ask.timeout))
        upstream.send_head(None)
        upstream.end_body(b"")
        upstream.set_idle(self._left())
        return True

    def not_connected(self, error: ProxyError, peer: Peer | None) -> None:
        """Try another peer, or wait for one, or give up."""
        if self._over:
            return
        self._counters.upstream_errors += 1
        self.exchange.error = error
        if peer is None or not self._left():
            self._fail(error.status, error.detail)
            return
        self.tried.append(peer)
        self._pool.ask(self)

    # The answer.

    def answer_interim(self, head: ResponseHead) -> None:
        """A 1xx head decides nothing."""

    def answer_head(self, head: ResponseHead) -> None:
        """Keep the head, unless it tells of too large a body."""
        self._head = head
        self._keep_on(head.content_length or 0)

    def answer_body(self, data: bytes) -> None:
        """Keep a piece of the body, unless it is one too many."""
        self._body += data
        self._keep_on(len(self._body))

    def _keep_on(self, size: int) -> None:
        """Wait for more, but no longer than from the beginning on."""
        if size > self._ask.limit:
            self._too_large()
        elif self._upstream is not None:
            self._upstream.set_idle(self._left())

    def answer_turn(self) -> None:
        """What came is looked at when it is whole."""

    def upstream_full(self) -> None:
        """All was sent in one go."""

    def upstream_ready(self) -> None:
        """Nothing waits to be sent."""

    def answer_whole(self, head: ResponseHead, body: bytes) -> None:
        """Take a whole answer."""
        self._upstream = None
        if self._over:
            return
        if len(body) > self._ask.limit:
            self._too_large()
            return
        self._over = True
        self._done(head, body)

    def answer_end(self, trailers: bytes) -> None:  # noqa: ARG002 - nothing is decided by trailers
        """The answer is whole."""
        if self._head is not None:
            self.answer_whole(self._head, self._body)

    # Trouble.

    def answer_lost(self, error: ProxyError) -> None:
        """The connection is gone: try again where that makes sense."""
        upstream, self._upstream = self._upstream, None
        if upstream is None or self._over:
            return
        pool = self._pool
        self._counters.upstream_errors += 1
        self.exchange.error = error
        decision = after(self._failure(upstream, error), pool.plan.retries)
        if decision is not Retry.SAME_FRESH:
            pool.group.failed(upstream.peer, monotonic())
        if error.status == 504 or decision is Retry.GIVE_UP or not self._left():
            self._fail(error.status, f"{upstream.peer.label}: {error.detail}")
            return
        self._counters.upstream_retries += 1
        if decision is Retry.SAME_FRESH and not upstream.peer.gone:
            pool.ask(self, fresh=True, peer=upstream.peer)
        else:
            self._retries += decision is Retry.OTHER
            self.tried.append(upstream.peer)
            pool.ask(self)

    def _failure(self, upstream: UpstreamStream, error: ProxyError) -> Failure:
        return Failure(
            method=self._ask.head.method,
            has_idempotency_key=False,
            sent=True,
            unapplied=error.retry,
            replayable=True,
            answered=upstream.answer_began,
            ended=error.status != 504,
            reused=upstream.reused,
            retries=self._retries,
        )

    def _too_large(self) -> None:
        """More is not waited for, so the connection is of no more use."""
        self._drop()
        self._counters.upstream_errors += 1
        self._fail(502, f"{self._ask.pool}: an answer of more than {self._ask.limit} bytes")

    def _drop(self) -> None:
        upstream, self._upstream = self._upstream, None
        if upstream is not None:
            upstream.drop()

    def _fail(self, status: int, detail: str) -> None:
        self._over = True
        self._failed(UpstreamError(status, f"subrequest: {detail}"))


def _of_its_own(exchange: Exchange, asked: RequestHead, now: float) -> Exchange:
    """Return an exchange for the same client that asks for something else."""
    head = RequestHead(asked.method, asked.target, asked.version)
    head.path = asked.path
    head.host = exchange.head.host
    head.authority = exchange.head.authority  # told as X-Forwarded-Host
    head.block = asked.block
    head.forwarding = asked.forwarding
    own = Exchange(exchange.stream, exchange.client, head, now)
    own.address = exchange.address
    own.scheme = exchange.scheme
    own.port = exchange.port
    own.request_id = exchange.request_id
    return own
