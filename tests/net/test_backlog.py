import errno
import os
from collections.abc import Iterator

import pytest

from proxy.net import backlog
from proxy.net.backlog import Backlog
from proxy.net.spool import MEMORY, SpoolBudget, SpoolError
from tests.fakes.exchanges import looked_at


@pytest.fixture
def budget() -> Iterator[SpoolBudget]:
    """A budget that must have been given back at the end."""
    made = SpoolBudget()
    yield made
    assert (made.files, made.bytes) == (0, 0)


def pieces(count: int) -> list[bytes]:
    return [b"%5d" % number + bytes(10_000) for number in range(count)]


def emptied(one: Backlog) -> bytes:
    content = b""
    while data := one.take():
        content += data
    return content


@pytest.mark.parametrize("count", [1, 5, 50])
def test_what_goes_in_comes_out_in_order(budget: SpoolBudget, count: int) -> None:
    one = Backlog(looked_at(), budget, keep=True)
    for piece in pieces(count):
        one.put(piece)
        assert not one.full
    assert budget.files == (count * 10_005 > MEMORY)
    assert emptied(one) == b"".join(pieces(count))
    one.close()


def test_in_and_out_by_turns(budget: SpoolBudget) -> None:
    one = Backlog(looked_at(), budget, keep=True)
    out = b""
    for number, piece in enumerate(pieces(60)):
        one.put(piece)
        if number % 3:
            out += one.take()
    assert out + emptied(one) == b"".join(pieces(60))
    one.close()


def test_an_answer_that_streams_is_to_be_stopped_at_once(budget: SpoolBudget) -> None:
    one = Backlog(looked_at(), budget, keep=False)
    assert one.full
    one.put(b"on its way already")
    assert emptied(one) == b"on its way already"
    one.close()


def test_there_is_a_bound_to_what_is_kept(
    budget: SpoolBudget, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(backlog, "_MOST", 200_000)
    one = Backlog(looked_at(), budget, keep=True)
    given = iter(pieces(50))
    content = b""
    while not one.full:
        piece = next(given)
        content += piece
        one.put(piece)
    assert 200_000 < len(content) < 220_000
    assert emptied(one) == content
    one.close()


def test_a_full_disk_stops_the_upstream_and_loses_nothing(
    budget: SpoolBudget, monkeypatch: pytest.MonkeyPatch
) -> None:
    exchange = looked_at()
    one = Backlog(exchange, budget, keep=True)
    given = iter(pieces(40))
    content = b""

    def put() -> None:
        nonlocal content
        piece = next(given)
        content += piece
        one.put(piece)

    for _ in range(20):
        put()
    assert [one.full] == [False]

    def full(*_: object) -> int:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "pwrite", full)
    while not one.full:
        put()
    assert isinstance(exchange.error, SpoolError)
    assert exchange.error.errno == errno.ENOSPC
    put()  # what was read before the upstream could be stopped
    assert emptied(one) == content
    one.close()


def test_the_workers_budget_is_a_full_disk(budget: SpoolBudget) -> None:
    budget.most_files = 0
    exchange = looked_at()
    one = Backlog(exchange, budget, keep=True)
    for piece in pieces(10):
        one.put(piece)
    assert one.full
    assert isinstance(exchange.error, SpoolError)
    assert emptied(one) == b"".join(pieces(10))
    one.close()


def test_what_cannot_be_read_back_is_an_error(
    budget: SpoolBudget, monkeypatch: pytest.MonkeyPatch
) -> None:
    one = Backlog(looked_at(), budget, keep=True)
    for piece in pieces(10):
        one.put(piece)
    monkeypatch.setattr(os, "pread", lambda *_: b"")
    with pytest.raises(SpoolError, match="cut short"):
        one.take()
    one.close()
