"""Serving the files of a route: from the cache on the loop, from disk by way of threads.

GET and HEAD are answered, everything else with 405. What is not there, and what is there but is not
to be served (hidden, out of reach, led to by a link out of the root, a folder without an index
file), are the same to a client: the route's fallback, if it has one, or 404. What the worker has no
right to read is 404 in any case, and said in the log. A folder that was asked for without a slash
behind it, and has an index file, is one with it (301).
"""

import asyncio
import itertools
import logging
from functools import partial

from proxy.clock import monotonic
from proxy.errors import BadRequestError
from proxy.exchange.answer import Answer
from proxy.exchange.exchange import Exchange
from proxy.files.cache import TRUSTED, Ready
from proxy.files.finding import SUFFIXES, Kind, Sighting, find
from proxy.files.plan import FilesPlan
from proxy.message.accept_encoding import acceptable_in
from proxy.message.head import RequestHead
from proxy.net.file_answers import FileAnswers, Pending, Service, conclude
from proxy.policy.redirect import with_slash
from proxy.routing.route import Route
from proxy.routing.table import RouteTable

_log = logging.getLogger("pyproxy.files")
_METHODS = frozenset({"GET", "HEAD"})
_CODINGS = tuple(SUFFIXES)
_QUIET = 60.0  # seconds in which the log hears of the same trouble of a route once
_serials = itertools.count()

_Question = tuple[str, tuple[str, ...]]
"""What is asked for beneath the root, and what codings its client takes, best first."""

_TROUBLE = {
    Kind.OUTSIDE: "%s: a link on the way to %a leads out of it; `symlinks: on` would follow it",
    Kind.DENIED: "%s: the worker may not read what is there for %a",
    Kind.NO_ROOT: "%s is not there: nothing for %a",
}


class FileHandler:
    """The files of one route in one worker."""

    __slots__ = (
        "_answers",
        "_looks",
        "_plan",
        "_quiet_until",
        "_route",
        "_routes",
        "_serial",
        "_service",
        "_wants_codings",
    )

    def __init__(
        self,
        route: Route,
        plan: FilesPlan,
        service: Service,
        routes: RouteTable,
    ) -> None:
        """Make the handler of a route.

        Args:
            route: Says what answers become.
            plan: What is served.
            service: Of the worker.
            routes: All of the site, for the methods that others take for the same path.
        """
        self._route = route
        self._routes = routes
        self._plan = plan
        self._service = service
        self._answers = FileAnswers(service, route.shapes, route.encode)
        self._wants_codings = plan.precompressed or route.encode is not None
        self._serial = next(_serials)  # so that no other handler's entries are taken for ours
        self._looks: dict[_Question, list[Pending]] = {}
        self._quiet_until: dict[Kind, float] = {}

    def serve(self, exchange: Exchange) -> None:
        """Answer an exchange, at once or when a thread has looked.

        Raises:
            ProxyError: It is to be answered.
        """
        ready = exchange.plan
        if type(ready) is Ready and ready.until > exchange.started:
            self._answers.send(exchange, ready)
            return
        request = exchange.head
        if request.method not in _METHODS:
            raise self._not_allowed(request)
        rest = request.path[len(self._plan.prefix) :]
        codings = acceptable_in(request.block, _CODINGS) if self._wants_codings else ()
        entry = self._service.files.cache.get((self._serial, rest))
        if (
            entry is None
            or entry.until <= exchange.started
            or not self._answers.repeat(exchange, entry, codings)
        ):
            self._look(Pending(exchange), (rest, codings))

    def _not_allowed(self, request: RequestHead) -> BadRequestError:
        """Return the error that names the methods for a path: ours, and those of other routes."""
        allowed = set(_METHODS)
        for method in self._routes.allowed(request.path):
            other = RequestHead(method, request.target, request.version)
            other.path, other.block = request.path, request.block
            if self._routes.find(other) is not self._route:
                allowed.add(method)
        fields = f"Allow: {', '.join(sorted(allowed))}\r\n".encode("latin-1")
        return BadRequestError("not a method for files", status=405, fields=fields)

    def _look(self, pending: Pending, question: _Question, *, alone: bool = False) -> None:
        """Look what there is; who asks the same meanwhile is told the same."""
        waiting = [pending]
        if not alone and question in self._looks:
            self._looks[question].append(pending)
            return
        plan, desk = self._plan, self._service.files
        until = monotonic() + TRUSTED
        held = {}
        for key in (question[0], None):
            entry = desk.cache.get((self._serial, key))
            if entry is not None:
                held.update(entry.bodies)

        def landed(done: "asyncio.Future[Sighting]") -> None:
            if not alone:
                del self._looks[question]
            if not done.cancelled():  # else the worker ends, and its connections with it
                self._tell(done, question, waiting, until)

        looking = desk.begin(lambda: find(plan, *question, held))
        if not alone:
            self._looks[question] = waiting
        looking.add_done_callback(landed)

    def _tell(
        self,
        done: "asyncio.Future[Sighting]",
        question: _Question,
        waiting: list[Pending],
        until: float,
    ) -> None:
        """Tell all who asked."""

        def act(pending: Pending) -> None:
            self._act(pending, question, done.result(), until)

        for pending in waiting:
            conclude(self._service, pending, partial(act, pending))
        if done.exception() is None:
            done.result().close()

    def _act(self, pending: Pending, question: _Question, sighting: Sighting, until: float) -> None:
        """Answer by what there is."""
        exchange = pending.exchange
        if sighting.kind is not Kind.FILE:
            self._answer_without(exchange, sighting.kind)
        elif sighting.body is not None:
            rest, codings = question
            key = (self._serial, None if sighting.fallback else rest)
            entry = self._service.files.cache.seen(key, sighting, until)
            body, fallback = sighting.body, sighting.fallback
            self._answers.whole(exchange, entry, codings, sighting.coding, body, fallback=fallback)
        elif sighting.fd >= 0:
            self._answers.stream(exchange, sighting, full=pending.full)
        else:  # who came first has the file, and reads it at his own pace
            again = Pending(exchange)
            again.full = pending.full
            self._look(again, question, alone=True)

    def _answer_without(self, exchange: Exchange, kind: Kind) -> None:
        """Answer where there is no file.

        Raises:
            BadRequestError: So it is answered (404).
        """
        if kind is Kind.FOLDER:
            exchange.stream.send_answer(exchange, Answer(with_slash(exchange.head)))
            return
        now = exchange.started
        if kind in _TROUBLE and self._quiet_until.get(kind, 0.0) <= now:
            self._quiet_until[kind] = now + _QUIET
            _log.warning(_TROUBLE[kind], self._plan.root, exchange.head.path)
        raise BadRequestError("no such file", status=404)
