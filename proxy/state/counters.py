"""What a worker counts, and how it is told to the other processes.

A worker counts in plain attributes (about 20 ns an increment) and publishes them to its row of the
shared memory once a second: an increment in shared memory itself would cost three times as much.
"""

import struct
from dataclasses import dataclass, field, fields
from operator import attrgetter

_GAUGE = {"gauge": True}


@dataclass(slots=True)
class Figures:
    """What is counted. All only grow, but for the gauges, which say how many there are now.

    Attributes:
        requests: Heads of requests read, whatever became of them.
        requests_active: Gauge: requests not finished yet.
        responses_1xx, responses_2xx, responses_3xx, responses_4xx, responses_5xx: Answers sent.
        requests_aborted: The client left before its answer was whole.
        connections_accepted: Client connections taken.
        connections_open: Gauge: client connections.
        connections_refused: Closed at once: too many, in all or of one address.
        handshakes_ok, handshakes_failed: TLS handshakes with clients.
        handshakes_resumed: Those of `handshakes_ok` that resumed a session.
        bytes_received, bytes_sent: Body bytes from and to clients.
        client_timeouts: Clients cut off for being slow.
        upstream_requests: Requests sent upstream, every try counted.
        upstream_connections: Connections opened to upstreams.
        upstream_connections_open: Gauge: connections to upstreams, idle ones too.
        upstream_errors: Tries that failed, those below included.
        upstream_timeouts: Tries that failed because the upstream was too slow.
        upstream_retries: Second and further tries.
        queued: Gauge: requests that wait for an upstream connection.
        websockets: Connections upgraded.
        websockets_open: Gauge: of them, those still there.
        log_lines_dropped: Lines that no log could take.
        requests_limited, requests_delayed: Requests that a rate limit refused, and made wait.
        limits_dry_run: Those that it would have refused or delayed, but for `dry_run`.
        buckets_put_out: Buckets that had to make room before they were full: more keys than the
            table is made for, or an attack.
    """

    requests: int = 0
    requests_active: int = field(default=0, metadata=_GAUGE)
    responses_1xx: int = 0
    responses_2xx: int = 0
    responses_3xx: int = 0
    responses_4xx: int = 0
    responses_5xx: int = 0
    requests_aborted: int = 0
    connections_accepted: int = 0
    connections_open: int = field(default=0, metadata=_GAUGE)
    connections_refused: int = 0
    handshakes_ok: int = 0
    handshakes_failed: int = 0
    handshakes_resumed: int = 0
    bytes_received: int = 0
    bytes_sent: int = 0
    client_timeouts: int = 0
    upstream_requests: int = 0
    upstream_connections: int = 0
    upstream_connections_open: int = field(default=0, metadata=_GAUGE)
    upstream_errors: int = 0
    upstream_timeouts: int = 0
    upstream_retries: int = 0
    queued: int = field(default=0, metadata=_GAUGE)
    websockets: int = 0
    websockets_open: int = field(default=0, metadata=_GAUGE)
    log_lines_dropped: int = 0
    requests_limited: int = 0
    requests_delayed: int = 0
    limits_dry_run: int = 0
    buckets_put_out: int = 0


NAMES = tuple(one.name for one in fields(Figures))
GAUGES = frozenset(one.name for one in fields(Figures) if one.metadata)

# Native alignment and order, so that each figure is stored in one go and never read in halves.
_ROW = struct.Struct(f"@{len(NAMES)}q")
_values = attrgetter(*NAMES)

ROW_SIZE = -(-_ROW.size // 64) * 64
"""Bytes of a row: whole cache lines, so that workers do not slow each other down."""


class Counters(Figures):
    """A worker's figures. They go on from what an earlier worker in the same row published."""

    __slots__ = ("_row",)

    def __init__(self, row: memoryview | None = None) -> None:
        """Take a row of `ROW_SIZE` bytes that nobody else writes to; None to share nothing."""
        self._row = memoryview(bytearray(ROW_SIZE)) if row is None else row
        super().__init__(*_ROW.unpack_from(self._row))

    def publish(self) -> None:
        """Let the other processes see the figures as they are now."""
        _ROW.pack_into(self._row, 0, *_values(self))


def read_row(row: memoryview) -> dict[str, int]:
    """Return what was last published to a row, by name."""
    return dict(zip(NAMES, _ROW.unpack_from(row), strict=True))


def clear_gauges(row: memoryview) -> None:
    """Set to 0 what died with a row's worker; what only grows stays, for no total may shrink."""
    left = (0 if name in GAUGES else value for name, value in read_row(row).items())
    _ROW.pack_into(row, 0, *left)
