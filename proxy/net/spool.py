"""A queue of bytes between somebody fast and somebody slow: a little memory, then a file.

This is what shields a synchronous application server from slow clients (nginx's proxy_buffering
and proxy_request_buffering): its answer is taken off its hands at its own pace, and a request is
given to it only when it is whole. The file has no name, so that nothing is left behind whatever
happens. Reads and writes go through the page cache and are done in place, as nginx does.
"""

import errno
import os
import tempfile
from collections import deque
from pathlib import Path

MEMORY = 64 * 1024  # bytes of one spool kept in memory
_PIECE = 64 * 1024  # bytes read back at a time
_JOIN = 4 * 1024  # pieces are joined up to this size


class SpoolError(OSError):
    """The temporary file cannot be written: the disk is full, or there is none."""


class BudgetError(SpoolError):
    """All that may be taken is taken; the disk itself has room."""


class SpoolBudget:
    """What all spools of a worker together may take of files and of the disk.

    A client address may open an eighth of the files, so that one alone cannot take the shield
    away from everybody.

    Attributes:
        files: Open now.
        bytes: On the disk now.
    """

    __slots__ = ("_files_of", "bytes", "files", "most_bytes", "most_files")

    def __init__(self, most_files: int = 512, most_bytes: int = 8 << 30) -> None:
        self.most_files = most_files
        self.most_bytes = most_bytes
        self.files = 0
        self.bytes = 0
        self._files_of: dict[str, int] = {}

    @classmethod
    def for_worker(cls, workers: int) -> "SpoolBudget":
        """Return the budget of one of so many workers: half of what the disk has free, shared."""
        found = os.statvfs(_folder())
        return cls(most_bytes=min(8 << 30, found.f_bavail * found.f_frsize // (2 * workers)))

    def open(self, address: str) -> int:
        """Open a file for a client's address.

        Raises:
            BudgetError: There are as many as there may be.
            OSError: It cannot be opened.
        """
        own = self._files_of.get(address, 0)
        if self.files >= self.most_files or own >= max(1, self.most_files // 8):
            raise BudgetError(errno.EMFILE, "as many temporary files as there may be")
        descriptor = _open_unnamed()
        self.files += 1
        self._files_of[address] = own + 1
        return descriptor

    def close(self, address: str, descriptor: int, size: int) -> None:
        """Close a file that `open` gave, of so many bytes."""
        os.close(descriptor)
        self.files -= 1
        self.bytes -= size
        own = self._files_of.pop(address) - 1
        if own:
            self._files_of[address] = own

    def check(self) -> None:
        """Raise BudgetError if no more may be written."""
        if self.bytes >= self.most_bytes:
            raise BudgetError(errno.ENOSPC, "temporary files take as much as they may")


class Spool:
    """Bytes in at one end, out at the other, in order.

    What is in the file always comes before what is in memory, so that a file that cannot be
    written any more (a full disk) costs nothing but memory: the rest simply stays there.

    Attributes:
        size: Bytes in it now.
        total: Bytes ever put in.
    """

    __slots__ = (
        "_address",
        "_budget",
        "_file",
        "_keep",
        "_memory",
        "_read_at",
        "_taken",
        "_write_at",
        "size",
        "total",
    )

    def __init__(self, budget: SpoolBudget, address: str = "", *, keep: bool = False) -> None:
        """Begin empty, for a client's address.

        With `keep`, what was taken out can be had again by `rewind`.
        """
        self._budget = budget
        self._address = address
        self._memory: deque[bytes] = deque()
        self._taken = 0  # pieces of the memory that were taken and are kept
        self._file: int | None = None
        self._read_at = 0
        self._write_at = 0
        self._keep = keep
        self.size = 0
        self.total = 0

    @property
    def file_size(self) -> int:
        """Bytes that the file takes on the disk. It shrinks only when all of it has been read."""
        return self._write_at

    def put(self, data: bytes) -> None:
        """Append bytes.

        Raises:
            SpoolError: They do not fit into memory and cannot be written. They were taken all
                the same, into memory: whoever sends them has to be stopped.
        """
        memory = self._memory
        # Pieces of a few bytes would cost many times their length.
        if len(memory) > self._taken and len(memory[-1]) + len(data) <= _JOIN:
            memory[-1] += data
        else:
            memory.append(data)
        self.size += len(data)
        self.total += len(data)
        if self._file is not None or (self.total if self._keep else self.size) > MEMORY:
            self._spill()

    def _spill(self) -> None:
        """Move what is in memory to the file's end."""
        memory = self._memory
        self._budget.check()
        try:
            if self._file is None:
                self._file = self._budget.open(self._address)
            while memory:
                self._append(self._file, memory[0])
                if self._taken:  # only with `keep`, while the file was not needed yet
                    self._read_at += len(memory[0])
                    self._taken -= 1
                memory.popleft()
        except SpoolError:
            raise
        except OSError as error:
            raise SpoolError(error.errno, f"temporary file: {error.strerror}") from None

    def _append(self, descriptor: int, data: bytes) -> None:
        view = memoryview(data)
        at = self._write_at
        while view:
            written = os.pwrite(descriptor, view, at)
            at += written
            view = view[written:]
        self._budget.bytes += at - self._write_at
        self._write_at = at

    def take(self) -> bytes:
        """Return the next piece, b"" when nothing is left.

        Raises:
            SpoolError: The file cannot be read.
        """
        if self._read_at < self._write_at and self._file is not None:
            data = self._read(self._file)
        elif len(self._memory) <= self._taken:
            return b""
        elif self._keep:
            data = self._memory[self._taken]
            self._taken += 1
        else:
            data = self._memory.popleft()
        self.size -= len(data)
        if not self.size and not self._keep:  # begin again in memory
            self.close()
        return data

    def _read(self, descriptor: int) -> bytes:
        length = min(_PIECE, self._write_at - self._read_at)
        try:
            data = os.pread(descriptor, length, self._read_at)
        except OSError as error:
            raise SpoolError(error.errno, f"temporary file: {error.strerror}") from None
        if not data:  # the file lost bytes that were written to it
            raise SpoolError(errno.EIO, "temporary file cut short")
        self._read_at += len(data)
        return data

    def rewind(self) -> None:
        """Begin again at the first byte, for another try; needs `keep`."""
        self._read_at = 0
        self._taken = 0
        self.size = self.total

    def let_go(self) -> None:
        """Keep what is taken out no longer. What was taken out before is gone, too."""
        self._keep = False
        for _ in range(self._taken):
            self._memory.popleft()
        self._taken = 0

    def close(self) -> None:
        """Let go of the file and of the memory."""
        if self._file is not None:
            self._budget.close(self._address, self._file, self._write_at)
            self._file = None
        self._memory.clear()
        self._taken = 0
        self._read_at = 0
        self._write_at = 0
        self.size = 0


def _folder() -> str:
    """Return where the files are: on a disk rather than in memory where there is a choice."""
    return os.environ.get("TMPDIR") or (
        "/var/tmp" if os.access("/var/tmp", os.W_OK) else tempfile.gettempdir()  # noqa: S108
    )


def _open_unnamed() -> int:
    """Open a file without a name."""
    folder = _folder()
    try:
        return os.open(folder, os.O_TMPFILE | os.O_RDWR | os.O_CLOEXEC, 0o600)
    except (OSError, AttributeError):
        descriptor, path = tempfile.mkstemp(dir=folder)
        Path(path).unlink()
        return descriptor
