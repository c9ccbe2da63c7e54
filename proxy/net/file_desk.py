"""What all file handlers of a worker share: the cache of small files, and threads to look in.

The loop itself never asks the file system anything that might make it wait: a disk may sleep, and
a network's may not answer.
"""

import asyncio
import resource
import sys
from collections import deque
from collections.abc import Callable, Hashable
from typing import Any, TypeVar

from proxy.clock import monotonic
from proxy.errors import Fault, ProxyError
from proxy.files.cache import FileCache
from proxy.message.networks import client_key
from proxy.net.workshop import FOR_DISKS, Workshop

T = TypeVar("T")

_SLICE = 0.003
"""Seconds of the loop that all streams together take before everything else has its turn. A piece
takes 0.1 ms, and 1.5 ms where it is encoded: a round of some hundred streams would be long."""

_LEAST_SHARE = 128
"""Files that a client may always have open: as many as an HTTP/2 connection has streams, and some.
"""


def _half_of_all() -> int:
    limit = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    return sys.maxsize if limit == resource.RLIM_INFINITY else limit // 2


class FileDesk:
    """See the module's docstring.

    A file that is streamed is open for as long as its client likes, and one client may have
    thousands of HTTP/2 streams. So half of the worker's descriptors are for files, and an eighth of
    these for one client.

    Attributes:
        cache: Small files.
        files: How many are open to be streamed.
    """

    __slots__ = (
        "_files_of",
        "_most_files",
        "_running",
        "_turning",
        "_turns",
        "_workshop",
        "cache",
        "files",
    )

    def __init__(self, most_files: int | None = None) -> None:
        """Take the most files to be open; None for half of the process's descriptors."""
        self.cache = FileCache()
        self.files = 0
        self._files_of: dict[bytes, int] = {}
        self._most_files = _half_of_all() if most_files is None else most_files
        self._running: dict[Hashable, asyncio.Future[Any]] = {}
        self._workshop = Workshop(FOR_DISKS, "files")
        self._turns: deque[Callable[[], None]] = deque()
        self._turning = False

    def hold(self, address: str) -> None:
        """Count a file that is open for a client's address.

        Raises:
            ProxyError: There are as many as there may be.
        """
        client = client_key(address)
        own = self._files_of.get(client, 0)
        if self.files >= self._most_files or own >= max(_LEAST_SHARE, self._most_files // 8):
            raise ProxyError(
                503,
                Fault.CLIENT,
                f"as many open files as there may be: {own} for {address}, {self.files} in all",
                public="Please try again in a moment.",
                fields=b"Retry-After: 2\r\n",
            )
        self.files += 1
        self._files_of[client] = own + 1

    def release(self, address: str) -> None:
        """Count out what was counted for an address."""
        client = client_key(address)
        self.files -= 1
        self._files_of[client] -= 1
        if not self._files_of[client]:
            del self._files_of[client]

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
        return self._workshop.begin(call)

    def once(self, key: Hashable, call: Callable[[], T]) -> "asyncio.Future[T]":
        """Do something that may block, unless just that is being done: then share its result."""
        running = self._running.get(key)
        if running is None:
            running = self._running[key] = self.begin(call)
            running.add_done_callback(lambda _: self._running.pop(key))
        return running

    def close(self) -> None:
        """Begin nothing more. What runs already ends by itself."""
        self._workshop.close()
