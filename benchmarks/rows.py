"""The rows of the comparison, as a table: what a later feature wants measured, it adds here."""

from dataclasses import dataclass

from benchmarks.load import Kind
from benchmarks.stage import Policies
from benchmarks.websocket_work import Echoes, IdleWebSockets
from benchmarks.work import (
    HalfLoad,
    Handshakes,
    Http2Requests,
    IdleConnections,
    Refusals,
    Requests,
    SecondWorker,
    Work,
)

CPU = "CPU µs"


@dataclass(frozen=True, slots=True)
class Row:
    """One row: its key on the command line, its title, the unit of its figure, its work.

    `compared`: whether the figure is a cost, so that nginx's divided by ours is a ratio to show.
    `first` and `aim`: the ratio (or, where nothing is compared, the figure) to reach.
    """

    key: str
    title: str
    unit: str
    work: Work
    compared: bool = True
    first: float | None = None
    aim: float | None = None


ROWS = (
    Row("bare", "HTTP/1.1, 100 bytes, no policy", CPU, Requests(policies=Policies.NONE)),
    Row("small", "HTTP/1.1, 100-byte answer", CPU, Requests(), first=0.70, aim=1.00),
    Row(
        "different",
        "the same, every request's headers different",
        CPU,
        Requests(kind=Kind.HEADERS),
        first=0.55,
        aim=0.80,
    ),
    Row(
        "every",
        "HTTP/1.1, 100-byte answer, every policy",
        CPU,
        Requests(policies=Policies.EVERY),
        first=0.70,
        aim=1.00,
    ),
    Row(
        "every-different",
        "the same, every request's headers and path different",
        CPU,
        Requests(kind=Kind.PATHS, policies=Policies.EVERY),
        first=0.55,
        aim=0.80,
    ),
    Row("refused", "HTTP/1.1, nearly all refused by a rate limit", CPU, Refusals()),
    Row("10k", "10 KB answer", CPU, Requests("/10k"), first=0.75, aim=1.00),
    Row("1m", "1 MB answer", CPU, Requests("/1m", connections=16), first=1.05, aim=1.25),
    *(
        Row(
            f"gzip{size}k",
            f"{size} KB of JSON with gzip",
            CPU,
            Requests(f"/json/{size}k.json", gzip=True),
            first=first,
            aim=aim,
        )
        for size, first, aim in ((10, 1.2, 1.5), (100, 1.5, 2.5))
    ),
    *(
        Row(
            f"static{size}k",
            f"static file, {size} KB",
            CPU,
            Requests(f"/static/{size}k.webp"),
            first=first,
            aim=1.1,
        )
        for size, first in ((10, 0.8), (200, 0.9))
    ),
    Row("h2-small", "HTTP/2, 100-byte answer", CPU, Http2Requests(), first=0.6, aim=1.2),
    Row(
        "h2-different",
        "the same, every request's path different, with cookies",
        CPU,
        Http2Requests(different=True),
    ),
    Row("h2-10k", "HTTP/2, 10 KB answer", CPU, Http2Requests("/10k"), first=0.8, aim=1.0),
    Row(
        "h2-1m",
        "HTTP/2, 1 MB answer",
        CPU,
        Http2Requests("/1m", connections=4, streams=4),
        first=1.0,
        aim=1.2,
    ),
    Row("handshake", "full TLS handshake + one request", CPU, Handshakes(), first=0.90, aim=1.00),
    Row("idle", "memory per idle TLS connection", "KB", IdleConnections()),
    Row("websocket", "WebSocket, 32-byte message and its echo", CPU, Echoes()),
    Row("websocket-16", "the same, 16 messages at once", CPU, Echoes(window=16)),
    Row("websocket-idle", "memory per idle WebSocket", "KB", IdleWebSockets()),
    Row("half", "99th percentile of latency at half load", "ms", HalfLoad()),
    Row(
        "second",
        "two workers on two cores, gain over one",
        "times",
        SecondWorker(),
        compared=False,
        first=1.8,
        aim=1.95,
    ),
)


def chosen(keys: str) -> tuple[Row, ...]:
    """The rows named in a list with commas, in the order of the table; all for an empty list.

    Raises:
        ValueError: a name is none of a row.
    """
    names = [name.strip() for name in keys.split(",") if name.strip()]
    known = {row.key for row in ROWS}
    unknown = [name for name in names if name not in known]
    if unknown:
        raise ValueError(f"no row {', '.join(unknown)}; there are {', '.join(sorted(known))}")
    return tuple(row for row in ROWS if not names or row.key in names)
