"""`python -m benchmarks.checks`: what a policy costs a request by itself, within this process.

Each policy stands alone on a route of a real configuration, which is loaded and compiled as a
worker does it, and is then asked about requests whose heads were read by the proxy's own machine.
The figure is CPU time for one call, without the loop around it. In a proxy caches are colder.
"""

import json
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from itertools import cycle, islice
from pathlib import Path
from typing import cast

import click
import yaml

from benchmarks import bodies, machine, report
from benchmarks.load import BROWSER_HEADERS
from benchmarks.stage import make_certificate
from proxy.compiler.program import compile_program
from proxy.exchange.exchange import Client, ClientStream, Exchange
from proxy.exchange.verdict import Verdict, Work
from proxy.message.head import HeadLimits, RequestHead, ResponseHead
from proxy.routing.program import Program
from proxy.routing.route import Route
from proxy.run.loading import load
from proxy.state.buckets import BucketTable
from proxy.wire.http1_server import Http1Server

RESULTS = Path(__file__).parent / "results"
ROUNDS = 7
CALLS = 20_000  # a round
APART = 1e-5  # seconds between two requests, as the policies are told
MANY = 50_000  # clients: more than are remembered
PASSWORD = "correct horse battery staple"  # noqa: S105 - of nobody
_NETWORKS = [f"10.{number}.0.0/16" for number in range(200)]
_LIMIT = {"rate": "1000000/second", "burst": 10_000}

Call = Callable[[Exchange], object]


@dataclass(frozen=True, slots=True)
class Check:
    """One figure: what it is of, the route it is taken on, the clients that ask, what is asked.

    `clients`: how many addresses take turns. `call`: returns what is measured on a route.
    """

    title: str
    path: str
    call: Callable[[Route], Call]
    clients: int = 1


def gate(route: Route) -> Call:
    """The route's only gate.

    Raises:
        LookupError: it has another number of them.
    """
    if len(route.gates) != 1:
        raise LookupError(f"{route.label} has {len(route.gates)} gates")
    return route.gates[0]


def shape(route: Route) -> Call:
    """The route's only shape, of an answer that repeats."""
    (only,) = route.shapes
    head = answer("application/json", 100)
    return lambda exchange: only(exchange, head)


def decision(content_type: str, length: int) -> Callable[[Route], Call]:
    """Whether an answer is to be encoded."""

    def decide(route: Route) -> Call:
        encode = route.encode
        if encode is None:
            raise LookupError(f"{route.label} encodes nothing")
        head = answer(content_type, length)
        return lambda exchange: encode(exchange, head)

    return decide


def whole(path: str) -> Callable[[Route], Call]:
    """Decision and encoding of whole bodies, one page after the other."""
    pages = [bodies.UPSTREAM[path.format(page)] for page in range(bodies.PAGES)]

    def encode_all(route: Route) -> Call:
        encode = route.encode
        if encode is None:
            raise LookupError(f"{route.label} encodes nothing")
        head = answer("application/json", len(pages[0]))
        turns = cycle(pages)

        def call(exchange: Exchange) -> None:
            _, encoder = encode(exchange, head)
            if encoder is None:
                raise LookupError("the answer is not encoded")
            encoder.encode(next(turns))
            encoder.finish()

        return call

    return encode_all


CHECKS = (
    Check("rate limit, one client", "/limited/", gate),
    Check("rate limit, 1,000 clients", "/limited/", gate, 1_000),
    Check(f"rate limit, {MANY:,} clients", "/limited/", gate, MANY),
    Check("two rate limits, one client", "/twice/", gate),
    Check("allow by 3 networks, one client", "/allowed/", gate),
    Check(f"allow by 3 networks, {MANY:,} clients", "/allowed/", gate, MANY),
    Check(f"allow by {len(_NETWORKS)} networks, {MANY:,} clients", "/guarded/", gate, MANY),
    Check("basic auth, a password that was right before", "/staff/", gate),
    Check("cache headers, an answer that repeats", "/cached/", shape),
    Check("compression: too short", "/encoded/", decision("application/json", 100)),
    Check("compression: no type for it", "/encoded/", decision("image/webp", 10 << 10)),
    Check("gzip of 10 KB, JSON", "/encoded/", whole("/json/10k-{}.json")),
    Check("gzip of 100 KB, JSON", "/encoded/", whole("/json/100k-{}.json")),
)


def routes() -> Iterator[dict[str, object]]:
    """One route for each policy, with nothing else on it."""
    bare: dict[str, object] = {
        "proxy": "http://127.0.0.1:8000",
        "compress": "off",
        "limits": {"body": "off"},
    }
    networks = ["10.0.0.0/8", "192.168.0.0/16", "2001:db8::/32"]
    yield {"path": "/", **bare}
    yield {"path": "/limited/", **bare, "rate_limit": "clients"}
    yield {"path": "/twice/", **bare, "rate_limit": ["clients", "hosts"]}
    yield {"path": "/allowed/", **bare, "allow": networks}
    yield {"path": "/guarded/", **bare, "allow": _NETWORKS}
    yield {"path": "/staff/", **bare, "basic_auth": {"users": {"alice": password_hash()}}}
    yield {"path": "/cached/", **bare, "cache": "1h"}
    yield {"path": "/encoded/", **bare, "compress": {"algorithms": ["gzip"]}}


def password_hash() -> str:
    """As `pyproxy hash-password` makes them, which is not what is measured here."""
    from argon2 import PasswordHasher  # noqa: PLC0415 - not for those who only read this file

    return PasswordHasher(time_cost=1, memory_cost=8, parallelism=1).hash(PASSWORD)


def compiled(folder: Path) -> Program:
    """The program of the configuration with all routes."""
    certificate, key = make_certificate(folder)
    site = {
        "hosts": ["localhost"],
        "tls": {"cert": str(certificate), "key": str(key)},
        "routes": list(routes()),
    }
    configuration = folder / "proxy.yaml"
    whole_file = {
        "state_dir": str(folder / "state"),
        "rate_limits": {"clients": _LIMIT, "hosts": {**_LIMIT, "key": "host"}},
        "sites": [site],
    }
    configuration.write_text(yaml.safe_dump(whole_file))
    loaded = load(str(configuration), {})
    return compile_program(
        loaded.settings, replace(loaded.sources, rate_store=BucketTable.create())
    )


def answer(content_type: str, length: int) -> ResponseHead:
    """The head of an upstream's answer."""
    head = ResponseHead(200, "OK", f"Content-Type: {content_type}\r\n".encode("ascii"))
    head.content_length = length
    return head


def request(path: str) -> RequestHead:
    """A browser's head, with a password, read as it is from a connection."""
    lines = (
        f"GET {path} HTTP/1.1",
        "Host: localhost",
        *BROWSER_HEADERS,
        "Authorization: Basic YWxpY2U6Y29ycmVjdCBob3JzZSBiYXR0ZXJ5IHN0YXBsZQ==",
    )
    reader = Http1Server(HeadLimits())
    reader.receive("\r\n".join((*lines, "", "")).encode("ascii"))
    event = reader.next_event()
    if not isinstance(event, RequestHead):
        raise TypeError(f"no request was read but {event!r}")
    return event


def exchanges(path: str, clients: int) -> list[Exchange]:
    """Requests for one path, one by each of so many clients."""
    head = request(path)
    addresses = (f"10.{n >> 16}.{n >> 8 & 255}.{n & 255}" for n in range(1, clients + 1))
    nowhere = cast("ClientStream", None)
    return [
        Exchange(nowhere, Client(address, 50000, 443, "https"), head, 0.0) for address in addresses
    ]


class Bench:
    """Asks policies about one request after the other, and time goes on for them."""

    def __init__(self) -> None:
        self._now = time.monotonic()

    def nanoseconds(self, call: Call, asking: Sequence[Exchange]) -> float:
        """CPU time of one call; the best of some rounds, as other work only ever adds.

        Raises:
            LookupError: The first request is not let through.
        """
        asking[0].started = self._now
        settle(call, asking[0])
        calls = max(200, min(CALLS, int(2e8 / self.timed(call, asking, 20))))
        best = min(self.timed(call, asking, calls) for _ in range(ROUNDS))
        return best - min(self.timed(None, asking, calls) for _ in range(ROUNDS))

    def timed(self, call: Call | None, asking: Sequence[Exchange], calls: int) -> float:
        """Nanoseconds a turn of the loop, with the call in it or without; everybody has one."""
        turns = list(islice(cycle(asking), max(calls, len(asking))))
        now = self._now
        begun = time.process_time_ns()
        if call is None:
            for exchange in turns:
                now += APART
                exchange.started = now
                exchange.added = b""
        else:
            for exchange in turns:
                now += APART
                exchange.started = now
                exchange.added = b""
                call(exchange)
        took = time.process_time_ns() - begun
        self._now = now
        return took / len(turns)


def settle(call: Call, exchange: Exchange) -> None:
    """Call once, and do what is to be done in a thread, so that it is known.

    Raises:
        LookupError: the request is not let through.
    """
    said = call(exchange)
    while isinstance(said, Work):
        verdict: Verdict = said.then(said.call())
        said = verdict
    if said is not None and not isinstance(said, ResponseHead | tuple):
        raise LookupError(f"not let through: {said!r}")


def measured(bench: Bench, program: Program, check: Check) -> float:
    """The figure of one check, in nanoseconds.

    Raises:
        LookupError: the configuration has come to something else than is to be measured.
    """
    asking = exchanges(check.path, check.clients)
    site = program.sites.find("localhost")
    route = None if site is None else site.routes.find(asking[0].head)
    if route is None or not route.label.endswith(check.path):
        raise LookupError(f"no route for {check.path}")
    return bench.nanoseconds(check.call(route), asking)


@click.command(help=__doc__)
@click.option("--out", type=click.Path(path_type=Path), default=RESULTS, help="Folder to write.")
def main(*, out: Path) -> None:
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="benchmarks-")))
        program = compiled(folder)
        bench = Bench()
        found = {check.title: measured(bench, program, check) for check in CHECKS}
    about = machine.describe()
    lines = [[title, f"{figure / 1000:.2f}"] for title, figure in found.items()]
    table = report.markdown(["a call", "CPU µs"], lines)
    out.mkdir(parents=True, exist_ok=True)
    (out / "checks.json").write_text(
        json.dumps({"machine": about, "nanoseconds": found}, indent=2) + "\n"
    )
    (out / "checks.md").write_text(f"# Policies by themselves\n\n{table}\n")
    print(table)
    print("\nwritten:", out / "checks.json", out / "checks.md")


if __name__ == "__main__":
    main()
