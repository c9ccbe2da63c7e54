"""Threads for what must not hold up the loop: passwords to check, files to read."""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

T = TypeVar("T")

FOR_COMPUTING = 2
"""Threads that compute: more of them than there are cores would only take these from the loop."""

FOR_DISKS = 8
"""Threads that wait for disks more than they compute: so many slow reads hold up the others."""


class Workshop:
    """Some threads of a worker, made when first needed."""

    __slots__ = ("_closed", "_count", "_name", "_threads")

    def __init__(self, count: int, name: str) -> None:
        """Take how many there may be, and what debuggers see them called."""
        self._count = count
        self._name = name
        self._closed = False
        self._threads: ThreadPoolExecutor | None = None

    def begin(self, call: Callable[[], T]) -> "asyncio.Future[T]":
        """Do something in a thread; to be called on the loop. Cancelled once this is closed."""
        loop = asyncio.get_running_loop()
        if self._closed:
            never: asyncio.Future[T] = loop.create_future()
            never.cancel()
            return never
        if self._threads is None:
            self._threads = ThreadPoolExecutor(self._count, self._name)
        return loop.run_in_executor(self._threads, call)

    def close(self) -> None:
        """Begin nothing more, and cancel what waits; what runs already ends by itself."""
        self._closed = True
        if self._threads is not None:
            self._threads.shutdown(wait=False, cancel_futures=True)
