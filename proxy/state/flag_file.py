"""A file that switches something on by being there."""

import os
from collections.abc import Callable


class FlagFile:
    """Tells whether a file exists, and looks at most once a second.

    Its folder should be on a disk of this machine: looking at it holds up everything else.
    """

    __slots__ = ("_is_there", "_now", "_path", "_till")

    EVERY = 1.0
    """Seconds between two looks."""

    def __init__(self, path: str, now: Callable[[], float]) -> None:
        """Take the file's path and a monotonic clock. Nothing is looked at yet."""
        self._path = path
        self._now = now
        self._is_there = False
        self._till = float("-inf")

    def is_on(self) -> bool:
        """Tell whether the file was there when it was last looked at.

        As long as nobody can tell, for want of permission or because of a fault of the disk, what
        was known before holds; at first that it is not there.
        """
        now = self._now()
        if now >= self._till:
            self._till = now + self.EVERY
            self._look()
        return self._is_there

    def _look(self) -> None:
        try:
            os.stat(self._path)  # noqa: PTH116 - once a second while requests wait
        except (FileNotFoundError, NotADirectoryError):
            self._is_there = False
        except OSError:
            return
        else:
            self._is_there = True
