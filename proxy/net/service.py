"""Serving an exchange: site, route, gates, handler; and its end: one log line, once.

This is the one way through the worker for every request, whichever version of HTTP it came by.
The look-ups by host and path are made once for a head and remembered with it.
"""

import logging
import secrets
from collections.abc import Callable

from proxy.clock import local_offset, wall_time
from proxy.errors import BadRequestError, Fault, ProxyError
from proxy.exchange.answer import Answer
from proxy.exchange.error_pages import ErrorPages
from proxy.exchange.exchange import Client, ClientStream, Exchange
from proxy.exchange.pages import error_answer
from proxy.exchange.phases import Phase
from proxy.exchange.verdict import Verdict, Wait
from proxy.message.edit import FieldEdit
from proxy.message.forwarding import believe
from proxy.message.head import HeadLimits, RequestHead, ResponseHead
from proxy.message.http_date import http_date
from proxy.message.status import CLIENT_GONE
from proxy.net.file_desk import FileDesk
from proxy.net.live_program import LiveProgram
from proxy.net.waiting import Waiting, no_handler
from proxy.net.websockets import WebSockets
from proxy.net.workshop import FOR_COMPUTING, Workshop
from proxy.observe.log_time import LogClock
from proxy.policy.part import Gate
from proxy.routing.route import Route, Timeouts
from proxy.routing.sites import Site
from proxy.state.counters import Counters

_log = logging.getLogger("pyproxy.serve")
Formatter = Callable[[Exchange, float, str], str]


class Found:
    """The route found for a head, kept with it."""

    __slots__ = ("edit", "label", "live", "plan", "route", "site")

    def __init__(self, live: LiveProgram, site: str, route: Route, edit: FieldEdit) -> None:
        self.live = live
        self.site = site
        self.route = route
        self.label = route.label
        self.edit = edit
        self.plan: object = None


def _no_site(exchange: Exchange, site: Site | None) -> ProxyError:
    """RFC 9110, 15.5.20: over TLS the client may try again on another connection."""
    detail = f"no site for host {exchange.head.host!r}"
    if site is not None:
        detail = f"site {site.label} is not served over TLS"
    status = 421 if site is not None or exchange.scheme == "https" else 404
    return BadRequestError(detail, status=status, public="This host is not served here.")


class Service:
    """See the module's docstring. What every session of a worker shares.

    Attributes:
        counters: What the worker counts.
        live: The program in force for requests to come.
        draining: True while the worker lets its clients finish.
        date_line: The Date field of this second.
        kept: Bytes of bodies that wait for gates.
        workshop: Where gates have things computed.
        files: What those who serve files share.
        websockets: Those that are open.
    """

    __slots__ = (
        "_clock",
        "_format",
        "_id_count",
        "_id_prefix",
        "_on_ended",
        "_stamp",
        "_write",
        "counters",
        "date_line",
        "draining",
        "files",
        "kept",
        "live",
        "timeouts",
        "websockets",
        "workshop",
    )

    def __init__(
        self,
        counters: Counters,
        write: Callable[[str], None],
        on_ended: Callable[[object], None],
        websockets: WebSockets,
    ) -> None:
        """Take what every exchange needs at its end; `use` gives it a program.

        Args:
            counters: What the worker counts.
            write: Takes a line of the access log.
            on_ended: Told of each session whose connection is gone.
            websockets: Where they are counted.
        """
        self.counters = counters
        self._clock = LogClock(local_offset)
        self._stamp = ""
        self._write = write
        self._on_ended = on_ended
        self._format: Formatter | None = None
        self._id_prefix = secrets.token_hex(8)
        self._id_count = 0
        self.draining = False
        self.kept = 0
        self.date_line = b""
        self.timeouts = Timeouts()
        self.workshop = Workshop(FOR_COMPUTING, "work")
        self.files = FileDesk()
        self.websockets = websockets
        self.tick()

    def use(self, live: LiveProgram, formatter: Formatter | None) -> None:
        """Serve the requests to come by another program."""
        self.live = live
        self.timeouts = live.program.timeouts
        self.websockets.limits = live.program.limits
        self._format = formatter

    def tick(self) -> None:
        """Render this second's Date field and log stamp."""
        now = wall_time()
        self.date_line = f"Date: {http_date(now)}\r\n".encode("ascii")
        self._stamp = self._clock.at(now)

    @property
    def head_limits(self) -> HeadLimits:
        """Bounds for the heads of a new connection."""
        return self.live.head_limits

    def begin(
        self, stream: ClientStream, client: Client, head: RequestHead, now: float
    ) -> Exchange:
        """Begin an exchange: give it its request id, and the client's address as believed."""
        counters = self.counters
        counters.requests += 1
        counters.requests_active += 1
        self._id_count += 1
        exchange = Exchange(stream, client, head, now)
        exchange.request_id = f"{self._id_prefix}{self._id_count:016x}"
        if client.trusted:
            believe(exchange, self.live.trusted)
        return exchange

    def serve(self, exchange: Exchange) -> None:
        """Find the exchange's route, ask its gates, and let its handler take it."""
        live = self.live
        try:
            found = exchange.head.prepared
            if type(found) is not Found or found.live is not live:
                found = self._find(exchange, live)
                if found is None:
                    return
            exchange.site = found.site
            exchange.route = found.label
            exchange.edit = found.edit
            route = found.route
            exchange.body_limit = route.body_limit
            exchange.plan = found.plan
            exchange.phase = Phase.ROUTED
            for gate in route.gates:
                verdict = gate(exchange)
                if verdict is not None:
                    self._heed(exchange, verdict, route, gate)
                    return
            (route.serve or no_handler)(exchange)
            found.plan = exchange.plan
        except ProxyError as error:
            self.fail(exchange, error)
        except Exception as error:  # noqa: BLE001 - one bug must not take the worker's others along
            self._bug(exchange, error)

    def _heed(self, exchange: Exchange, verdict: Verdict, route: Route, gate: Gate) -> None:
        """Do as a gate says that does not just let the exchange pass."""
        if type(verdict) is Answer:
            exchange.stream.send_answer(exchange, verdict)
        elif isinstance(verdict, Wait):
            left = route.gates[route.gates.index(gate) + 1 :]
            serve = route.serve or no_handler
            Waiting(self, exchange, left, serve, self.live.pools).carry_out(verdict)

    # What a wait ends with.

    def passed(self, waiting: Waiting) -> None:
        """Ask the gates that are left, and let the handler take the exchange."""
        exchange = waiting.exchange
        if exchange.consumer is not waiting:
            return
        try:
            for number, gate in enumerate(waiting.left):
                verdict = gate(exchange)
                if isinstance(verdict, Wait):
                    waiting.left = waiting.left[number + 1 :]
                    waiting.carry_out(verdict)
                    return
                if verdict is not None:
                    self.answered(waiting, verdict)
                    return
            exchange.consumer = None
            waiting.serve(exchange)
            found = exchange.head.prepared
            if type(found) is Found and found.route.serve is waiting.serve:
                found.plan = exchange.plan  # not where a reload came in between
            waiting.hand_over()
        except Exception as error:  # noqa: BLE001 - one bug must not take the worker's others along
            waiting.let_go()
            self._trouble(exchange, error)

    def answered(self, waiting: Waiting, answer: Answer) -> None:
        """Send the answer of a gate."""
        exchange = waiting.exchange
        if exchange.consumer is waiting:
            exchange.consumer = None
            waiting.let_go()
            exchange.stream.send_answer(exchange, answer)

    def failed(self, waiting: Waiting, error: Exception) -> None:
        """Answer what went wrong."""
        if waiting.exchange.consumer is waiting:
            self._trouble(waiting.exchange, error)

    def _find(self, exchange: Exchange, live: LiveProgram) -> Found | None:
        """Look site and route up; None if the exchange was answered meanwhile."""
        head = exchange.head
        plain = exchange.scheme != "https"
        site = live.program.sites.find(head.host)
        # Whatever a trusted proxy says of the scheme: it is this connection that has TLS.
        if site is None or (exchange.client.scheme == "https" and not site.tls):
            exchange.edit = live.program.edit
            raise _no_site(exchange, site)
        exchange.site = site.label
        exchange.edit = site.edit_plain if plain else site.edit
        if plain:
            for gate in site.plain_gates:
                answer = gate(exchange)
                if type(answer) is Answer:
                    exchange.stream.send_answer(exchange, answer)
                    return None
        route = site.routes.find(head)
        if route is None:
            self._no_route(site, exchange)
            return None
        found = Found(live, site.label, route, route.edit_plain if plain else route.edit)
        head.prepared = found
        return found

    def _no_route(self, site: Site, exchange: Exchange) -> None:
        head = exchange.head
        allowed = site.routes.allowed(head.path)
        if allowed and head.method not in allowed:
            error = BadRequestError("no route for this method", status=405)
        else:
            error = BadRequestError("no route for this path", status=404)
        exchange.error = error
        answer = error_answer(
            head, error, exchange.request_id, allow=allowed, pages=site.error_pages
        )
        exchange.stream.send_answer(exchange, answer)

    def _trouble(self, exchange: Exchange, error: Exception) -> None:
        if isinstance(error, ProxyError):
            self.fail(exchange, error)
        else:
            self._bug(exchange, error)

    def _bug(self, exchange: Exchange, error: Exception) -> None:
        _log.error("request %s failed", exchange.request_id, exc_info=error)
        self.fail(exchange, ProxyError(500, Fault.PROXY, f"internal error: {error!r}"))

    def fail(self, exchange: Exchange, error: ProxyError) -> None:
        """Answer an error, or cut short the answer that has begun."""
        self._end_with(exchange, error, close=False)

    def refuse(self, exchange: Exchange, error: ProxyError) -> None:
        """Answer an error found while reading the request; its connection must not be read on."""
        if not exchange.site:
            exchange.edit = self.live.program.edit
        self._end_with(exchange, error, close=True)

    def _end_with(self, exchange: Exchange, error: ProxyError, *, close: bool) -> None:
        exchange.error = error
        consumer, exchange.consumer = exchange.consumer, None
        if consumer is not None:
            consumer.client_gone()
        if exchange.phase >= Phase.ANSWERED:
            exchange.stream.abort(exchange)
            return
        answer = self.error_answer(exchange, error)
        answer.close = answer.close or close
        exchange.stream.send_answer(exchange, answer)

    def answer_fields(self, exchange: Exchange, head: ResponseHead) -> bytes:
        """Return the fields of an answer that begins now, edited and dated."""
        exchange.status = head.status
        exchange.phase = Phase.ANSWERED
        fields = exchange.edit.apply(head.block)
        return fields if head.dated else fields + self.date_line  # RFC 9110, 6.6.1

    def error_answer(self, exchange: Exchange, error: ProxyError) -> Answer:
        """Turn an error into an answer; say it in the log where it is not the client's fault."""
        if error.fault is not Fault.CLIENT:
            level = logging.ERROR if error.fault is Fault.PROXY else logging.WARNING
            _log.log(
                level, "%s %s%s: %s (request %s)", exchange.head.method, exchange.head.authority,
                exchange.head.target, error.detail, exchange.request_id,
            )  # fmt: skip
        pages = self._error_pages(exchange)
        return error_answer(exchange.head, error, exchange.request_id, pages=pages)

    def _error_pages(self, exchange: Exchange) -> ErrorPages:
        """Return the pages that hold where an exchange has got to."""
        found = exchange.head.prepared
        if type(found) is Found and exchange.route:
            return found.route.error_pages
        program = self.live.program
        site = program.sites.find(exchange.head.host) if exchange.site else None
        return program.error_pages if site is None else site.error_pages

    def leave(self, exchange: Exchange, now: float) -> None:
        """The client left before its answer was whole: stop what is done for it."""
        consumer, exchange.consumer = exchange.consumer, None
        if consumer is not None:
            consumer.client_gone()
        if not exchange.status:
            exchange.status = CLIENT_GONE
        if exchange.status != 101:
            self.counters.requests_aborted += 1
        self.finish(exchange, now)

    def finish(self, exchange: Exchange, now: float) -> None:
        """Log and count an exchange that has ended. Once: further calls do nothing."""
        if exchange.phase is Phase.FINISHED:
            return
        exchange.phase = Phase.FINISHED
        exchange.consumer = None
        counters = self.counters
        counters.requests_active -= 1
        status = exchange.status
        if 200 <= status < 300:
            counters.responses_2xx += 1
        elif status >= 500:
            counters.responses_5xx += 1
        elif status >= 400:
            counters.responses_4xx += status != CLIENT_GONE
        elif status >= 300:
            counters.responses_3xx += 1
        else:
            counters.responses_1xx += 1
        counters.bytes_received += exchange.received
        counters.bytes_sent += exchange.sent
        if self._format is not None:
            self._write(self._format(exchange, now - exchange.started, self._stamp))

    def connection_ended(self, session: object) -> None:
        """A connection is gone."""
        self._on_ended(session)
