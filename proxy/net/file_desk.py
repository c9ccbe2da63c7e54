"""What all file handlers of a worker share: the cache of small files, and threads to look in.

The loop itself never asks the file system anything that might make it wait: a disk may sleep, and
a network's may not answer.
"""

import asyncio
from collections import deque
from collections.abc import Callable, Hashable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

from proxy.clock import monotonic
from proxy.files.cache import FileCache

T = TypeVar("T")

_THREADS = 8
"""They wait for disks more than they compute; that many slow reads at a time hold up the others."""

_SLICE = 0.003
"""Seconds of the loop that all streams together take before everything else has its turn. A piece
takes 0.1 ms, and 1.5 ms where it is encoded: a round of some hundred streams would be long."""


class FileDesk:
    """See the module's docstring.

    Attributes:
        cache: Small files.
    """

    __slots__ = ("_running", "_threads", "_turning", "_turns", "cache")

    def __init__(self) -> None:
        self.cache = FileCache()
        self._running: dict[Hashable, asyncio.Future[Any]] = {}
        self._threads: ThreadPoolExecutor | None = None
        self._turns: deque[Callable[[], None]] = deque()
        self._turning = False

    def soon(self, turn: Callable[[], None]) -> None:
        """Have a stream take its next turn on the loop, behind all that asked before."""
        self._turns.append(turn)
        if not self._turning:
            self._turning = True
            asyncio.get_running_loop().call_soon(self._take_turns)

    def _take_turns(self) -> None:
        """Give one turn at most to each that waits, for as long as a slice lasts."""
        turns = self._turns
        end = monotonic() + _SLICE
        try:
            for _ in range(len(turns)):
                turns.popleft()()
                if monotonic() >= end:
                    break
        finally:
            self._turning = bool(turns)
            if turns:
                asyncio.get_running_loop().call_soon(self._take_turns)

    def begin(self, call: Callable[[], T]) -> "asyncio.Future[T]":
        """Do something that may block; to be called on the loop."""
        if self._threads is None:
            self._threads = ThreadPoolExecutor(_THREADS, "files")
        return asyncio.get_running_loop().run_in_executor(self._threads, call)

    def once(self, key: Hashable, call: Callable[[], T]) -> "asyncio.Future[T]":
        """Do something that may block, unless just that is being done: then share its result."""
        running = self._running.get(key)
        if running is None:
            running = self._running[key] = self.begin(call)
            running.add_done_callback(lambda _: self._running.pop(key))
        return running

    def close(self) -> None:
        """Begin nothing more. What runs already ends by itself."""
        if self._threads is not None:
            self._threads.shutdown(wait=False, cancel_futures=True)
