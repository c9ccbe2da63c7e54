"""Locks in shared memory that no dead process can keep.

The first choice is the robust mutex of POSIX (pthread_mutexattr_setrobust(3)): where its holder
died, whoever locks it next is told so, declares it consistent and has it. Taking and giving back a
free one costs 0.4 us through ctypes, since neither enters the kernel. Where the C library has none
with a wait that ends (glibc has, since 2.30), byte-range locks of a nameless file take its place,
which the kernel frees with the process: 1.8 us.

Whoever holds one does a microsecond's work and nothing that waits. A holder that was stopped
(SIGSTOP, a debugger, a frozen container) would yet make everybody wait for ever. So nobody waits
for a mutex longer than `PATIENCE`, and then for a minute not at all: to go on without the lock may
let a request too many through, to wait would let none.
"""

import ctypes
import errno
import fcntl
import os
from collections.abc import Callable
from functools import partial
from typing import Protocol

from proxy.clock import monotonic

PATIENCE = 1.0
"""Seconds: much more than a busy machine makes a holder that runs wait for a processor."""

_IMPATIENCE = 60.0
"""Seconds for which a lock that could not be had is tried only, not waited for."""

STRIDE = 64
"""Bytes of memory for each lock: a cache line. A mutex is 40 (x86-64) or 48 (arm64) bytes long."""

_CLOCK_MONOTONIC = 1
_PROCESS_SHARED = _ROBUST = 1


class Lock(Protocol):
    """One lock. A process takes it once at a time, and gives back what it holds soon."""

    def take(self) -> int:
        """Try to take it, and return at once: 0 if it is held now, else what `settle` wants."""

    def give(self) -> object:
        """Give it back. Only for who holds it."""

    def settle(self, code: int) -> bool:
        """Take it in spite of what `take` returned, having waited perhaps. False if that failed."""


class RobustMutex:
    """A mutex that survives its holder. To be made once, before the first fork.

    Who holds it must give it back before the memory goes: the C library keeps a list of what a
    thread holds, in the mutexes themselves.
    """

    __slots__ = ("_consistent", "_impatient", "_memory", "_pointer", "_wait", "give", "take")

    def __init__(self, memory: memoryview) -> None:
        """Make a mutex in `STRIDE` bytes of shared memory.

        Raises:
            AttributeError: The C library has no such thing.
            OSError: It refuses to make one.
        """
        library = ctypes.PyDLL(None)
        self._memory = ctypes.c_char.from_buffer(memory)  # which stays as long as this does
        self._pointer = ctypes.c_void_p(ctypes.addressof(self._memory))
        attributes = ctypes.create_string_buffer(STRIDE)
        for code in (
            library.pthread_mutexattr_init(attributes),
            library.pthread_mutexattr_setpshared(attributes, _PROCESS_SHARED),
            library.pthread_mutexattr_setrobust(attributes, _ROBUST),
            library.pthread_mutex_init(self._pointer, attributes),
        ):
            if code:
                raise OSError(code, os.strerror(code))
        self.take: Callable[[], int] = partial(library.pthread_mutex_trylock, self._pointer)
        self.give: Callable[[], object] = partial(library.pthread_mutex_unlock, self._pointer)
        self._consistent: Callable[[], int] = partial(
            library.pthread_mutex_consistent, self._pointer
        )
        # Through CDLL, so that this process's threads run on meanwhile.
        self._wait: Callable[..., int] = ctypes.CDLL(None).pthread_mutex_clocklock
        self._impatient = 0.0  # until then

    def settle(self, code: int) -> bool:
        """See `Lock`."""
        if code == errno.EBUSY:
            now = monotonic()
            if now < self._impatient:
                return False
            end = now + PATIENCE
            until = (ctypes.c_long * 2)(int(end), int(end % 1.0 * 1e9))  # struct timespec
            code = self._wait(self._pointer, _CLOCK_MONOTONIC, until)
            if code == errno.ETIMEDOUT:
                self._impatient = monotonic() + _IMPATIENCE
        if code == errno.EOWNERDEAD:  # ours now; what it guards is whole at any moment
            code = self._consistent()
        return code == 0


class FileLock:
    """A byte of a file, locked with fcntl(2). The kernel frees it with the process."""

    __slots__ = ("_byte", "_file", "give", "take")

    def __init__(self, file: int, byte: int) -> None:
        """Take an open file that every process inherits, and keeps open as long as it locks."""
        self._file = file
        self._byte = byte
        self.take: Callable[[], int] = self._try
        self.give: Callable[[], object] = partial(fcntl.lockf, file, fcntl.LOCK_UN, 1, byte)

    def _try(self) -> int:
        try:
            fcntl.lockf(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB, 1, self._byte)
        except OSError as error:
            return error.errno or errno.EIO
        return 0

    def settle(self, code: int) -> bool:
        """See `Lock`. Waits for as long as it takes."""
        if code not in {errno.EACCES, errno.EAGAIN}:
            return False
        try:
            fcntl.lockf(self._file, fcntl.LOCK_EX, 1, self._byte)
        except OSError:
            return False
        return True


def make_locks(memory: memoryview) -> tuple[Lock, ...]:
    """Return a lock for each `STRIDE` bytes of shared memory: the best kind there is.

    To be called once, before the first fork.

    Raises:
        OSError: There is not even a file to be had.
    """
    places = range(0, len(memory), STRIDE)
    try:
        return tuple(RobustMutex(memory[at : at + STRIDE]) for at in places)
    except (AttributeError, OSError):
        return file_locks(len(places))


def file_locks(count: int) -> tuple[Lock, ...]:
    """Return so many locks that are bytes of one file without a name.

    Raises:
        OSError: The file cannot be made.
    """
    file = os.memfd_create("pyproxy-locks", os.MFD_CLOEXEC)
    return tuple(FileLock(file, byte) for byte in range(count))
