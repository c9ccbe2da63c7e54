"""nginx's limit_req, line by line: the arithmetic of ngx_http_limit_req_module.c (1.22).

The journey `tests/journeys/test_rate_limits.py` holds this against the real nginx; the tests of
buckets hold ours against this. Times are whole milliseconds, requests are counted in thousandths.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

BUSY = -1
"""What `handle` returns for a request that is refused; else the milliseconds that it waits."""


@dataclass
class Node:
    last: int
    excess: int = 0


@dataclass
class Zone:
    """limit_req_zone: so many requests in 1 or 60 seconds, and a node for each key."""

    count: int
    seconds: int
    nodes: dict[str, Node] = field(default_factory=dict)

    @property
    def rate(self) -> int:
        return self.count * 1000 // self.seconds


@dataclass
class Limit:
    """limit_req."""

    zone: Zone
    burst: int = 0
    nodelay: bool = False


def excess_of(zone: Zone, node: Node, now: int) -> tuple[int, int]:
    ms = now - node.last
    if ms < -60000:
        ms = 1
    elif ms < 0:
        ms = 0
    return max(0, node.excess - zone.rate * ms // 1000 + 1000), ms


def lookup(limit: Limit, key: str, now: int, *, account: bool) -> tuple[str, int]:
    zone = limit.zone
    node = zone.nodes.get(key)
    if node is None:
        zone.nodes[key] = Node(now if account else 0)
        return ("OK" if account else "AGAIN"), 0
    excess, ms = excess_of(zone, node, now)
    if excess > limit.burst * 1000:
        return "BUSY", excess
    if not account:
        return "AGAIN", excess
    node.excess = excess
    if ms:
        node.last = now
    return "OK", excess


def account(limits: Sequence[Limit], last: Limit, excess: int, key: str, now: int) -> int:
    longest = 0 if last.nodelay else excess * 1000 // last.zone.rate
    for limit in reversed(limits):
        zone = limit.zone
        node = zone.nodes[key]
        excess, ms = excess_of(zone, node, now)
        if ms:
            node.last = now
        node.excess = excess
        if not limit.nodelay:
            longest = max(longest, excess * 1000 // zone.rate)
    return longest


def handle(limits: Sequence[Limit], key: str, now: int) -> tuple[int, int]:
    """Return what becomes of a request, and the excess that decided."""
    excess = 0
    for number, limit in enumerate(limits):
        said, excess = lookup(limit, key, now, account=number == len(limits) - 1)
        if said == "BUSY":
            return BUSY, excess
    return account(limits[:-1], limits[-1], excess, key, now), excess
