import errno
import mmap
import os
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest

from proxy.state import locks
from proxy.state.locks import STRIDE, Lock, RobustMutex, file_locks, make_locks

KINDS: tuple[Callable[[], tuple[Lock, ...]], ...] = (
    lambda: make_locks(memoryview(mmap.mmap(-1, 4 * STRIDE))),
    lambda: file_locks(4),
)
both_kinds = pytest.mark.parametrize("kind", KINDS, ids=["mutex", "file"])


@contextmanager
def held_by_another(lock: Lock) -> Iterator[int]:
    """A process that holds a lock, until it is killed or this one has ended."""
    done, tell = os.pipe()
    ended, end = os.pipe()
    pid = os.fork()
    if pid == 0:
        try:
            os.close(end)
            if lock.take() == 0:
                os.write(tell, b"1")
                os.read(ended, 1)
        finally:
            os._exit(1)
    os.close(tell)
    try:
        assert os.read(done, 1) == b"1"
        yield pid
    finally:
        for each in (done, ended, end):
            os.close(each)
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)


def test_mutexes_are_what_is_made_here() -> None:
    assert all(isinstance(lock, RobustMutex) for lock in KINDS[0]())


@both_kinds
def test_a_free_lock_is_taken_and_given_back(kind: Callable[[], tuple[Lock, ...]]) -> None:
    one, other, *_ = kind()
    assert (one.take(), other.take()) == (0, 0)
    one.give()
    assert one.take() == 0
    one.give()
    with held_by_another(one):
        assert other.give() in {0, None}


@both_kinds
def test_a_held_lock_is_not_taken_by_another_process(
    kind: Callable[[], tuple[Lock, ...]],
) -> None:
    one, other, *_ = kind()
    with held_by_another(one):
        assert one.take() in {errno.EBUSY, errno.EAGAIN, errno.EACCES}
        assert other.take() == 0
        other.give()


@both_kinds
def test_the_lock_of_a_dead_process_is_free(kind: Callable[[], tuple[Lock, ...]]) -> None:
    lock, *_ = kind()
    for _ in range(3):
        with held_by_another(lock):
            assert lock.take() != 0
        code = lock.take()
        assert code == 0 or lock.settle(code)
        lock.give()
        assert lock.take() == 0
        lock.give()


@both_kinds
def test_who_waits_gets_the_lock_when_its_holder_dies(
    kind: Callable[[], tuple[Lock, ...]],
) -> None:
    lock, *_ = kind()
    with held_by_another(lock) as holder:
        killer = os.fork()
        if killer == 0:
            time.sleep(0.05)
            os.kill(holder, signal.SIGKILL)
            os._exit(0)
        assert lock.settle(lock.take())
        lock.give()
        os.waitpid(killer, 0)


def test_a_holder_that_stands_still_is_waited_for_once(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [1000.0]
    monkeypatch.setattr(locks, "monotonic", lambda: now[0])  # long ago: the wait ends at once
    lock, *_ = KINDS[0]()
    assert isinstance(lock, RobustMutex)
    waits = []
    wait = lock._wait

    def counted(*words: object) -> int:
        waits.append(words)
        return wait(*words)

    lock._wait = counted
    with held_by_another(lock) as holder:
        os.kill(holder, signal.SIGSTOP)
        assert not lock.settle(lock.take())
        assert not lock.settle(lock.take())
        assert len(waits) == 1
        now[0] += 61.0
        assert not lock.settle(lock.take())
        assert len(waits) == 2
    code = lock.take()
    assert code == errno.EOWNERDEAD
    assert lock.settle(code)
    lock.give()


def test_a_lock_that_cannot_be_had_is_not_held(monkeypatch: pytest.MonkeyPatch) -> None:
    assert not KINDS[0]()[0].settle(errno.ENOTRECOVERABLE)
    (lock,) = file_locks(1)
    assert not lock.settle(errno.EBADF)

    def fail(*_words: object) -> None:
        raise OSError(errno.ENOLCK, "none left")

    monkeypatch.setattr("proxy.state.locks.fcntl.lockf", fail)
    assert lock.take() == errno.ENOLCK
    assert not lock.settle(errno.EAGAIN)


def test_files_take_the_place_of_mutexes_that_there_are_not(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def none(*_words: object) -> None:
        raise OSError(errno.ENOTSUP, "no robust mutexes")

    monkeypatch.setattr(locks, "RobustMutex", none)
    made = make_locks(memoryview(bytearray(3 * STRIDE)))
    assert [type(lock) for lock in made] == [locks.FileLock] * 3


def test_a_library_that_refuses_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    class Library:
        def __getattr__(self, name: str) -> Callable[..., int]:
            return lambda *_words: errno.ENOTSUP if name.endswith("setrobust") else 0

    monkeypatch.setattr("proxy.state.locks.ctypes.PyDLL", lambda _name: Library())
    with pytest.raises(OSError, match=os.strerror(errno.ENOTSUP)):
        RobustMutex(memoryview(bytearray(STRIDE)))
