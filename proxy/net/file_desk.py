"""What all file handlers of a worker share: the cache of small files, and threads to look in.

The loop itself never asks the file system anything that might make it wait: a disk may sleep, and
a network's may not answer.
"""

import asyncio
from collections.abc import Callable, Hashable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

from proxy.files.cache import FileCache

T = TypeVar("T")

_THREADS = 8
"""They wait for disks more than they compute; that many slow reads at a time hold up the others."""


class FileDesk:
    """See the module's docstring.

    Attributes:
        cache: Small files.
    """

    __slots__ = ("_running", "_threads", "cache")

    def __init__(self) -> None:
        self.cache = FileCache()
        self._running: dict[Hashable, asyncio.Future[Any]] = {}
        self._threads: ThreadPoolExecutor | None = None

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
