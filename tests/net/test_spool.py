import errno
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from proxy.net.spool import MEMORY, BudgetError, Spool, SpoolBudget, SpoolError


@pytest.fixture
def budget() -> Iterator[SpoolBudget]:
    """A budget that must have been given back at the end."""
    made = SpoolBudget()
    yield made
    assert (made.files, made.bytes) == (0, 0)


def emptied(one: Spool) -> bytes:
    pieces = []
    while one.size:
        piece = one.take()
        assert piece
        pieces.append(piece)
    assert one.take() == b""
    return b"".join(pieces)


def held(one: Spool) -> int:
    return sum(map(len, one._memory))


def test_a_little_stays_in_memory(budget: SpoolBudget) -> None:
    one = Spool(budget)
    one.put(b"abc")
    one.put(b"def")
    assert (one.size, one.total, one.file_size) == (6, 6, 0)
    assert emptied(one) == b"abcdef"
    one.close()


def test_much_goes_to_a_file_and_comes_back_in_order(budget: SpoolBudget) -> None:
    one = Spool(budget)
    sent = b""
    for number in range(60):
        piece = bytes([number]) * 10_007
        one.put(piece)
        sent += piece
        assert held(one) <= MEMORY
    assert one.file_size == len(sent)
    assert budget.files == 1
    assert emptied(one) == sent
    assert budget.files == 0, "begins again in memory"
    one.put(b"more")
    assert emptied(one) == b"more"
    one.close()


def test_in_and_out_by_turns(budget: SpoolBudget) -> None:
    one = Spool(budget)
    sent = taken = b""
    for number in range(200):
        piece = bytes([number]) * 3000
        one.put(piece)
        sent += piece
        if number % 3:
            taken += one.take()
    assert taken + emptied(one) == sent
    one.close()


@pytest.mark.parametrize("pieces", [3, 40])
def test_what_is_kept_can_be_had_again(budget: SpoolBudget, pieces: int) -> None:
    one = Spool(budget, keep=True)
    sent = b""
    for number in range(pieces):
        one.put(bytes([number]) * 5000)
        sent += bytes([number]) * 5000
    for _ in range(2):
        assert emptied(one) == sent
        one.rewind()
        assert one.size == one.total == len(sent)
    one.take()
    one.rewind()
    assert emptied(one) == sent
    one.close()


def test_tiny_pieces_cost_no_more_than_their_bytes(budget: SpoolBudget) -> None:
    one = Spool(budget, keep=True)
    for _ in range(MEMORY // 2):
        one.put(b"ab")
    assert len(one._memory) <= MEMORY // 2048
    assert emptied(one) == b"ab" * (MEMORY // 2)
    one.close()


class FullDisk:
    """A disk with so much room, for `os.pwrite`."""

    def __init__(self, room: int) -> None:
        self.room = room
        self._pwrite = os.pwrite

    def pwrite(self, descriptor: int, data: memoryview, at: int) -> int:
        if not self.room:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        written = self._pwrite(descriptor, data[: self.room], at)
        self.room -= written
        return written


@pytest.mark.parametrize("keep", [False, True])
@pytest.mark.parametrize("room", [0, 1, 20_000, 60_000, 100_000, 130_000])
def test_a_full_disk_loses_nothing(
    budget: SpoolBudget,
    monkeypatch: pytest.MonkeyPatch,
    room: int,
    keep: bool,  # noqa: FBT001 - a parameter of the test
) -> None:
    disk = FullDisk(room)
    monkeypatch.setattr(os, "pwrite", disk.pwrite)
    one = Spool(budget, keep=keep)
    sent = b""
    failures = 0
    for number in range(6):
        if number == 5:
            disk.room = 1 << 30  # somebody has cleaned up
        piece = bytes([number]) * 30_000
        sent += piece
        try:
            one.put(piece)
        except SpoolError:
            failures += 1
    assert failures
    assert (one.size, one.total) == (len(sent), len(sent))
    assert emptied(one) == sent
    if keep:
        one.rewind()
        assert emptied(one) == sent
    one.close()


def test_no_file_can_be_had(budget: SpoolBudget, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "open", refuse)
    monkeypatch.setattr(tempfile, "mkstemp", refuse)
    one = Spool(budget)
    with pytest.raises(SpoolError, match="Too many open files"):
        one.put(bytes(MEMORY + 1))
    assert emptied(one) == bytes(MEMORY + 1)
    one.close()


def refuse(*_: object, **__: object) -> int:
    raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))


def test_a_file_that_cannot_be_read_back(
    budget: SpoolBudget, monkeypatch: pytest.MonkeyPatch
) -> None:
    one = Spool(budget)
    one.put(bytes(MEMORY + 1))
    monkeypatch.setattr(os, "pread", lambda *_: b"")
    with pytest.raises(SpoolError, match="cut short"):
        one.take()
    monkeypatch.setattr(os, "pread", refuse)
    with pytest.raises(SpoolError, match="temporary file"):
        one.take()
    one.close()


def test_all_spools_share_a_budget() -> None:
    budget = SpoolBudget(most_files=1, most_bytes=200_000)
    one, other = Spool(budget), Spool(budget)
    one.put(bytes(100_000))
    with pytest.raises(SpoolError, match="as many temporary files"):
        other.put(bytes(100_000))
    assert emptied(other) == bytes(100_000)
    one.put(bytes(100_000))
    with pytest.raises(SpoolError, match="as much as they may"):
        one.put(b"x")
    assert emptied(one) == bytes(200_000) + b"x"
    one.close()
    other.close()
    assert (budget.files, budget.bytes) == (0, 0)


def test_the_file_has_no_name(
    budget: SpoolBudget, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    one = Spool(budget)
    one.put(bytes(MEMORY + 1))
    assert one._file is not None
    assert os.fstat(one._file).st_nlink == 0
    assert os.fstat(one._file).st_dev == tmp_path.stat().st_dev
    assert not list(tmp_path.iterdir())
    one.close()


def test_a_file_system_without_nameless_files(
    budget: SpoolBudget, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    real = os.open

    def no_tmpfile(path: str, flags: int, mode: int = 0o777) -> int:
        if flags & os.O_TMPFILE == os.O_TMPFILE:
            raise OSError(errno.EOPNOTSUPP, "no")
        return real(path, flags, mode)

    monkeypatch.setattr(os, "open", no_tmpfile)
    one = Spool(budget)
    one.put(bytes(MEMORY + 1))
    assert not list(tmp_path.iterdir())
    assert emptied(one) == bytes(MEMORY + 1)
    one.close()


def test_closing_twice_is_closing(budget: SpoolBudget) -> None:
    one = Spool(budget)
    one.put(bytes(MEMORY + 1))
    one.close()
    one.close()
    assert one.take() == b""


def test_one_address_cannot_take_all_files() -> None:
    budget = SpoolBudget(most_files=16)
    greedy = [Spool(budget, "192.0.2.1") for _ in range(3)]
    for spool in greedy[:2]:
        spool.put(bytes(MEMORY + 1))
    with pytest.raises(BudgetError):
        greedy[2].put(bytes(MEMORY + 1))
    other = Spool(budget, "192.0.2.2")
    other.put(bytes(MEMORY + 1))
    greedy[0].close()
    greedy[2].put(b"x")
    assert budget.files == 3
    for spool in (*greedy, other):
        spool.close()
    assert (budget.files, budget.bytes) == (0, 0)


def test_the_disk_is_shared_by_the_workers() -> None:
    alone, shared = SpoolBudget.for_worker(1), SpoolBudget.for_worker(1 << 20)
    assert 0 < alone.most_bytes <= 8 << 30
    assert shared.most_bytes < alone.most_bytes
    spool = Spool(SpoolBudget(most_bytes=1))
    spool.put(bytes(MEMORY + 1))
    with pytest.raises(BudgetError):
        spool.put(b"more")
    spool.close()
