"""What the kernel says about a tree of processes: CPU time, page faults, memory.

CPU comes from `/proc/PID/stat` (proc(5)): user and system time of a process and of the children it
has already waited for, so a worker that died and was reaped is still counted, once.
"""

import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

PROC = Path("/proc")
MICROSECONDS_PER_TICK = 1_000_000 / os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True, slots=True)
class ProcessStat:
    """The fields of one `/proc/PID/stat` that the rig reads.

    `ticks` is user + system time in clock ticks, `minor_faults` the faults served without a disk;
    both include the children that were waited for.
    """

    pid: int
    parent: int
    ticks: int
    minor_faults: int


@dataclass(frozen=True, slots=True)
class Usage:
    """What a tree of processes has used since it began: microseconds of CPU and minor faults."""

    cpu_us: float
    minor_faults: int

    def since(self, before: "Usage") -> "Usage":
        """What was used between `before` and this reading."""
        return Usage(self.cpu_us - before.cpu_us, self.minor_faults - before.minor_faults)


def parse_stat(text: str) -> ProcessStat:
    """Read one line of `/proc/PID/stat`; the name in it may hold spaces and parentheses."""
    head, _, tail = text.rpartition(")")
    fields = tail.split()
    return ProcessStat(
        pid=int(head.partition(" ")[0]),
        parent=int(fields[1]),
        ticks=sum(int(value) for value in fields[11:15]),
        minor_faults=int(fields[7]) + int(fields[8]),
    )


def parse_pss(text: str) -> int:
    """Read the proportional set size in KB from `/proc/PID/smaps_rollup`."""
    for line in text.splitlines():
        if line.startswith("Pss:"):
            return int(line.split()[1])
    return 0


def parse_rss(text: str) -> int:
    """Read the resident set size in KB from `/proc/PID/status`; 0 for a process that has ended."""
    for line in text.splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1])
    return 0


def descendants(root: int, stats: Mapping[int, ProcessStat]) -> list[int]:
    """`root` and every process below it, parents before children."""
    found = [root]
    for pid in found:
        found.extend(stat.pid for stat in stats.values() if stat.parent == pid)
    return found


def total(stats: Iterable[ProcessStat]) -> Usage:
    """Add up what several processes have used."""
    known = list(stats)
    return Usage(
        cpu_us=sum(stat.ticks for stat in known) * MICROSECONDS_PER_TICK,
        minor_faults=sum(stat.minor_faults for stat in known),
    )


def read_all() -> dict[int, ProcessStat]:
    """The stat of every process that runs now."""
    stats = {}
    for entry in PROC.iterdir():
        if entry.name.isdigit():
            stat = read_one(int(entry.name))
            if stat is not None:
                stats[stat.pid] = stat
    return stats


def read_one(pid: int) -> ProcessStat | None:
    """The stat of one process; None when it has ended."""
    try:
        return parse_stat((PROC / str(pid) / "stat").read_text())
    except (FileNotFoundError, ProcessLookupError):
        return None


def tree(root: int) -> list[int]:
    """`root` and every living process below it."""
    stats = read_all()
    return descendants(root, stats) if root in stats else []


def usage(root: int) -> Usage:
    """What `root` and every process below it have used."""
    stats = read_all()
    return total(stats[pid] for pid in descendants(root, stats) if pid in stats)


def pss_kb(pids: Iterable[int]) -> int:
    """Memory of several processes in KB, pages that they share counted once."""
    return sum(parse_pss(read_entry(pid, "smaps_rollup")) for pid in pids)


def rss_kb(pid: int) -> int:
    """Resident memory of one process in KB, shared pages included."""
    return parse_rss(read_entry(pid, "status"))


def read_entry(pid: int, name: str) -> str:
    """One file of `/proc/PID`; empty when the process has ended."""
    try:
        return (PROC / str(pid) / name).read_text()
    except (FileNotFoundError, ProcessLookupError):
        return ""
