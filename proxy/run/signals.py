"""Signals as something to wait for: they are read from a pipe, one at a time, in their order."""

import contextlib
import os
import signal
from collections.abc import Iterator

HANDLED = (
    signal.SIGCHLD,
    signal.SIGHUP,
    signal.SIGINT,
    signal.SIGQUIT,
    signal.SIGTERM,
    signal.SIGUSR1,
)


def _note(_number: int, _frame: object) -> None:
    """Do nothing: the number is in the pipe, and any handler at all keeps it coming."""


class SignalPipe:
    """Turns signals into bytes of a pipe, so that waiting for them needs no handler and no race."""

    def __init__(self) -> None:
        self._read, self._write = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)

    def fileno(self) -> int:
        """Return the descriptor, to wait on."""
        return self._read

    def install(self) -> None:
        """Begin to take the signals in HANDLED."""
        signal.set_wakeup_fd(self._write, warn_on_full_buffer=False)
        for number in HANDLED:
            signal.signal(number, _note)
        signal.signal(signal.SIGPIPE, signal.SIG_IGN)

    def read(self) -> Iterator[signal.Signals]:
        """Yield what came since the last time."""
        with contextlib.suppress(BlockingIOError):
            while data := os.read(self._read, 512):
                yield from map(signal.Signals, data)

    def leave_to_child(self) -> None:
        """Undo everything in a child that was just forked with signals held back.

        SIGINT and SIGHUP, which a terminal sends to every process of a group, are the
        supervisor's to interpret. SIGUSR1 would kill a child that is not ready for it yet.
        """
        signal.set_wakeup_fd(-1)
        for number in HANDLED:
            ignored = number in {signal.SIGHUP, signal.SIGINT, signal.SIGUSR1}
            signal.signal(number, signal.SIG_IGN if ignored else signal.SIG_DFL)
        os.close(self._read)
        os.close(self._write)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, HANDLED)


@contextlib.contextmanager
def held_back() -> Iterator[None]:
    """Hold back the signals in HANDLED: a child is to get none before it says what they mean."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, HANDLED)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
