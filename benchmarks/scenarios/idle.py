"""Ten thousand idle TLS connections, while requests are served."""

import contextlib

from benchmarks import load, processes
from benchmarks.idle_clients import IdleClients
from benchmarks.rig import Rig
from benchmarks.running import pause
from benchmarks.scenarios.scenario import Outcome, Scenario
from benchmarks.servers.server import Server
from benchmarks.stage import Options

TOTAL = 10_000
CLIENTS = 2  # processes that hold them: no single one needs more files than a user may open


class IdleCrowd(Scenario):
    """The connections are opened, held during a load, and must all answer afterwards."""

    key = "idle"
    title = f"{TOTAL} idle TLS connections held while requests are served"

    def play(self, rig: Rig, server: Server) -> Outcome:
        """Memory before and with them, requests served meanwhile, connections lost."""
        everything = rig.stage.cores.everything
        part = rig.part(server, workers=2, cores=everything, options=Options(keep_alive=300))
        with rig.fresh(server, part) as running, contextlib.ExitStack() as stack:
            before = processes.pss_kb(running.pids())
            crowd = [
                stack.enter_context(
                    IdleClients(running.port, TOTAL // CLIENTS, rig.stage.certificate, everything)
                )
                for _ in range(CLIENTS)
            ]
            opened = sum(clients.opened() for clients in crowd)
            pause(1.0)
            after = processes.pss_kb(running.pids())
            served = load.wrk(rig.target(running, cores=everything), seconds=5, connections=32)
            answered = sum(clients.ask() for clients in crowd)
        return Outcome(
            opened == answered == TOTAL and not served.errors,
            {
                "opened": opened,
                "still answering": answered,
                "memory before MB": before / 1024,
                "memory with them MB": after / 1024,
                "KB a connection": (after - before) / max(opened, 1),
                "req/s meanwhile": served.rate,
                "p99 ms meanwhile": served.p99_ms,
                "failed requests": served.errors,
            },
        )
