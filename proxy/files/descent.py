"""A way down from a root that never leads out of it, whatever links there are, whoever moves them.

Every step is taken from a folder that is held open, by a name that is not followed if it turns out
to be a link. A link is read, and what it says is walked by the same steps: `..` goes back to the
folder that the walk came from, and never above the root. So there is no moment between a check and
its use: what is opened lies beneath the root because of how it was reached (as with openat2(2) and
RESOLVE_BENEATH, which is neither in Python nor in every container).
"""

import os
import stat
from collections import deque
from collections.abc import Iterable
from pathlib import Path
from types import TracebackType
from typing import Self

_MOST_LINKS = 40  # as Linux has it
_FOLDER = os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC
# Neither waits for a writer of a FIFO nor makes a terminal ours, should one come to be there.
_READ = os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC


class LeadsOutError(Exception):
    """A link leads out of the root, or in circles."""


class Descent:
    """See the module's docstring. A context manager: it holds folders open.

    Attributes:
        name: Of what the last step led to in its folder; b"" where it led to a folder.
        found: What is known of it.
        links: How many links were read on the way.
    """

    __slots__ = ("_fds", "_follow", "_root", "found", "links", "name")

    def __init__(self, root: str, *, follow: bool) -> None:
        """Begin at a folder, or at a file, which is then all that can be found.

        Args:
            root: Its path, in which links are followed.
            follow: True to follow links wherever they lead.

        Raises:
            OSError: It is not there, or out of reach.
        """
        self._root = root
        self._follow = follow
        self.links = 0
        self._fds: list[int] = []
        self.name = b""
        self.found = Path(root).stat()
        if stat.S_ISDIR(self.found.st_mode):
            self._fds.append(os.open(root, _FOLDER))
        else:  # what was named in the configuration may be a link itself
            folder, _, self.name = os.fsencode(os.path.realpath(root)).rpartition(b"/")
            self._fds.append(os.open(folder or b"/", _FOLDER))

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        while self._fds:
            os.close(self._fds.pop())

    @property
    def in_folder(self) -> bool:
        """Say whether the walk stands at a folder."""
        return not self.name

    def go(self, names: Iterable[bytes]) -> None:
        """Walk on from the folder that was reached.

        Raises:
            LeadsOutError: See there.
            OSError: There is no such thing, or it is out of reach.
        """
        if self.name:
            raise NotADirectoryError
        todo = deque(names)
        while todo:
            self._step(todo.popleft(), todo)

    def _step(self, name: bytes, todo: deque[bytes]) -> None:
        if name in {b"", b"."}:  # only links say so
            return
        if name == b"..":
            self._go_back()
            return
        found = os.stat(name, dir_fd=self._fds[-1], follow_symlinks=self._follow)
        if stat.S_ISDIR(found.st_mode):
            flags = _FOLDER if self._follow else _FOLDER | os.O_NOFOLLOW
            folder = os.open(name, flags, dir_fd=self._fds[-1])
            if self._follow:  # nobody goes back: so a link to its own folder holds open but one
                os.close(self._fds.pop())
            self._fds.append(folder)
            self.found = found
        elif stat.S_ISLNK(found.st_mode):
            self.links += 1
            if self.links > _MOST_LINKS:
                raise LeadsOutError
            todo.extendleft(reversed(self._read_link(name)))
        elif todo:
            raise NotADirectoryError
        else:
            self.name = name
            self.found = found

    def _go_back(self) -> None:
        if len(self._fds) == 1:
            raise LeadsOutError
        os.close(self._fds.pop())

    def _read_link(self, name: bytes) -> list[bytes]:
        """Return the steps that a link stands for; an absolute one goes on from the root."""
        target = os.readlink(name, dir_fd=self._fds[-1])
        if not target.startswith(b"/"):
            return target.split(b"/")
        for root in {self._root, os.path.realpath(self._root)}:
            above = os.fsencode(root).rstrip(b"/") + b"/"
            if (target + b"/").startswith(above):
                while len(self._fds) > 1:
                    os.close(self._fds.pop())
                return target[len(above) :].split(b"/")
        raise LeadsOutError

    def beside(self, suffix: bytes) -> os.stat_result | None:
        """Return what is known of a neighbour of the file reached, or None where there is none.

        Links count as none unless they are followed wherever they lead.
        """
        try:
            name = self.name + suffix
            return os.stat(name, dir_fd=self._fds[-1], follow_symlinks=self._follow)
        except OSError:
            return None

    def open(self, suffix: bytes = b"") -> int:
        """Open the file reached, or a neighbour of it, for reading; the caller closes it.

        Raises:
            OSError: It is not there any more, out of reach, or no regular file.
        """
        flags = _READ if self._follow else _READ | os.O_NOFOLLOW
        fd = os.open(self.name + suffix, flags, dir_fd=self._fds[-1])
        if not stat.S_ISREG(os.fstat(fd).st_mode):
            os.close(fd)
            raise FileNotFoundError
        return fd
