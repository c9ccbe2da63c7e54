"""A file that switches something on by being there."""

import os


class FlagFile:
    """Tells whether a file exists, and looks at most once a second.

    Its folder should be on a disk of this machine: looking at it holds up everything else.
    """

    __slots__ = ("__weakref__", "_is_there", "_path", "_until")

    EVERY = 1.0
    """Seconds between two looks."""

    def __init__(self, path: str) -> None:
        """Take the file's path. Nothing is looked at yet."""
        self._path = path
        self._is_there = False
        self._until = float("-inf")

    def is_on(self, now: float) -> bool:
        """Tell whether the file was there when it was last looked at.

        As long as nobody can tell, for want of permission or because of a fault of the disk, what
        was known before holds; at first that it is not there.

        Args:
            now: Monotonic seconds.
        """
        if now >= self._until:
            self._until = now + self.EVERY
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
