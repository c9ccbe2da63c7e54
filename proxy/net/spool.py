"""A queue of bytes between somebody fast and somebody slow: a little memory, then a file.

This is what shields a synchronous application server from slow clients (nginx's proxy_buffering
and proxy_request_buffering): its answer is taken off its hands at its own pace, and a request is
given to it only when it is whole. The file has no name, so that nothing is left behind whatever
happens. Reads and writes go through the page cache and are done in place, as nginx does.
"""

import os
import tempfile
from collections import deque

MEMORY = 64 * 1024  # bytes of one spool kept in memory
_PIECE = 64 * 1024  # bytes read back at a time


class SpoolError(OSError):
    """The temporary file cannot be written: the disk is full, or there is none."""


class Spool:
    """Bytes in at one end, out at the other, in order.

    Attributes:
        size: Bytes in it now.
        total: Bytes ever put in.
    """

    __slots__ = (
        "_file",
        "_keep",
        "_memory",
        "_read_at",
        "_unwritten",
        "_write_at",
        "size",
        "total",
    )

    def __init__(self, *, keep: bool = False) -> None:
        """Begin empty; with `keep`, what was taken out can be had again by `rewind`."""
        self._memory: deque[bytes] = deque()
        self._file: int | None = None
        self._read_at = 0
        self._write_at = 0
        self._keep = keep
        self._unwritten = b""
        self.size = 0
        self.total = 0

    def put(self, data: bytes) -> None:
        """Append bytes.

        Raises:
            SpoolError: They do not fit into memory and cannot be written.
        """
        held = self.total if self._keep else self.size
        if self._file is None and held + len(data) <= MEMORY:
            self._memory.append(data)
        else:
            self._write(data)
        self.size += len(data)
        self.total += len(data)

    def _write(self, data: bytes) -> None:
        try:
            if self._file is None:
                self._file = _open_unnamed()
                for held in self._memory:
                    self._append(self._file, held)
                self._memory.clear()
            self._append(self._file, data)
        except OSError as error:
            raise SpoolError(error.errno, f"temporary file: {error.strerror}") from None

    def _append(self, descriptor: int, data: bytes) -> None:
        view = memoryview(data)
        at = self._write_at
        while view:
            written = os.pwrite(descriptor, view, at)
            at += written
            view = view[written:]
        self._write_at = at

    def keep_in_memory(self, data: bytes) -> None:
        """Append a piece that `put` could not write, after everything else, come what may."""
        self._unwritten += data
        self.size += len(data)
        self.total += len(data)

    def take(self) -> bytes:
        """Return the next piece, b"" when nothing is left."""
        if self._file is not None and self._read_at < self._write_at:
            length = min(_PIECE, self._write_at - self._read_at)
            data = os.pread(self._file, length, self._read_at)
            if not data:  # the file lost bytes that were written to it
                raise SpoolError(0, "temporary file cut short")
            self._read_at += len(data)
            self.size -= len(data)
            if not self.size and not self._keep:  # begin again in memory
                self.close()
            return data
        if self._unwritten and (self._file is not None or not self._memory):
            data, self._unwritten = self._unwritten, b""
            self.size -= len(data)
            return data
        if not self._memory:
            return b""
        if self._keep:
            data = b"".join(self._memory)[self._read_at : self._read_at + _PIECE]
            self._read_at += len(data)
        else:
            data = self._memory.popleft()
        self.size -= len(data)
        return data

    def rewind(self) -> None:
        """Begin again at the first byte, for another try; needs `keep`."""
        self._read_at = 0
        self.size = self.total

    def close(self) -> None:
        """Let go of the file and of the memory."""
        if self._file is not None:
            os.close(self._file)
            self._file = None
        self._memory.clear()
        self._unwritten = b""
        self._read_at = 0
        self._write_at = 0
        self.size = 0


def _open_unnamed() -> int:
    """Open a file without a name, on a disk rather than in memory where there is a choice."""
    folder = os.environ.get("TMPDIR") or (
        "/var/tmp" if os.access("/var/tmp", os.W_OK) else tempfile.gettempdir()  # noqa: S108
    )
    try:
        return os.open(folder, os.O_TMPFILE | os.O_RDWR | os.O_CLOEXEC, 0o600)
    except (OSError, AttributeError):
        descriptor, path = tempfile.mkstemp(dir=folder)
        os.unlink(path)
        return descriptor
