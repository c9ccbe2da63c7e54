"""Twenty reloads of a changed configuration under load."""

import subprocess
from dataclasses import replace
from signal import SIGHUP

from benchmarks import client, load
from benchmarks.rig import Rig
from benchmarks.running import Running, pause
from benchmarks.scenarios.scenario import Background, Outcome, Scenario
from benchmarks.servers.server import Server
from benchmarks.stage import Part

RELOADS = 20
APART = 0.5  # seconds
SECONDS = 13


class ReloadUnderLoad(Scenario):
    """Kept-alive and new connections must not notice; the last configuration must be served."""

    key = "reload"
    title = f"{RELOADS} reloads under load"

    def play(self, rig: Rig, server: Server) -> Outcome:
        """Failed requests, and the generation of the configuration that answers in the end."""
        everything = rig.stage.cores.everything
        part = rig.part(server, workers=2, cores=everything)
        with rig.fresh(server, part) as running:
            target = rig.target(running, cores=everything)
            loads = Background()
            loads.start(lambda: load.wrk(target, seconds=SECONDS, connections=64))
            loads.start(lambda: load.handshakes(target, seconds=SECONDS - 1, rate=100))
            pause(1.0)
            refused = sum(not reload(server, running, part, turn + 1) for turn in range(RELOADS))
            kept_alive, fresh = loads.finish()
            reply = client.ask(running.port, "/small", rig.context)
        generation = int(reply.headers.get("x-generation", 0))
        failed = kept_alive.errors + fresh.errors
        return Outcome(
            not failed and not refused and generation == RELOADS,
            {
                "requests": kept_alive.requests,
                "failed requests": kept_alive.errors,
                "new connections": fresh.requests,
                "failed new connections": fresh.errors,
                "reloads refused": refused,
                "last generation served": generation,
                "p99 ms": kept_alive.p99_ms,
            },
        )


def reload(server: Server, running: Running, part: Part, generation: int) -> bool:
    """Write a new generation and reload: by signal, every second time by command if there is one.

    Returns whether the command succeeded; a signal tells nothing.
    """
    changed = replace(part, options=replace(part.options, generation=generation))
    server.prepare(changed)
    command = server.reload_command(changed)
    pause(APART)
    if not command or generation % 2:
        running.signal(SIGHUP)
        return True
    done = subprocess.run(
        command, cwd=server.folder(part), capture_output=True, timeout=30, check=False
    )
    return done.returncode == 0
