"""An upstream that is killed, then stopped politely, under load; each time back a second later."""

import sys
from pathlib import Path

from benchmarks import load
from benchmarks.rig import Rig
from benchmarks.running import Launch, Running, pause
from benchmarks.scenarios.scenario import Background, Outcome, Scenario
from benchmarks.servers.server import Server
from benchmarks.stage import HOST, Options, free_port

TREE = Path(__file__).parents[2]
SECONDS = 9
AWAY = 1.0  # seconds


class UpstreamRestart(Scenario):
    """No GET may fail: those under way are asked again, those meanwhile wait (`hold`)."""

    key = "upstream"
    title = "the upstream (uvicorn) killed and restarted, stopped and restarted, under load"

    def play(self, rig: Rig, server: Server) -> Outcome:
        """Failed requests out of all."""
        everything = rig.stage.cores.everything
        port = free_port()
        part = rig.part(
            server, workers=2, cores=everything, options=Options(hold=10), origin_port=port
        )
        part.folder.mkdir()
        upstream = start_upstream(port, everything, part.folder)
        try:
            with rig.fresh(server, part) as running:
                target = rig.target(running, cores=everything)
                loads = Background()
                loads.start(lambda: load.wrk(target, seconds=SECONDS, connections=32, timeout=20))
                pause(2.0)
                for patience in (0.0, 5.0):
                    upstream.stop(patience)
                    pause(AWAY)
                    upstream = start_upstream(port, everything, part.folder)
                    pause(2.0)
                (served,) = loads.finish()
        finally:
            upstream.stop()
        return Outcome(
            not served.errors,
            {
                "requests": served.requests,
                "answers not 2xx": served.bad_answers,
                "broken connections": served.broken,
                "timeouts": served.late,
                "p99 ms": served.p99_ms,
            },
        )


def start_upstream(port: int, cores: frozenset[int], folder: Path) -> Running:
    """Start uvicorn on the port; whoever connects too early is refused."""
    command = [
        *(sys.executable, "-m", "uvicorn", "benchmarks.scenarios.application:application"),
        *("--host", HOST, "--port", str(port), "--no-access-log", "--log-level", "warning"),
    ]
    return Running("uvicorn", Launch(command, cores, TREE, {}), port, folder / "uvicorn.log")
