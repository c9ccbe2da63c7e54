import errno
import os
from collections.abc import Iterator

import pytest

from proxy.exchange.exchange import Exchange
from proxy.net.request_body import RequestBody
from proxy.net.spool import MEMORY, SpoolBudget, SpoolError
from tests.fakes.relay_ends import FakeClientStream, FakeUpstream, between

PIECE = bytes(range(256)) * 64  # 16 KB


@pytest.fixture
def budget() -> Iterator[SpoolBudget]:
    """A budget that must have been given back at the end."""
    made = SpoolBudget()
    yield made
    assert (made.files, made.bytes) == (0, 0)


class Sent:
    """A request's body between its two ends."""

    def __init__(self, budget: SpoolBudget, *, kept: bool) -> None:
        self.stream = FakeClientStream()
        self.exchange: Exchange = between(self.stream)
        self.body = RequestBody(self.exchange, budget, kept=kept)
        self.upstream = FakeUpstream()


def pieces(count: int) -> list[bytes]:
    return [b"%5d" % number + PIECE for number in range(count)]


# Kept until it is whole.


@pytest.mark.parametrize("count", [1, 3, 40])
def test_a_kept_body_goes_with_its_length(budget: SpoolBudget, count: int) -> None:
    sent = Sent(budget, kept=True)
    for piece in pieces(count):
        assert not sent.body.received(piece)
    assert not sent.stream.paused(), "the client is never held up"
    sent.body.ended(b"")
    content = b"".join(pieces(count))
    sent.body.send_to(sent.upstream)
    assert sent.upstream.told == [("head", len(content)), ("end", b"")]
    assert sent.upstream.body == content
    sent.body.close()


@pytest.mark.parametrize("count", [1, 3, 40])
@pytest.mark.parametrize("room", [1, 2, 1000])
def test_a_kept_body_can_be_sent_again(budget: SpoolBudget, count: int, room: int) -> None:
    sent = Sent(budget, kept=True)
    for piece in pieces(count):
        sent.body.received(piece)
    sent.body.ended(b"")
    for _ in range(2):  # servers that die in the middle, or at its end
        dying = FakeUpstream()
        dying.room = room
        sent.body.send_to(dying)
        assert sent.body.replayable
        sent.body.detach()
        sent.body.pump()  # what the dead one still says changes nothing
    sent.body.send_to(sent.upstream)
    content = b"".join(pieces(count))
    assert sent.upstream.body == content
    assert sent.upstream.told == [("head", len(content)), ("end", b"")]
    sent.body.close()


def test_a_kept_body_goes_at_the_upstreams_pace(budget: SpoolBudget) -> None:
    sent = Sent(budget, kept=True)
    for piece in pieces(20):
        sent.body.received(piece)
    sent.body.ended(b"")
    sent.upstream.room = 1
    sent.body.send_to(sent.upstream)
    turns = 1
    while ("end", b"") not in sent.upstream.told:
        assert sent.upstream.writing_paused
        at = len(sent.upstream.body)
        sent.body.pump()
        assert len(sent.upstream.body) == at, "it was asked to wait"
        sent.body.upstream_full()
        assert not sent.stream.paused(), "the client has nothing left to send"
        sent.upstream.writing_paused = False
        sent.body.pump()
        turns += 1
    assert turns > 4
    assert sent.upstream.body == b"".join(pieces(20))
    sent.body.close()


def test_a_slow_upstream_does_not_stop_a_body_that_is_kept(budget: SpoolBudget) -> None:
    sent = Sent(budget, kept=True)
    sent.body.received(PIECE)
    sent.body.upstream_full()
    assert not sent.stream.paused()
    sent.body.close()


# Streamed.


@pytest.mark.parametrize("trailers", [b"", b"X-Sum: 1\r\n"])
def test_a_streamed_body_goes_as_it_comes(budget: SpoolBudget, trailers: bytes) -> None:
    sent = Sent(budget, kept=False)
    sent.body.send_to(sent.upstream)
    assert sent.upstream.told == [("head", None)]
    for number, piece in enumerate(pieces(20), 1):
        assert not sent.body.received(piece)
        assert sent.upstream.body == b"".join(pieces(number))
    sent.body.ended(trailers)
    assert sent.upstream.told == [("head", None), ("end", trailers)]
    assert budget.files == 0
    sent.body.close()


def test_what_comes_before_there_is_a_connection_waits(budget: SpoolBudget) -> None:
    sent = Sent(budget, kept=False)
    given = pieces(8)
    held = 0
    while not sent.stream.paused():
        sent.body.received(given[held])
        held += 1
    assert MEMORY <= held * len(given[0]) < MEMORY + 2 * len(given[0])
    seen = [sent.body.replayable]
    sent.body.send_to(sent.upstream)
    assert not sent.stream.paused()
    assert sent.upstream.body == b"".join(given[:held])
    assert [*seen, sent.body.replayable] == [True, False]
    sent.body.ended(b"")
    assert sent.upstream.told[-1] == ("end", b"")
    sent.body.close()


def test_what_waits_goes_before_what_comes(budget: SpoolBudget) -> None:
    sent = Sent(budget, kept=False)
    for piece in pieces(3):
        sent.body.received(piece)
    sent.upstream.room = 1
    sent.body.send_to(sent.upstream)
    sent.upstream.room = 100
    sent.upstream.writing_paused = False  # and its word of that is still on the way
    sent.body.received(b"last")
    sent.body.pump()
    assert sent.upstream.body == b"".join(pieces(3)) + b"last"
    sent.body.close()


def test_a_body_that_was_whole_before_there_was_a_connection(budget: SpoolBudget) -> None:
    sent = Sent(budget, kept=False)
    sent.body.received(b"all")
    sent.body.ended(b"X: 1\r\n")
    sent.body.send_to(sent.upstream)
    assert sent.upstream.told == [("head", None), ("end", b"X: 1\r\n")]
    assert sent.upstream.body == b"all"
    sent.body.close()


def test_a_slow_upstream_stops_the_client(budget: SpoolBudget) -> None:
    sent = Sent(budget, kept=False)
    sent.body.send_to(sent.upstream)
    sent.upstream.room = 2
    first, second, third = pieces(3)
    sent.body.received(first)
    seen = [sent.stream.paused()]
    sent.body.received(second)
    seen.append(sent.stream.paused())
    sent.body.pump()
    seen.append(sent.stream.paused())
    sent.upstream.writing_paused = False
    sent.body.pump()
    assert [*seen, sent.stream.paused()] == [False, True, True, False]
    sent.body.received(third)
    assert sent.upstream.body == first + second + third
    sent.body.close()


def test_an_upstream_that_fills_up_by_itself_stops_the_client(budget: SpoolBudget) -> None:
    sent = Sent(budget, kept=False)
    sent.body.send_to(sent.upstream)
    sent.body.upstream_full()
    assert sent.stream.paused()
    sent.body.close()


def test_the_end_waits_for_a_slow_upstream(budget: SpoolBudget) -> None:
    sent = Sent(budget, kept=False)
    sent.body.send_to(sent.upstream)
    sent.upstream.room = 1
    sent.body.received(PIECE)
    sent.body.ended(b"")
    assert sent.upstream.told == [("head", None)]
    sent.upstream.writing_paused = False
    sent.body.pump()
    assert sent.upstream.told == [("head", None), ("end", b"")]
    sent.body.pump()
    assert len(sent.upstream.told) == 2, "a body ends once"
    sent.body.close()


def test_a_streamed_body_is_replayable_until_it_is_sent(budget: SpoolBudget) -> None:
    sent = Sent(budget, kept=False)
    sent.body.send_to(sent.upstream)
    seen = [sent.body.replayable]
    sent.body.detach()
    sent.body.received(b"late")  # while the next server is looked for
    other = FakeUpstream()
    sent.body.send_to(other)
    assert (sent.upstream.body, other.body) == (b"", b"late")
    assert [*seen, sent.body.replayable] == [True, False]
    sent.body.close()


# A full disk.


def full(*_: object) -> int:
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


@pytest.mark.parametrize("written", [0, 3, 7])
def test_a_full_disk_makes_a_stream_of_a_kept_body(
    budget: SpoolBudget, monkeypatch: pytest.MonkeyPatch, written: int
) -> None:
    pwrite, left = os.pwrite, written

    def fills(descriptor: int, data: bytes, at: int) -> int:
        nonlocal left
        left -= 1
        return full() if left < 0 else pwrite(descriptor, data, at)

    monkeypatch.setattr(os, "pwrite", fills)
    sent = Sent(budget, kept=True)
    given = iter(pieces(20))
    taken = []
    streams = False
    while not streams:
        assert not sent.stream.paused()
        taken.append(next(given))
        streams = sent.body.received(taken[-1])
    assert sent.stream.paused(), "until there is somebody to take it"
    assert not sent.body.kept
    assert isinstance(sent.exchange.error, SpoolError)
    sent.body.send_to(sent.upstream)
    assert not sent.stream.paused()
    for piece in given:
        assert not sent.body.received(piece)
    sent.body.ended(b"")
    assert sent.upstream.told == [("head", None), ("end", b"")]
    assert sent.upstream.body == b"".join(pieces(20))
    assert not sent.body.replayable
    assert not sent.body._spool._memory, "what is sent is kept no longer"
    sent.body.close()


def test_what_comes_after_the_disk_was_full_asks_for_nobody_again(
    budget: SpoolBudget, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "pwrite", full)
    sent = Sent(budget, kept=True)
    # A read's worth may be on its way when the client is stopped.
    told = [sent.body.received(piece) for piece in pieces(8)]
    assert told.count(True) == 1
    sent.body.ended(b"")
    sent.body.send_to(sent.upstream)
    assert sent.upstream.body == b"".join(pieces(8))
    sent.body.close()


def test_what_cannot_be_read_back_is_an_error(
    budget: SpoolBudget, monkeypatch: pytest.MonkeyPatch
) -> None:
    sent = Sent(budget, kept=True)
    for piece in pieces(8):
        sent.body.received(piece)
    sent.body.ended(b"")
    monkeypatch.setattr(os, "pread", full)
    with pytest.raises(SpoolError):
        sent.body.send_to(sent.upstream)
    assert ("end", b"") not in sent.upstream.told
    sent.body.close()


def test_closing_it_forgets_the_upstream(budget: SpoolBudget) -> None:
    sent = Sent(budget, kept=False)
    sent.upstream.room = 1
    sent.body.send_to(sent.upstream)
    sent.body.received(PIECE)
    sent.body.close()
    sent.upstream.writing_paused = False
    sent.body.pump()
    sent.body.ended(b"")
    assert sent.upstream.told == [("head", None)]
