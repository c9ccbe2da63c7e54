"""WebSockets that are held through reloads."""

from benchmarks import processes
from benchmarks.rig import Rig
from benchmarks.running import pause
from benchmarks.scenarios.reload import reload
from benchmarks.scenarios.scenario import Outcome, Scenario
from benchmarks.servers.server import Server
from benchmarks.stage import Options
from benchmarks.websocket_clients import WebSocketClients

RELOADS = 3


class HeldWebSockets(Scenario):
    """Messages come back on every one of them after every reload."""

    key = "websockets"
    title = f"WebSockets held through {RELOADS} reloads"

    def __init__(self, count: int = 500) -> None:
        self.count = count

    def play(self, rig: Rig, server: Server) -> Outcome:
        """How many were opened, and how many still sent a message back in the end."""
        everything = rig.stage.cores.everything
        options = Options(websockets=True)
        part = rig.part(server, workers=2, cores=everything, options=options)
        with (
            rig.fresh(server, part) as running,
            WebSocketClients(running.port, 1, rig.stage.certificate, everything) as one,
        ):
            one.opened()
            before = processes.pss_kb(running.pids())
            with WebSocketClients(
                running.port, self.count, rig.stage.certificate, everything
            ) as clients:
                opened, answered = clients.opened(), clients.ask()
                held = processes.pss_kb(running.pids())
                refused = 0
                for turn in range(RELOADS):
                    refused += not reload(server, running, part, turn + 1)
                    pause(1.0)
                    answered = min(answered, clients.ask())
                after = processes.pss_kb(running.pids())
        return Outcome(
            opened == answered == self.count and not refused,
            {
                "opened": opened,
                "fewest that answered": answered,
                "lost": opened - answered,
                "reloads refused": refused,
                "memory before MB": before / 1024,
                "with them MB": held / 1024,
                "after the reloads MB": after / 1024,
            },
        )
