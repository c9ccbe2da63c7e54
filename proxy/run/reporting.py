"""What `pyproxy status` shows: gathered from the workers, the shared memory and the supervisor."""

import os
from collections.abc import Generator

from proxy.clock import monotonic, wall_time
from proxy.run import fleet
from proxy.run.fleet import Child
from proxy.run.house import House

GATHER_LIMIT = 2.0
"""Seconds to wait for a worker's own figures; one that is busy longer is shown without."""

Report = dict[str, object]


def gathered(house: House, number: int, started: float) -> Generator[None, None, Report]:
    """Ask every worker how it is, and return the whole report.

    Args:
        house: All there is to report on.
        number: Of the question, so that late answers to an earlier one are told apart.
        started: When the proxy started; wall clock.
    """
    asked = [
        child for child in house.fleet.ready() if fleet.tell(child, {"do": "status", "id": number})
    ]
    limit = monotonic() + GATHER_LIMIT
    while monotonic() < limit:
        if all(
            child.report[0] == number or child.pid not in house.fleet.children for child in asked
        ):
            break
        yield
    return report(house, number, started)


def report(house: House, number: int, started: float) -> Report:
    """Return the report, with the figures of those workers that have answered question `number`."""
    force = house.force
    now = monotonic()
    return {
        "pid": os.getpid(),
        "uptime": round(wall_time() - started, 1),
        "configuration": {
            "path": house.path,
            "generation": force.generation,
            "age": round(wall_time() - force.since, 1),
        },
        "listening": [
            {"address": address, "tls": group.endpoint.tls}
            for group in house.listening
            for address in group.addresses()
        ],
        "workers": [_line(child, number, now) for child in house.fleet.workers()],
        "wanted_workers": force.workers,
        "totals": house.shared.totals(),
    }


def _line(child: Child, number: int, now: float) -> Report:
    return {
        "slot": child.slot,
        "pid": child.pid,
        "state": child.state.value,
        "generation": child.generation,
        "uptime": round(now - child.started, 1),
        "figures": child.report[1] if child.report[0] == number else {},
    }
