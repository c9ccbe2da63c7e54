"""The rig of one run: a stage, an upstream, and the servers that play on it."""

import contextlib
import os
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

from benchmarks import bodies, client
from benchmarks.load import Target
from benchmarks.running import Launch, Running, wait_for_port
from benchmarks.servers import nginx
from benchmarks.servers.server import Server
from benchmarks.stage import (
    Options,
    Part,
    Stage,
    free_port,
    make_certificate,
    split_cores,
)

DEFAULT_OPTIONS = Options()
TREE = Path(__file__).parents[1]


@dataclass(frozen=True, slots=True)
class Settings:
    """How long and how hard: whole seconds a round, rounds a row, connections of the load.

    `idle_connections` are opened beside each other in the row that measures their memory.
    `warm_up`: seconds of the load itself before the first round.
    """

    seconds: int = 2
    rounds: int = 4
    connections: int = 32
    idle_connections: int = 1000
    warm_up: int = 1


class Rig:
    """Owns everything that a run starts or writes; leaving it ends and removes all of it."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self._stack = contextlib.ExitStack()
        folder = Path(self._stack.enter_context(tempfile.TemporaryDirectory(prefix="benchmarks-")))
        folder.chmod(0o755)  # a proxy that drops its privileges must still reach its own files
        self._parts = 0
        self._shared: dict[tuple[str, Options], Running] = {}
        cores = split_cores()
        bodies.write(folder, bodies.STATIC)
        certificate, key = make_certificate(folder)
        self._origin = nginx.start_origin(folder / "origin", free_port(), cores.others)
        self._stack.callback(self._origin.stop)
        self._echo: Running | None = None
        self.stage = Stage(folder, certificate, key, self._origin.port, cores)
        self.context = client.tls_context(certificate)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._stack.close()

    def part(
        self,
        server: Server,
        *,
        workers: int = 1,
        cores: frozenset[int] | None = None,
        options: Options = DEFAULT_OPTIONS,
        origin_port: int | None = None,
    ) -> Part:
        """A new part for a server: a folder and a free port, on the proxy's core by default."""
        self._parts += 1
        stage = self.stage
        if options.websockets:
            origin_port = self.echo_port()
        if origin_port is not None:
            stage = Stage(stage.folder, stage.certificate, stage.key, origin_port, stage.cores)
        folder = stage.folder / f"{self._parts:02d}-{server.name.replace(' ', '-')}"
        return Part(stage, folder, free_port(), workers, cores or stage.cores.proxy, options)

    def echo_port(self) -> int:
        """Where the upstream of WebSockets listens, which is started at first use."""
        if self._echo is None:
            port, cores = free_port(), self.stage.cores.others
            command = [sys.executable, "-m", "benchmarks.websocket_echo", str(port)]
            output = self.stage.folder / "echo.log"
            self._echo = Running("echo", Launch(command, cores, TREE, {}), port, output)
            self._stack.callback(self._echo.stop)
            wait_for_port(self._echo)
        return self._echo.port

    def shared(self, server: Server, options: Options = DEFAULT_OPTIONS) -> Running:
        """The server's instance that rows with these options use; started at first use.

        It has one worker, which is pinned.

        Raises:
            DidNotStartError: it did not start.
        """
        key = (server.name, options)
        if key not in self._shared:
            running = server.start(self.part(server, options=options))
            self._stack.callback(running.stop)
            self._shared[key] = running
        return self._shared[key]

    @contextlib.contextmanager
    def fresh(self, server: Server, part: Part) -> Iterator[Running]:
        """A server of its own for one measurement.

        Raises:
            DidNotStartError: it did not start.
        """
        running = server.start(part)
        try:
            yield running
        finally:
            running.stop()

    @contextlib.contextmanager
    def origin_on(self, cores: frozenset[int]) -> Iterator[None]:
        """The upstream on other cores for a while."""
        pids = self._origin.pids()
        for pid in pids:
            os.sched_setaffinity(pid, cores)
        try:
            yield
        finally:
            for pid in pids:
                os.sched_setaffinity(pid, self.stage.cores.others)

    def target(
        self, running: Running, path: str = "/small", cores: frozenset[int] | None = None
    ) -> Target:
        """Where the load generators find a server."""
        return Target(running.port, path, cores or self.stage.cores.others)
