"""One log's descriptor, and the thread that writes to it.

A disk may be slow or full, and whoever reads the standard output may stop reading: none of that
may hold up the loop. So lines are handed to a thread, which waits for as long as it takes. What
waits with it is bounded; beyond that, lines are dropped and counted.

Loop and thread share no lock. Each of the counts has one writer, and the queue is built for this.
"""

import contextlib
import errno
import os
import select
import stat
from collections.abc import Callable, Iterator
from queue import SimpleQueue
from threading import Event, Thread

from proxy.clock import monotonic

MOST_WAITING = 8 * 1024 * 1024
"""Bytes that may wait for a log that does not flow."""

_RETRY = 1.0  # seconds
_TELL_EVERY = 60.0  # seconds
_PATIENCE = 0.2  # seconds that a write may wait where there is no thread
_ATOMIC = select.PIPE_BUF
_STANDARD = {"stdout": 1, "stderr": 2}

Opener = Callable[[str], int]
"""Opens a log by its path and returns the descriptor. Raises OSError, which names the path."""


def open_log(target: str) -> int:
    """Open a log; a file that is not there is made, for its owner and group alone.

    Links are not followed: who may put one there could else choose what is written to.

    Raises:
        OSError: It cannot be opened.
    """
    # Not blocking: to open a named pipe that nobody reads would never return.
    flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC | os.O_NONBLOCK | os.O_NOCTTY
    try:
        return os.open(target, flags | os.O_NOFOLLOW, 0o640)
    except OSError as error:
        if error.errno != errno.ELOOP:
            raise
        advice = "it is a symbolic link: name the file itself, or stdout or stderr"
        raise OSError(errno.ELOOP, advice, target) from None


class LogWriter:
    """Writes whole lines to standard output, standard error or a file, in the order they came.

    Until `start`, it writes at once and in the caller's thread, and gives up where it would have
    to wait: for a process that forks and so must have no thread.

    Lines of several processes in one file stay whole: a file is opened to append, and to a pipe
    nothing is written in one go that the kernel might cut (pipe(7), PIPE_BUF), unless one line is
    longer than that.

    Attributes:
        target: "stdout", "stderr" or a path.
    """

    def __init__(self, target: str, opener: Opener = open_log) -> None:
        """Open a log.

        Raises:
            OSError: It cannot be opened.
        """
        self.target = target
        self._handle = _STANDARD[target] if target in _STANDARD else opener(target)
        self._queue: SimpleQueue[bytes | None] = SimpleQueue()
        self._thread: Thread | None = None
        self._hurry = Event()
        self._taken = 0  # bytes
        self._done = 0
        self._refused = 0  # lines
        self._lost = 0
        self._told = float("-inf")

    @property
    def waiting(self) -> int:
        """Bytes taken and not written yet."""
        return self._taken - self._done

    @property
    def dropped(self) -> int:
        """Lines that could not be written, ever."""
        return self._refused + self._lost

    @property
    def is_direct(self) -> bool:
        """True while there is no thread."""
        return self._thread is None

    def start(self) -> None:
        """From now on leave the writing to a thread."""
        if self._thread is None:
            self._thread = Thread(target=self._run, name=f"log {self.target}", daemon=True)
            self._thread.start()

    def put(self, lines: bytes, count: int) -> None:
        """Take lines, `count` of them, each with its end. Raises nothing."""
        if self._handle < 0:
            self._refused += count
        elif self._thread is None:
            self._write(lines)
        elif self.waiting and self.waiting + len(lines) > MOST_WAITING:
            self._refused += count
        else:
            self._taken += len(lines)
            self._queue.put(lines)

    def reopen(self, opener: Opener = open_log) -> None:
        """Go on in whatever bears the name now: the file may have been renamed.

        Nothing is lost: the descriptor is exchanged as a whole, and a write under way ends in the
        old file.

        Raises:
            OSError: It cannot be opened; the old one stays.
        """
        if self.target in _STANDARD or self._handle < 0:
            return
        fresh = opener(self.target)
        try:
            os.dup2(fresh, self._handle, inheritable=False)
        finally:
            os.close(fresh)

    def close(self, patience: float = 0.0) -> None:
        """Write what waits, for `patience` seconds at most, and close. Twice is no harm."""
        if self._thread is not None:
            self._queue.put(None)
            self._thread.join(patience)
            if self._thread.is_alive():
                self._hurry.set()
                self._thread.join(_RETRY)
            if self._thread.is_alive():
                return  # stuck in a write, and the descriptor must stay its own
            self._thread = None
        if self.target not in _STANDARD and self._handle >= 0:
            os.close(self._handle)
        self._handle = -1

    def _run(self) -> None:
        while (lines := self._queue.get()) is not None:
            self._write(lines)
            self._done += len(lines)

    def _write(self, lines: bytes) -> None:
        for piece in self._pieces(lines):
            rest = memoryview(piece)
            while rest:
                try:
                    rest = rest[self._written(rest) :]
                except OSError as error:
                    if not self._waited(error):
                        self._lost += bytes(rest).count(b"\n")
                        break

    def _written(self, lines: memoryview) -> int:
        """Write what can be written. Only a thread may block, for pipes that others read."""
        if self._thread is None and not _has_room(self._handle, _PATIENCE):
            raise BlockingIOError
        return os.write(self._handle, lines)

    def _pieces(self, lines: bytes) -> Iterator[bytes]:
        """Cut lines into what may be written in one go."""
        start = 0
        if len(lines) > _ATOMIC and not self._is_file():
            while len(lines) - start > _ATOMIC:
                end = lines.rfind(b"\n", start, start + _ATOMIC) + 1
                end = end or lines.find(b"\n", start) + 1 or len(lines)
                yield lines[start:end]
                start = end
        yield lines[start:]

    def _is_file(self) -> bool:
        try:
            return stat.S_ISREG(os.fstat(self._handle).st_mode)
        except OSError:
            return False

    def _waited(self, error: OSError) -> bool:
        """Wait until a write that failed is worth another try; False to give it up."""
        full = isinstance(error, BlockingIOError)
        if not full:
            self._tell(error)
        if self._thread is None or self._hurry.is_set():
            return False
        if full:
            _has_room(self._handle, _RETRY)
        else:
            self._hurry.wait(_RETRY)
        return True

    def _tell(self, error: OSError) -> None:
        now = monotonic()
        if self.target == "stderr" or now < self._told + _TELL_EVERY:
            return
        self._told = now
        with contextlib.suppress(OSError):  # this was the last resort
            if _has_room(2, 0.0):  # not even a process without a thread waits for it
                os.write(2, f"pyproxy: cannot write to {self.target}: {error.strerror}\n".encode())


def _has_room(handle: int, patience: float) -> bool:
    """Wait until a write would not block, for some seconds; False if it still would."""
    poll = select.poll()
    poll.register(handle, select.POLLOUT)
    return bool(poll.poll(patience * 1000))
