"""Application servers, started as a user starts them on a free port, and ended by their own pid."""

import contextlib
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.journeys.running import (
    PATIENCE,
    TREE,
    RunningProxy,
    children_of,
    free_port,
    is_alive,
    launch,
    wait_until_ready,
)


@dataclass
class AppServer:
    """An application server that accepts connections."""

    process: subprocess.Popen[bytes]
    port: int
    output: Path

    def kill(self) -> None:
        """End it without a word to anybody."""
        pids = [*children_of(self.process.pid), self.process.pid]
        for pid in filter(is_alive, pids):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        self.process.wait()


@contextlib.contextmanager
def serving(command: Sequence[str], folder: Path) -> Iterator[AppServer]:
    """Run `python -m COMMAND`, in which "{port}" stands for a free port, until it accepts."""
    folder.mkdir(parents=True, exist_ok=True)
    port = free_port()
    output = folder / f"{command[0]}-{port}.log"
    with output.open("wb") as sink:
        process = subprocess.Popen(
            [sys.executable, "-m", *(word.replace("{port}", str(port)) for word in command)],
            cwd=TREE,
            env={**os.environ, "PYTHONUNBUFFERED": "1"},
            stdin=subprocess.DEVNULL,
            stdout=sink,
            stderr=subprocess.STDOUT,
        )
    server = AppServer(process, port, output)
    try:
        _wait_until_it_accepts(server)
        yield server
    finally:
        if process.poll() is None:
            process.terminate()
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(2)
        server.kill()


def _wait_until_it_accepts(server: AppServer) -> None:
    end = time.monotonic() + PATIENCE
    while True:
        assert server.process.poll() is None, server.output.read_text()
        try:
            socket.create_connection(("127.0.0.1", server.port), PATIENCE).close()
        except ConnectionRefusedError:
            assert time.monotonic() < end, server.output.read_text()
            time.sleep(0.05)
        else:
            return


def uvicorn(folder: Path) -> contextlib.AbstractContextManager[AppServer]:
    """The FastAPI application under uvicorn."""
    return serving(["uvicorn", "tests.journeys.apps.fast:application", "--port", "{port}"], folder)


def gunicorn(folder: Path) -> contextlib.AbstractContextManager[AppServer]:
    """The Django project under gunicorn with one sync worker."""
    return serving(
        [
            "gunicorn", "tests.journeys.apps.django_wsgi:application", "--bind", "127.0.0.1:{port}",
            "--workers", "1", "--worker-class", "sync", "--no-control-socket",
        ],
        folder,
    )  # fmt: skip


def daphne(folder: Path) -> contextlib.AbstractContextManager[AppServer]:
    """The Django project and a WebSocket consumer under Daphne."""
    return serving(
        [
            "daphne",
            "-b",
            "127.0.0.1",
            "-p",
            "{port}",
            "tests.journeys.apps.django_asgi:application",
        ],
        folder,
    )


def channels(folder: Path) -> contextlib.AbstractContextManager[AppServer]:
    """The Django project with Channels under Daphne."""
    application = "tests.journeys.apps.django_channels:application"
    return serving(["daphne", "-b", "127.0.0.1", "-p", "{port}", application], folder)


@contextlib.contextmanager
def proxying(config_text: str, folder: Path, **environment: str | int) -> Iterator[RunningProxy]:
    """Run the proxy for as long as a module of tests needs it; the configuration may use VARs."""
    proxy = launch(config_text, folder, {name: str(value) for name, value in environment.items()})
    try:
        wait_until_ready(proxy)
        yield proxy
    finally:
        proxy.end()
