"""The load generators wrk and h2load: how they are called, and what they say.

Neither can be told not to resume TLS sessions when it connects again (both do, also where every
answer closes the connection). `handshakes` therefore gives every request a client of its own.
"""

import re
import secrets
import statistics
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum
from pathlib import Path

from benchmarks.running import pinned

REQUESTS_LUA = Path(__file__).parent / "lua" / "requests.lua"
BROWSER_HEADERS = (
    "User-Agent: Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0",
    "Accept: text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8",
    "Accept-Language: en-GB,en;q=0.7,de;q=0.3",
    "Accept-Encoding: gzip, deflate, br, zstd",
    "Connection: keep-alive",
    "Upgrade-Insecure-Requests: 1",
    "Sec-Fetch-Dest: document",
    "Sec-Fetch-Mode: navigate",
    "Sec-Fetch-Site: none",
    "Sec-Fetch-User: ?1",
)
_STATUS_CODES = re.compile(
    r"^status codes: (\d+) 2xx, (\d+) 3xx, (\d+) 4xx, (\d+) 5xx", re.MULTILINE
)
_REQUESTS = re.compile(
    r"^requests: (\d+) total, .* (\d+) succeeded, (\d+) failed, (\d+) errored, (\d+) timeout",
    re.MULTILINE,
)
_FINISHED = re.compile(r"^finished in ([\d.]+)(us|ms|s),", re.MULTILINE)
_TRAFFIC = re.compile(r"^traffic: \S+ \((\d+)\) total", re.MULTILINE)
_PROTOCOL = re.compile(r"^Application protocol: (\S+)$", re.MULTILINE)
_SECONDS = {"us": 1e-6, "ms": 1e-3, "s": 1.0}


class Kind(Enum):
    """What tells the requests of a load from each other.

    SAME: nothing. HEADERS: cookie, referrer and query. PATHS: the path as well. What differs never
    repeats, not across runs either.
    """

    SAME = "same"
    HEADERS = "headers"
    PATHS = "paths"


@dataclass(frozen=True, slots=True)
class Asked:
    """What is asked for: how requests differ, and the only content coding that is taken, if any."""

    kind: Kind = Kind.SAME
    coding: str = ""

    @property
    def headers(self) -> tuple[str, ...]:
        """Header lines: a browser's, but for the codings."""
        if not self.coding:
            return BROWSER_HEADERS
        return tuple(
            f"Accept-Encoding: {self.coding}" if line.startswith("Accept-Encoding:") else line
            for line in BROWSER_HEADERS
        )


THE_SAME = Asked()


class LoadError(Exception):
    """A load generator failed; the message holds what it said."""


@dataclass(frozen=True, slots=True)
class Load:
    """What came of one run of a load generator.

    `requests` counts answers, right or wrong; `bad_answers` those of them that were not 2xx or 3xx,
    `broken` the connections that failed and `late` the requests that timed out.
    Latencies are in milliseconds, `received` in bytes; 0 where the generator does not tell them.
    """

    requests: int
    seconds: float
    bad_answers: int = 0
    broken: int = 0
    late: int = 0
    p50_ms: float = 0.0
    p99_ms: float = 0.0
    received: int = 0

    @property
    def errors(self) -> int:
        """Everything that was not an answer as it should be."""
        return self.bad_answers + self.broken + self.late

    @property
    def rate(self) -> float:
        """Answers a second."""
        return self.requests / self.seconds if self.seconds else 0.0


@dataclass(frozen=True, slots=True)
class Target:
    """Where load goes to, and from which cores."""

    port: int
    path: str
    cores: frozenset[int]

    @property
    def url(self) -> str:
        """The address in the form the generators take; wrk asks for the name, so both do."""
        return f"https://localhost:{self.port}{self.path}"


def wrk(
    target: Target,
    *,
    seconds: int,
    connections: int,
    asked: Asked = THE_SAME,
    timeout: int = 10,
) -> Load:
    """Send as many requests as the server takes over kept-alive connections, for whole seconds.

    Raises:
        LoadError: wrk failed.
    """
    command = wrk_command(
        target, seconds=seconds, connections=connections, asked=asked, timeout=timeout
    )
    return parse_wrk(run(command, target))


def wrk_command(
    target: Target,
    *,
    seconds: int,
    connections: int,
    asked: Asked = THE_SAME,
    timeout: int = 10,
) -> list[str]:
    """The command line of `wrk`."""
    return [
        *("wrk", "--threads", "1", "--connections", str(connections)),
        *("--duration", f"{seconds}s", "--timeout", f"{timeout}s"),
        *("--script", str(REQUESTS_LUA), target.url, "--"),
        *(asked.kind.value, secrets.token_hex(4)),
        *("Host: localhost", *asked.headers),
    ]


def handshakes(target: Target, *, seconds: float, rate: int) -> Load:
    """Open `rate` fresh connections a second, each with a full handshake and one request.

    Raises:
        LoadError: h2load failed.
    """
    count = str(int(seconds * rate))
    command = [
        *("h2load", "--h1", "--clients", count, "--requests", count),
        *("--rate", str(max(1, rate // 100)), "--rate-period", "10ms"),
        *h2load_headers(connection="close"),
        target.url,
    ]
    return parse_h2load(run(command, target))


def paced(target: Target, *, seconds: float, rate: float, clients: int, log: Path) -> Load:
    """Send `rate` requests a second, whatever the answers take, evenly spread over the clients.

    The clients connect one after the other, a millisecond apart, so that they are out of step; the
    first half second is left out of the latencies.

    Raises:
        LoadError: h2load failed.
    """
    log.unlink(missing_ok=True)
    command = [
        *("h2load", "--h1", "--clients", str(clients), "--requests", str(int(rate * seconds))),
        *("--rate", "1", "--rate-period", "1ms", "--rps", f"{rate / clients:.2f}"),
        *h2load_headers(connection="keep-alive"),
        *("--log-file", str(log), target.url),
    ]
    load = parse_h2load(run(command, target))
    p50, p99 = percentiles(parse_h2load_log(log.read_text(), skip_us=500_000))
    return Load(load.requests, load.seconds, load.bad_answers, load.broken, load.late, p50, p99)


def http2(
    target: Target, *, seconds: int, connections: int, streams: int, uris: Path | None = None
) -> Load:
    """Send as many requests as the server takes over HTTP/2, `streams` at once a connection.

    With `uris`, a file that `write_uris` wrote, each connection asks for one line after the other.

    Raises:
        LoadError: h2load failed, or another protocol was agreed on.
    """
    where = ["--input-file", str(uris)] if uris else [target.url]
    command = [
        *("h2load", "--npn-list", "h2", "--duration", str(seconds)),
        *("--clients", str(connections), "--max-concurrent-streams", str(streams)),
        *http2_headers(cookies=uris is not None),
        *where,
    ]
    text = run(command, target)
    protocol = _PROTOCOL.search(text)
    if not protocol or protocol[1] != "h2":
        raise LoadError(f"HTTP/2 was not agreed on: {text!r}")
    return parse_h2load(text)


def write_uris(target: Target, path: Path, count: int) -> None:
    """Write addresses whose path and query never repeat, not in other files either."""
    word = secrets.token_hex(4)
    path.write_text("".join(f"{target.url}/{word}/{n}?page={n}\n" for n in range(count)))


def http2_headers(*, cookies: bool) -> list[str]:
    """The browser's headers without Connection, which HTTP/2 forbids (RFC 9113, 8.2.2).

    `cookies`: with two crumbs of a cookie and a referrer that no other run has.
    """
    word = secrets.token_hex(4)
    own = (
        f"Referer: https://localhost/list?page={word}",
        "Cookie: csrftoken=k3JZ0bqQ7Yw2mS9nXcVt5RfL",
        f"Cookie: sessionid={word}",
    )
    lines = [line for line in BROWSER_HEADERS if not line.startswith("Connection:")]
    return [word for line in (*lines, *(own if cookies else ())) for word in ("--header", line)]


def h2load_headers(connection: str) -> list[str]:
    """The browser's headers as options of h2load, with another value for Connection."""
    options: list[str] = []
    for header in BROWSER_HEADERS:
        name, _, value = header.partition(": ")
        options += ["--header", f"{name}: {connection if name == 'Connection' else value}"]
    return options


def run(command: Sequence[str], target: Target) -> str:
    """Run a generator on the target's cores and return its output.

    Raises:
        LoadError: it failed.
    """
    done = subprocess.run(
        [*pinned(target.cores), *command], capture_output=True, text=True, check=False, timeout=300
    )
    if done.returncode:
        raise LoadError(f"{command[0]} ended with {done.returncode}: {done.stderr or done.stdout}")
    return done.stdout


def parse_wrk(text: str) -> Load:
    """Read the RESULT line that requests.lua makes wrk print.

    Raises:
        LoadError: there is none.
    """
    for line in text.splitlines():
        if line.startswith("RESULT "):
            values = {name: int(value) for name, value in (w.split("=") for w in line.split()[1:])}
            return Load(
                requests=values["requests"],
                seconds=values["duration_us"] / 1e6,
                bad_answers=values["status"],
                broken=values["connect"] + values["read"] + values["write"],
                late=values["timeout"],
                p50_ms=values["p50_us"] / 1e3,
                p99_ms=values["p99_us"] / 1e3,
                received=values["bytes"],
            )
    raise LoadError(f"wrk printed no result: {text!r}")


def parse_h2load(text: str) -> Load:
    """Read the summary of h2load; `failed` counts 4xx and 5xx too, `bad_answers` only those.

    Answers whose end did not come before the end of a timed run have a status there, but are
    neither requests nor errors.

    Raises:
        LoadError: there is no summary.
    """
    requests, codes, finished = (
        pattern.search(text) for pattern in (_REQUESTS, _STATUS_CODES, _FINISHED)
    )
    if not (requests and codes and finished):
        raise LoadError(f"h2load printed no summary: {text!r}")
    traffic = _TRAFFIC.search(text)
    good, redirects, client_faults, server_faults = map(int, codes.groups())
    total, succeeded, failed, _errored, late = map(int, requests.groups())
    bad = client_faults + server_faults
    answered = good + redirects + bad
    return Load(
        requests=succeeded + bad,
        seconds=float(finished[1]) * _SECONDS[finished[2]],
        bad_answers=bad,
        broken=max(total - answered, failed - bad) - late,
        late=late,
        received=int(traffic[1]) if traffic else 0,
    )


def parse_h2load_log(text: str, skip_us: int) -> list[int]:
    """Latencies in microseconds from h2load's log, without what began in the first `skip_us`."""
    rows = [line.split("\t") for line in text.splitlines()]
    begin = min((int(row[0]) for row in rows), default=0) + skip_us
    return [int(row[2]) for row in rows if int(row[0]) >= begin]


def percentiles(latencies_us: Sequence[int]) -> tuple[float, float]:
    """The 50th and 99th percentile in milliseconds; zeros where there is too little to tell."""
    if len(latencies_us) < 100:
        return 0.0, 0.0
    cuts = statistics.quantiles(latencies_us, n=100)
    return cuts[49] / 1e3, cuts[98] / 1e3
