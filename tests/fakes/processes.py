"""Calls made in a forked process, which may be killed in the middle."""

import os
import sys
from collections.abc import Callable

KILLED = 99
_FILE_EVENTS = ("open", "os.", "fcntl.", "tempfile.")


def start(call: Callable[[], object]) -> int:
    """Fork a process that makes one call and ends with 0, or with 1 if that raised."""
    child = os.fork()
    if child == 0:
        status = 1
        try:
            call()
            status = 0
        finally:
            os._exit(status)
    return child


def ended(child: int) -> int:
    """Wait for a process by its id and return how it ended."""
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def killed_at(step: int, call: Callable[[], object]) -> bool:
    """Make a call in a process that dies before its `step`-th dealing with the file system.

    Nothing of it runs afterwards, no `finally` and no `except`, as with kill -9.

    Returns:
        False if the call was through before.
    """

    def doomed() -> None:
        left = step

        def count(event: str, _arguments: object) -> None:
            nonlocal left
            if event.startswith(_FILE_EVENTS):
                left -= 1
                if left < 0:
                    os._exit(KILLED)

        sys.addaudithook(count)
        call()

    status = ended(start(doomed))
    assert status in {0, KILLED}, "the call failed by itself"
    return status == KILLED
