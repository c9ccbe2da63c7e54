"""Starting background work: the one place that calls `asyncio.create_task`."""

import asyncio
import logging
from collections.abc import Coroutine
from typing import Any, TypeVar

T = TypeVar("T")

_log = logging.getLogger("pyproxy.net")
_running: set[asyncio.Task[Any]] = set()


def start(coro: Coroutine[Any, Any, T], name: str) -> asyncio.Task[T]:
    """Run `coro` in the background on the running loop.

    The task is kept until it ends (asyncio itself only has weak references), carries `name` in
    tracebacks, and if it fails says so in the log at once instead of when it is collected.
    """
    task = asyncio.create_task(coro, name=name)  # noqa: TID251 - the place the ban points to
    _running.add(task)
    task.add_done_callback(_ended)
    return task


def _ended(task: asyncio.Task[Any]) -> None:
    _running.discard(task)
    if not task.cancelled() and (error := task.exception()) is not None:
        _log.error("task %s failed", task.get_name(), exc_info=error)
