"""What the rig asks of a server."""

import re
import subprocess
from abc import ABC, abstractmethod
from collections.abc import Mapping
from enum import Enum
from pathlib import Path
from typing import ClassVar

from benchmarks import client
from benchmarks.running import Launch, Running
from benchmarks.stage import Part

_VERSION = re.compile(r"\d+(?:\.\d+)+\S*")


class Feature(Enum):
    """What not every server has; rows that need it leave the others out."""

    FILES = "static files"
    RATE_LIMITS = "rate limits"


class Server(ABC):
    """A proxy that can be started for a part: configured alike, one file each."""

    name: str
    packages: ClassVar[tuple[str, ...]] = ()
    lacks: ClassVar[frozenset[Feature]] = frozenset()

    @abstractmethod
    def prepare(self, part: Part) -> list[str]:
        """Write the configuration into the part's folder and return the command that serves it."""

    @abstractmethod
    def version_command(self) -> list[str]:
        """The command that prints the version."""

    def version(self) -> str:
        """The version as the program tells it; empty when it tells none."""
        done = subprocess.run(
            self.version_command(),
            cwd=self.folder(None),
            capture_output=True,
            text=True,
            check=False,
            timeout=30,
        )
        found = _VERSION.search(done.stdout + done.stderr)
        return found.group() if found else ""

    def folder(self, part: Part | None) -> Path:
        """Where the command runs."""
        return part.folder if part else Path.cwd()

    def reload_command(self, _part: Part) -> list[str]:
        """The command that makes a running server read its file again; most have only SIGHUP."""
        return []

    def environment(self) -> Mapping[str, str]:
        """Variables set for the command beside those of the rig itself."""
        return {}

    def start(self, part: Part) -> Running:
        """Start it and wait for its first answer.

        Raises:
            DidNotStartError: it ended, or did not answer in time.
        """
        part.folder.mkdir(parents=True, exist_ok=True)
        launch = Launch(self.prepare(part), part.cores, self.folder(part), self.environment())
        running = Running(self.name, launch, part.port, part.folder / "output.log")
        try:
            client.wait_until_up(running, client.tls_context(part.stage.certificate))
        except BaseException:
            running.stop()
            raise
        return running
