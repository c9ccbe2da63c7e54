"""A program that the rig started: pinned to cores, watched by its pid, ended by its pids."""

import contextlib
import os
import signal
import socket
import subprocess
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks import processes


class DidNotStartError(Exception):
    """A program ended, or never answered, right after its start; the message holds what it said."""


@dataclass(frozen=True, slots=True)
class Launch:
    """How to start a program: command, cores it may use, folder to run in, extra environment."""

    command: Sequence[str]
    cores: frozenset[int]
    folder: Path
    environment: Mapping[str, str]


class Running:
    """A started program with everything below it; both its outputs go to files in `folder`."""

    def __init__(self, name: str, launch: Launch, port: int, output: Path) -> None:
        self.name = name
        self.port = port
        self.output = output
        with output.open("ab") as stdout, output.with_suffix(".err").open("ab") as stderr:
            self.process = subprocess.Popen(
                [*pinned(launch.cores), *launch.command],
                cwd=launch.folder,
                env={**os.environ, **launch.environment},
                stdin=subprocess.DEVNULL,
                stdout=stdout,
                stderr=stderr,
            )

    @property
    def pid(self) -> int:
        """The process that was started; its children are the workers."""
        return self.process.pid

    def pids(self) -> list[int]:
        """Every process of the program, the first one first."""
        return processes.tree(self.pid)

    def usage(self) -> processes.Usage:
        """CPU and faults of all its processes since they began."""
        return processes.usage(self.pid)

    def signal(self, number: int) -> None:
        """Send a signal to the first process."""
        self.process.send_signal(number)

    def last_words(self, lines: int = 12) -> str:
        """The end of what it wrote to its error output and its error log."""
        files = (self.output.with_suffix(".err"), self.output.with_name("error.log"))
        texts = [path.read_text(errors="replace").splitlines() for path in files if path.exists()]
        return "\n".join(line for text in texts for line in text[-lines:])

    def stop(self, patience: float = 5.0) -> None:
        """Ask it to end; after `patience` seconds kill what is left of its processes."""
        pids = self.pids()
        if self.process.poll() is None:
            self.signal(signal.SIGTERM)
            with contextlib.suppress(subprocess.TimeoutExpired):
                self.process.wait(patience)
        for pid in set(pids) & set(processes.read_all()):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        self.process.wait()


def pinned(cores: frozenset[int]) -> list[str]:
    """The words in front of a command that keep it, and all it starts, on these cores."""
    return ["taskset", "--cpu-list", ",".join(str(core) for core in sorted(cores))]


def wait_for_port(running: Running, patience: float = 15.0) -> None:
    """Wait until a program takes connections.

    Raises:
        DidNotStartError: it ended, or took none within `patience` seconds.
    """
    deadline = time.monotonic() + patience
    while time.monotonic() < deadline and running.process.poll() is None:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", running.port)):
            return
        time.sleep(0.05)
    raise DidNotStartError(f"{running.name} did not start\n{running.last_words()}")


def pause(seconds: float) -> None:
    """Let time pass: for logs to be written, workers to start, ticks to be counted."""
    time.sleep(seconds)
