"""The work of WebSockets: small messages that come back, and connections that stay idle."""

from dataclasses import dataclass

from benchmarks import processes
from benchmarks.client import WrongAnswerError
from benchmarks.figures import Sample
from benchmarks.rig import Rig
from benchmarks.running import pause
from benchmarks.servers.server import Server
from benchmarks.stage import Options
from benchmarks.websocket_clients import WebSocketClients
from benchmarks.work import Work, measure


@dataclass(frozen=True, slots=True)
class Echoes(Work):
    """Messages of 32 bytes that an upstream sends back, `window` under way on each WebSocket."""

    connections: int = 32
    window: int = 1

    @property
    def options(self) -> Options:
        """With WebSockets."""
        return Options(websockets=True)

    def prepare(self, rig: Rig, server: Server) -> None:
        """See that a message comes back.

        Raises:
            WrongAnswerError: it does not.
        """
        with self.clients(rig, server, 1) as clients:
            if (clients.opened(), clients.ask()) != (1, 1):
                raise WrongAnswerError("a WebSocket was not opened, or its message not sent back")

    def sample(self, rig: Rig, server: Server) -> Sample:
        """CPU microseconds a message, there and back; handshakes are made before."""
        running = rig.shared(server, self.options)
        with self.clients(rig, server, self.connections) as clients:
            clients.opened()
            clients.ask()
            return measure(running, lambda: clients.load(rig.settings.seconds, self.window))

    def clients(self, rig: Rig, server: Server, count: int) -> WebSocketClients:
        """So many clients of the server."""
        port, stage = rig.shared(server, self.options).port, rig.stage
        return WebSocketClients(port, count, stage.certificate, stage.cores.others)


@dataclass(frozen=True, slots=True)
class IdleWebSockets(Work):
    """WebSockets that each had one message sent back and are then kept open."""

    most_rounds = 1
    warm: int = 100

    def prepare(self, rig: Rig, server: Server) -> None:
        """Nothing: every server is a fresh one."""

    def sample(self, rig: Rig, server: Server) -> Sample:
        """Kilobytes of the proxy's memory a WebSocket, after the first hundred."""
        count = rig.settings.idle_connections
        stage = rig.stage
        crowd = (stage.certificate, stage.cores.others)
        with (
            rig.fresh(server, rig.part(server, options=Options(websockets=True))) as running,
            WebSocketClients(running.port, self.warm, *crowd) as first,
        ):
            warmed = first.opened() + first.ask() - 2 * self.warm
            pause(1.0)
            before = processes.pss_kb(running.pids())
            with WebSocketClients(running.port, count, *crowd) as many:
                opened, answered = many.opened(), many.ask()
                pause(1.0)
                after = processes.pss_kb(running.pids())
                alive = many.ask()
        errors = 3 * count - opened - answered - alive - warmed
        details = {"connections": float(opened), "pss_mb": after / 1024}
        return Sample((after - before) / count, errors, details)
