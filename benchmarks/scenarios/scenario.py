"""What a scenario is, and what comes of it."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass

from benchmarks.load import Load
from benchmarks.rig import Rig
from benchmarks.servers.server import Server


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of a scenario: whether it went as promised, the figures, and why there are none."""

    passed: bool
    figures: Mapping[str, float]
    trouble: str = ""


class Scenario(ABC):
    """One bad day."""

    key: str
    title: str

    @abstractmethod
    def play(self, rig: Rig, server: Server) -> Outcome:
        """Play it on a server of its own."""


class Background:
    """Loads that run while the scenario goes on."""

    def __init__(self) -> None:
        self._threads = ThreadPoolExecutor()
        self._loads: list[Future[Load]] = []

    def start(self, put_to_work: Callable[[], Load]) -> None:
        """Begin a load."""
        self._loads.append(self._threads.submit(put_to_work))

    def finish(self) -> list[Load]:
        """Wait for all loads, in the order they began.

        Raises:
            LoadError: a load generator failed.
        """
        loads = [future.result() for future in self._loads]
        self._threads.shutdown()
        return loads
