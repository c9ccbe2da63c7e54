"""One request's way to an upstream and its answer's way back.

A relay joins an exchange's stream with a stream to an upstream. Between them stand two shields for
synchronous application servers: a `RequestBody` is given to the server when it is whole, and its
answer is taken off its hands into a `Backlog` as fast as it gives it, however slow the client.

A relay's life: ASKING for a connection, SENT, ANSWERING, and over when the exchange has another
consumer or none. A failure while SENT may lead back to ASKING; see `upstream.retry`.
"""

from proxy.clock import monotonic
from proxy.errors import Fault, ProxyError
from proxy.exchange.exchange import Exchange
from proxy.exchange.phases import Phase
from proxy.message.fields import field_values
from proxy.message.head import ResponseHead
from proxy.net import tunnel
from proxy.net.backlog import Backlog
from proxy.net.hop import Hop
from proxy.net.request_body import RequestBody
from proxy.net.spool import BudgetError, SpoolError
from proxy.net.upstream_stream import UpstreamStream
from proxy.policy.compression import OF_OTHER_BYTES
from proxy.policy.part import Encoder
from proxy.upstream.buffering import keeps_request
from proxy.upstream.peer import Peer
from proxy.upstream.retry import Failure, Retry, after

_CONTINUE = ResponseHead(100, "Continue")


class Relay:
    """See the module's docstring. Implements `Consumer`, `AnswerTaker` and `Waiter`.

    Attributes:
        exchange: The request.
        tried: Peers that could not be reached.
        wait_until: See `pool.Waiter`.
    """

    __slots__ = (
        "_answer_ended",
        "_backlog",
        "_body",
        "_client_full",
        "_encoder",
        "_flushes",
        "_hop",
        "_keep_answer",
        "_retries",
        "_sent_at",
        "_trailers",
        "_upstream",
        "exchange",
        "tried",
        "wait_until",
    )

    def __init__(self, hop: Hop, exchange: Exchange) -> None:
        self._hop = hop
        self.exchange = exchange
        self.tried: list[Peer] = []
        self.wait_until = 0.0
        self._upstream: UpstreamStream | None = None
        self._retries = 0
        self._sent_at = 0.0
        self._body: RequestBody | None = None
        self._backlog: Backlog | None = None
        self._keep_answer = True
        self._client_full = False
        self._encoder: Encoder | None = None
        self._flushes = False
        self._answer_ended = False
        self._trailers = b""  # of the answer

    @property
    def connect_timeout(self) -> float:
        """Seconds that opening a connection may take."""
        return self._hop.plan.connect_timeout

    def start(self) -> None:
        """Begin: at once, or when the request's body is whole."""
        exchange = self.exchange
        exchange.consumer = self
        exchange.phase = Phase.QUEUED
        if exchange.head.has_body and not self._start_body():
            return
        self._hop.pool.ask(self)

    def _start_body(self) -> bool:
        """Make ready for the body; return whether to ask for a connection now."""
        exchange = self.exchange
        head = exchange.head
        hop = self._hop
        kept = keeps_request(hop.pool.plan.request_buffering, head)
        self._body = RequestBody(exchange, hop.budget, kept=kept)
        if head.expect_continue:
            exchange.stream.send_interim(exchange, _CONTINUE)
            exchange.stream.flush()
        return not kept

    # The pool's word.

    def connected(self, upstream: UpstreamStream) -> bool:
        """Send the request, or as much of it as there is. False: nobody wants it any more."""
        exchange = self.exchange
        if exchange.consumer is not self or self._upstream is not None:
            return False
        now = monotonic()
        if exchange.connect_time < 0:
            exchange.connect_time = now - exchange.started
        self._sent_at = now
        self._upstream = upstream
        exchange.upstream = upstream.peer.label
        exchange.phase = Phase.SENT
        exchange.tries += 1
        self._hop.counters.upstream_requests += 1
        upstream.hold(self, exchange, self._hop.plan)
        if self._body is None:
            upstream.send_head(None)
            upstream.end_body(b"")
        else:
            try:
                self._body.send_to(upstream)
            except SpoolError as error:
                self._spool_failed(error)
        return True

    def not_connected(self, error: ProxyError, peer: Peer | None) -> None:
        """Try another peer, or wait for one, or give up."""
        exchange = self.exchange
        if exchange.consumer is not self:
            return
        exchange.error = error
        self._hop.counters.upstream_errors += 1
        if peer is None:
            self._fail(error)
            return
        exchange.upstream = peer.label
        exchange.tries += 1
        self.tried.append(peer)
        self._hop.pool.ask(self)

    # From the client.

    def body_received(self, data: bytes) -> None:
        """Take a piece of the request's body."""
        body = self._body
        if body is None:
            return
        try:
            if body.received(data):
                self._hop.pool.ask(self)
        except BudgetError as error:
            self._drop_upstream()
            self._fail(ProxyError(503, Fault.PROXY, str(error)))

    def body_ended(self, trailers: bytes) -> None:
        """The request's body is whole."""
        body = self._body
        if body is None:
            return
        try:
            body.ended(trailers)
        except SpoolError as error:
            self._spool_failed(error)
            return
        if body.kept:
            self._hop.pool.ask(self)

    def upstream_full(self) -> None:
        """The upstream reads slowly."""
        if self._body is not None:
            self._body.upstream_full()

    def upstream_ready(self) -> None:
        """The upstream has caught up."""
        if self._body is not None:
            try:
                self._body.pump()
            except SpoolError as error:
                self._spool_failed(error)

    # The answer.

    def answer_whole(self, head: ResponseHead, body: bytes) -> None:
        """Pass a whole answer on."""
        exchange = self.exchange
        exchange.response_time = monotonic() - self._sent_at
        self._upstream = None
        if self._body is not None:
            self._let_go()
        shaping = self._hop.shaping
        if shaping is not None:
            try:
                head, body = shaping.whole(exchange, head, body)
            except ProxyError as error:
                self._fail(error)
                return
        exchange.stream.send_whole(exchange, head, body)

    def answer_interim(self, head: ResponseHead) -> None:
        """Pass a 1xx head on; 100 was ours to send."""
        if head.status != 100:
            self.exchange.stream.send_interim(self.exchange, head)

    def answer_head(self, head: ResponseHead) -> None:
        """Pass the head on."""
        exchange = self.exchange
        exchange.response_time = monotonic() - self._sent_at
        if head.status == 101:
            self._switch(head)
            return
        mode = self._hop.pool.plan.response_buffering
        self._keep_answer = mode == "on" or (mode == "auto" and not head.streaming)
        shaping = self._hop.shaping
        if shaping is not None:
            # What comes without a length may be a stream somebody waits for.
            self._flushes = head.content_length is None
            try:
                head, self._encoder = shaping.begin(exchange, head)
            except ProxyError as error:
                self._drop_upstream()
                self._fail(error)
                return
        exchange.stream.send_head(exchange, head)

    def _switch(self, head: ResponseHead) -> None:
        upstream, self._upstream = self._upstream, None
        self._let_go()
        if upstream is not None:
            tunnel.join(self._hop, self.exchange, upstream, head)

    def answer_body(self, data: bytes) -> None:
        """Pass a piece of the body on, or keep it while the client is slow."""
        if self._encoder is not None:
            data = self._encoder.encode(data)
            if not data:
                return
        self._pass(data)

    def _pass(self, data: bytes) -> None:
        backlog = self._backlog
        if backlog is None:
            self.exchange.stream.send_body(self.exchange, data)
            return
        backlog.put(data)
        if backlog.full and self._upstream is not None:
            self._upstream.pause_reading()

    def answer_turn(self) -> None:
        """Put on the wire what one read brought."""
        if self._encoder is not None and self._flushes:
            tail = self._encoder.flush()
            if tail:
                self._pass(tail)
        self.exchange.stream.flush()

    def answer_end(self, trailers: bytes) -> None:
        """The answer is whole; it ends for the client when the client has it all."""
        self._upstream = None
        if self._encoder is not None:
            self._pass(self._encoder.finish())
            self._encoder = None
            trailers = OF_OTHER_BYTES.apply(trailers)
        self._trailers = trailers
        self._answer_ended = True
        if self._backlog is None:
            self._finish()
        else:
            self._drain()

    def _finish(self) -> None:
        self._let_go()
        self.exchange.stream.end(self.exchange, self._trailers)

    def client_full(self) -> None:
        """The client is slow: keep its answer for it, or stop the upstream."""
        self._client_full = True
        if self._backlog is None and not self._answer_ended:
            self._backlog = Backlog(self.exchange, self._hop.budget, keep=self._keep_answer)
        if not self._keep_answer and self._upstream is not None:
            self._upstream.pause_reading()

    def client_ready(self) -> None:
        """The client has caught up: give it what was kept."""
        self._client_full = False
        if self._backlog is not None:
            self._drain()

    def _drain(self) -> None:
        exchange = self.exchange
        while not self._client_full and exchange.consumer is self:
            backlog = self._backlog
            if backlog is None:
                return
            try:
                data = backlog.take()
            except SpoolError as error:
                self._spool_failed(error)
                return
            if not data:
                self._drained(backlog)
                return
            exchange.stream.send_body(exchange, data)
            exchange.stream.flush()

    def _drained(self, backlog: Backlog) -> None:
        backlog.close()
        self._backlog = None
        if self._answer_ended:
            self._finish()
        elif self._upstream is not None:
            self._upstream.resume_reading()

    # Trouble.

    def answer_lost(self, error: ProxyError) -> None:
        """The connection is gone: try again where that is allowed, else tell the client."""
        exchange = self.exchange
        upstream, self._upstream = self._upstream, None
        if upstream is None or exchange.consumer is not self:
            return
        exchange.error = error
        hop = self._hop
        hop.counters.upstream_errors += 1
        if exchange.phase >= Phase.ANSWERED:
            self._fail(error)
            return
        if self._body is not None:
            self._body.detach()
        decision = after(self._failure(upstream, error), hop.pool.plan.retries)
        if decision is not Retry.SAME_FRESH:
            hop.pool.group.failed(upstream.peer, monotonic())
        others = (*self.tried, upstream.peer)
        if decision is Retry.GIVE_UP or (
            # Who is only slow gains nothing from being asked once more, so nobody waits for that.
            error.status == 504 and not hop.pool.has_others(others)
        ):
            self._fail(error)
            return
        hop.counters.upstream_retries += 1
        if decision is Retry.SAME_FRESH and not upstream.peer.gone:
            hop.pool.ask(self, fresh=True, peer=upstream.peer)
        else:
            self._retries += decision is Retry.OTHER
            self.tried.append(upstream.peer)
            hop.pool.ask(self)

    def _failure(self, upstream: UpstreamStream, error: ProxyError) -> Failure:
        head = self.exchange.head
        return Failure(
            method=head.method,
            has_idempotency_key=bool(field_values(head.block, "idempotency-key")),
            sent=True,
            unapplied=error.retry,
            replayable=self._body is None or self._body.replayable,
            answered=upstream.answer_began,
            ended=error.status != 504,
            reused=upstream.reused,
            retries=self._retries,
        )

    def _spool_failed(self, error: SpoolError) -> None:
        """What was kept of a body cannot be read back: the exchange cannot be saved."""
        self._drop_upstream()
        self._fail(ProxyError(500, Fault.PROXY, str(error)))

    def _fail(self, error: ProxyError) -> None:
        self._let_go()
        self._hop.fail(self.exchange, error)

    def client_gone(self) -> None:
        """Stop everything that is done for a client that left."""
        self._drop_upstream()
        self._hop.pool.forget(self)
        self._let_go()

    def _drop_upstream(self) -> None:
        upstream, self._upstream = self._upstream, None
        if upstream is not None:
            upstream.drop()

    def _let_go(self) -> None:
        self._encoder = None
        if self._body is not None:
            self._body.close()
            self._body = None
        if self._backlog is not None:
            self._backlog.close()
            self._backlog = None


def begin(hop: Hop, exchange: Exchange) -> None:
    """Send an exchange on its way."""
    refusal = hop.websockets.refusal(exchange.address) if exchange.head.upgrade else None
    if refusal is None:
        Relay(hop, exchange).start()
    else:
        hop.fail(exchange, refusal)
