"""How many processors this process may use: what `workers: auto` means."""

import math
import os
from pathlib import Path

CPU_MAX = Path("/sys/fs/cgroup/cpu.max")


def quota(text: str) -> float:
    """Return the processors that the text of a cgroup's cpu.max allows, infinity for no limit."""
    words = text.split()
    try:
        return math.inf if words[0] == "max" else int(words[0]) / int(words[1])
    except (IndexError, ValueError, ZeroDivisionError):
        return math.inf


def usable() -> int:
    """Return the processors this process may run on, at least one.

    A container's limit (`docker run --cpus 2`) leaves every processor visible and takes time
    away: more workers than it allows would only stand in each other's way.
    """
    allowed = len(os.sched_getaffinity(0))
    try:
        limit = quota(CPU_MAX.read_text())
    except OSError:  # no cgroups of version 2 here
        limit = math.inf
    return max(1, min(allowed, math.ceil(limit) if limit != math.inf else allowed))
