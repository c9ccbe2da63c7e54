"""The kinds of work a row may be made of: each puts a server to it once and returns a sample."""

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass, replace
from http.client import TOO_MANY_REQUESTS

from benchmarks import client, http2_client, load, processes
from benchmarks.client import Expected
from benchmarks.figures import Sample
from benchmarks.idle_clients import IdleClients
from benchmarks.load import Asked, Kind, Load
from benchmarks.rig import DEFAULT_OPTIONS, Rig
from benchmarks.running import Running, pause
from benchmarks.servers.server import Feature, Server
from benchmarks.stage import SECURITY_HEADERS, STATIC, Options, Policies

MOST_OF_ONE = 8000  # requests a second of one connection, with HTTP/2: none gets so many
SETTLE = 0.2  # seconds after a load for buffered log lines to be written, and so to be counted


class Work(ABC):
    """One kind of work. `most_rounds` bounds the rounds of work that is slow or steady."""

    most_rounds: int = 99

    @property
    def options(self) -> Options:
        """Which of a server's instances is put to it."""
        return DEFAULT_OPTIONS

    @property
    def needs(self) -> frozenset[Feature]:
        """What a server must have for it, which not every one has."""
        return frozenset()

    @abstractmethod
    def sample(self, rig: Rig, server: Server) -> Sample:
        """Put the server to the work once."""

    def prepare(self, rig: Rig, server: Server) -> None:
        """Before the first round: see that the server answers rightly, and warm it up."""
        client.check(rig.shared(server).port, Expected(), rig.context)


@dataclass(frozen=True, slots=True)
class Requests(Work):
    """As many requests as the server takes, over kept-alive connections.

    `kind`: how the requests differ. `gzip`: clients take gzip and nothing else, and must get it.
    """

    path: str = "/small"
    kind: Kind = Kind.SAME
    gzip: bool = False
    connections: int | None = None
    policies: Policies = Policies.USUAL

    @property
    def options(self) -> Options:
        """As the policies have it."""
        return Options(policies=self.policies, files=self.path.startswith(STATIC))

    @property
    def needs(self) -> frozenset[Feature]:
        """Files for what is static, rate limits for every policy."""
        files = {Feature.FILES} if self.options.files else set()
        limits = {Feature.RATE_LIMITS} if self.policies is Policies.EVERY else set()
        return frozenset(files | limits)

    def prepare(self, rig: Rig, server: Server) -> None:
        """Check one answer, then some of the load itself."""
        running = rig.shared(server, self.options)
        headers = {} if self.policies is Policies.NONE else SECURITY_HEADERS
        client.check(running.port, Expected(self.path, self.gzip, headers), rig.context)
        if rig.settings.warm_up:
            self.load(rig, running, rig.settings.warm_up)

    def sample(self, rig: Rig, server: Server) -> Sample:
        """CPU microseconds a request, and how fast they were answered."""
        running = rig.shared(server, self.options)
        return measure(running, lambda: self.load(rig, running, rig.settings.seconds))

    def load(self, rig: Rig, running: Running, seconds: int) -> Load:
        """The load itself."""
        return load.wrk(
            rig.target(running, self.path),
            seconds=seconds,
            connections=self.connections or rig.settings.connections,
            asked=Asked(self.kind, "gzip" if self.gzip else ""),
        )


@dataclass(frozen=True, slots=True)
class Http2Requests(Work):
    """As many requests as the server takes over HTTP/2, many at once on each connection.

    `different`: on a connection no path comes twice, not in other rounds either.
    """

    path: str = "/small"
    different: bool = False
    connections: int = 16
    streams: int = 16

    @property
    def options(self) -> Options:
        """With HTTP/2."""
        return Options(http2=True)

    def prepare(self, rig: Rig, server: Server) -> None:
        """Check one answer over HTTP/2, then some of the load itself."""
        running = rig.shared(server, self.options)
        http2_client.check(running.port, Expected(self.path), rig.stage.certificate)
        if rig.settings.warm_up:
            self.load(rig, running, rig.settings.warm_up)

    def sample(self, rig: Rig, server: Server) -> Sample:
        """CPU microseconds a request, and how fast they were answered."""
        running = rig.shared(server, self.options)
        return measure(running, lambda: self.load(rig, running, rig.settings.seconds))

    def load(self, rig: Rig, running: Running, seconds: int) -> Load:
        """The load itself."""
        target = rig.target(running, self.path)
        uris = rig.stage.folder / "uris" if self.different else None
        if uris:
            load.write_uris(target, uris, seconds * MOST_OF_ONE)
        return load.http2(
            target,
            seconds=seconds,
            connections=self.connections,
            streams=self.streams,
            uris=uris,
        )


@dataclass(frozen=True, slots=True)
class Refusals(Work):
    """One client that asks as much as the server takes, and may ask once a second."""

    rate: int = 1

    @property
    def options(self) -> Options:
        """With a limit that refuses nearly all."""
        return Options(policies=Policies.EVERY, rate=self.rate, burst=1)

    @property
    def needs(self) -> frozenset[Feature]:
        """Rate limits."""
        return frozenset({Feature.RATE_LIMITS})

    def prepare(self, rig: Rig, server: Server) -> None:
        """See that the second request is refused.

        Raises:
            WrongAnswerError: it is not.
        """
        port = rig.shared(server, self.options).port
        statuses = [client.ask(port, "/small", rig.context).status for _ in range(3)]
        if statuses[-1] != TOO_MANY_REQUESTS:
            raise client.WrongAnswerError(f"/small: {statuses}, not refused")

    def sample(self, rig: Rig, server: Server) -> Sample:
        """CPU microseconds a request; what is let through beyond the rate is an error."""
        running = rig.shared(server, self.options)
        seconds = rig.settings.seconds

        def put_to_work() -> Load:
            done = load.wrk(
                rig.target(running), seconds=seconds, connections=rig.settings.connections
            )
            passed = done.requests - done.bad_answers
            too_many = max(0, passed - self.rate * (seconds + 2) - 1)
            return replace(done, bad_answers=too_many)

        return measure(running, put_to_work)


@dataclass(frozen=True, slots=True)
class Handshakes(Work):
    """New connections at one rate for all servers: full handshake, one request, close."""

    rate: int = 1000

    def prepare(self, rig: Rig, server: Server) -> None:
        """A third of a second of the load itself."""
        self.load(rig, rig.shared(server), seconds=0.3)

    def sample(self, rig: Rig, server: Server) -> Sample:
        """CPU microseconds for a connection with its request."""
        running = rig.shared(server)
        return measure(running, lambda: self.load(rig, running, rig.settings.seconds))

    def load(self, rig: Rig, running: Running, seconds: float) -> Load:
        """The load itself."""
        return load.handshakes(rig.target(running), seconds=seconds, rate=self.rate)


@dataclass(frozen=True, slots=True)
class IdleConnections(Work):
    """TLS connections that have asked once and are then kept open."""

    most_rounds = 1
    warm: int = 100

    def sample(self, rig: Rig, server: Server) -> Sample:
        """Kilobytes of the proxy's memory a connection, after the first hundred."""
        count = rig.settings.idle_connections
        cores = rig.stage.cores.others
        with (
            rig.fresh(server, rig.part(server, options=Options(keep_alive=300))) as running,
            IdleClients(running.port, self.warm, rig.stage.certificate, cores) as first,
        ):
            first.opened()
            before = processes.pss_kb(running.pids())
            with IdleClients(running.port, count, rig.stage.certificate, cores) as many:
                opened = many.opened()
                pause(1.0)
                after = processes.pss_kb(running.pids())
                alive = many.ask()
        details = {"connections": float(opened), "pss_mb": after / 1024}
        return Sample((after - before) / count, 2 * count - opened - alive, details)


@dataclass(frozen=True, slots=True)
class HalfLoad(Work):
    """Requests at half the rate that the same server reached just before, evenly spread."""

    most_rounds = 3
    clients: int = 200

    def sample(self, rig: Rig, server: Server) -> Sample:
        """The 99th percentile of the latency in milliseconds."""
        running = rig.shared(server)
        target = rig.target(running)
        full = load.wrk(target, seconds=1, connections=rig.settings.connections)
        rate = full.rate / 2
        sample = measure(
            running,
            lambda: load.paced(
                target,
                seconds=rig.settings.seconds + 0.5,
                rate=rate,
                clients=self.clients,
                log=rig.stage.folder / "paced.log",
            ),
        )
        p99 = sample.details.get("p99_ms", 0.0)
        return Sample(p99, sample.errors, {**sample.details, "asked_rps": rate})


@dataclass(frozen=True, slots=True)
class SecondWorker(Work):
    """One worker on one core, two on two; load and upstream use the same cores as the proxy.

    So both are as busy as can be, and every core has the same mixture to carry.
    """

    most_rounds = 2

    def sample(self, rig: Rig, server: Server) -> Sample:
        """How much more two workers can do than one, by the CPU they need for a request.

        Two workers on two cores have twice the time, so they do 2 x (CPU a request of one worker)
        / (CPU a request of two): exactly 2 if they cost each other nothing.
        """
        cores = rig.stage.cores
        one = self.with_workers(rig, server, 1, cores.proxy)
        two = self.with_workers(rig, server, 2, cores.proxy | {min(cores.others)})
        details = {
            "cpu_us_one": one.figure,
            "cpu_us_two": two.figure,
            "rps_one": one.details["rps"],
            "rps_two": two.details["rps"],
        }
        return Sample(2 * one.figure / two.figure, one.errors + two.errors, details)

    def with_workers(self, rig: Rig, server: Server, workers: int, cores: frozenset[int]) -> Sample:
        """The load on a fresh server with so many workers, everything on these cores."""
        connections = workers * rig.settings.connections
        part = rig.part(server, workers=workers, cores=cores)
        with rig.origin_on(cores), rig.fresh(server, part) as running:
            target = rig.target(running, cores=cores)
            if rig.settings.warm_up:
                load.wrk(target, seconds=rig.settings.warm_up, connections=connections)
            return measure(
                running,
                lambda: load.wrk(target, seconds=rig.settings.seconds, connections=connections),
            )


def measure(running: Running, put_to_work: Callable[[], Load]) -> Sample:
    """CPU microseconds of all processes of a server for a request, over one load."""
    before = running.usage()
    done = put_to_work()
    pause(SETTLE)
    used = running.usage().since(before)
    requests = max(done.requests, 1)
    details = {
        "cpu_us": used.cpu_us / requests,
        "rps": done.rate,
        "p50_ms": done.p50_ms,
        "p99_ms": done.p99_ms,
        "faults": used.minor_faults / requests,
        "pss_mb": processes.pss_kb(running.pids()) / 1024,
        "requests": float(done.requests),
    }
    if done.received:
        details["bytes"] = done.received / requests
    trouble = "" if done.requests else "no request was answered"
    return Sample(used.cpu_us / requests, done.errors, details, trouble)
