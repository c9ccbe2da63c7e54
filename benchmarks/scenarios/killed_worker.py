"""`kill -9` of a worker under load."""

import os
from pathlib import Path
from signal import SIGKILL

from benchmarks import load, processes
from benchmarks.rig import Rig
from benchmarks.running import Running, pause
from benchmarks.scenarios.scenario import Background, Outcome, Scenario
from benchmarks.servers.server import Server

SECONDS = 6
UNDER_WAY = 5  # new connections that may have been in the dead worker's hands
ESTABLISHED = "01"  # the state of /proc/net/tcp, hexadecimal like its ports


class KilledWorker(Scenario):
    """Only the requests on the dead worker's own connections may fail; it must be replaced."""

    key = "kill"
    title = "kill -9 of a worker under load"

    def play(self, rig: Rig, server: Server) -> Outcome:
        """Failed requests beside the connections the worker held, and whether it came back."""
        everything = rig.stage.cores.everything
        part = rig.part(server, workers=2, cores=everything)
        with rig.fresh(server, part) as running:
            target = rig.target(running, cores=everything)
            loads = Background()
            loads.start(lambda: load.wrk(target, seconds=SECONDS, connections=64))
            loads.start(lambda: load.handshakes(target, seconds=SECONDS - 1, rate=100))
            pause(2.0)
            size = len(running.pids())
            victim = busiest_child(running)
            held = connections_held(victim, running.port)
            os.kill(victim, SIGKILL)
            kept_alive, fresh = loads.finish()
            replaced = len(running.pids()) >= size and victim not in running.pids()
        return Outcome(
            replaced and kept_alive.errors <= held and fresh.errors <= UNDER_WAY,
            {
                "requests": kept_alive.requests,
                "failed requests": kept_alive.errors,
                "connections it held": held,
                "new connections": fresh.requests,
                "failed new connections": fresh.errors,
                "replaced": replaced,
            },
        )


def busiest_child(running: Running) -> int:
    """The process below the first one that uses the most CPU just now; the first one if alone."""
    before = processes.read_all()
    pause(0.3)
    after = processes.read_all()
    children = [pid for pid in running.pids()[1:] if pid in before and pid in after]
    return max(children, key=lambda pid: after[pid].ticks - before[pid].ticks, default=running.pid)


def connections_held(pid: int, port: int) -> int:
    """How many established client connections of a port a process has open."""
    sockets = {str(entry.readlink()) for entry in Path(f"/proc/{pid}/fd").iterdir()}
    inodes = {name[8:-1] for name in sockets if name.startswith("socket:")}
    return len(inodes & established(Path("/proc/net/tcp").read_text(), port))


def established(table: str, port: int) -> set[str]:
    """The inodes of the established sockets of a local port in the text of `/proc/net/tcp`."""
    rows = [line.split() for line in table.splitlines()[1:]]
    return {row[9] for row in rows if row[1].endswith(f":{port:04X}") and row[3] == ESTABLISHED}
