"""Its decisions one by one, with children that are no processes; the rest is in tests/journeys."""

import os
import signal
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from proxy.clock import monotonic
from proxy.net.log_writer import Opener, open_log
from proxy.run.fleet import Kind, State
from proxy.run.link import Message
from proxy.run.signals import SignalPipe
from proxy.run.supervisor import StartError, Supervisor, ended_how
from tests.fakes.house import made_house
from tests.run.test_errands import Told


class Watched:
    """A supervisor, what it has, and what it told."""

    def __init__(self, folder: Path) -> None:
        self.house = made_house(folder)
        self.told = Told()
        self.signals = SignalPipe()
        self.reopened = 0
        for child in list(self.house.fleet.children.values()):
            self.house.dies(child)
        self.house.fleet.due.clear()
        self.house.fleet.backoffs.clear()
        self.supervisor = Supervisor(self.house, self.signals, self.told, 0.0, self._reopen)

    def _reopen(self, opener: Opener) -> None:
        assert opener is open_log, "there is no other user"
        self.reopened += 1

    def settle(self, later: float = 0.0) -> None:
        self.supervisor._settle(monotonic() + later)

    def get_ready(self) -> None:
        self.settle()
        for _ in range(2):
            for child in self.house.fleet.children.values():
                self.house.says(child, {"is": "ready"})
            self.settle()
        for child in self.house.fleet.children.values():
            self.house.says(child, {"is": "ready"})

    def signal(self, number: signal.Signals) -> None:
        os.write(self.signals._write, bytes([number]))
        self.supervisor._take_signals()

    def asks(self, question: str) -> dict[str, object]:
        """The answer to a question of the keeper's."""
        (keeper,) = self.house.fleet.ready(Kind.KEEPER)
        self.house.ends[keeper.pid].send({"ask": question, "id": 1})
        self.supervisor._hear(keeper)
        found = [order["answer"] for order in self.house.orders(keeper) if "reply" in order]
        assert len(found) < 2
        answer = found[0] if found else {}
        assert isinstance(answer, dict)
        return answer

    def orders(self, kind: Kind) -> list[list[Message]]:
        return [
            self.house.orders(child)
            for child in self.house.fleet.children.values()
            if child.kind is kind
        ]

    def die(self, kind: Kind, code: int, count: int = 1) -> None:
        """Have children end, as the supervisor learns of it."""
        chosen = [each for each in self.house.fleet.children.values() if each.kind is kind]
        for child in chosen[:count]:
            self.house.ends.pop(child.pid).close()
            self.supervisor._bury(child, code)


@pytest.fixture
def watched(tmp_path: Path) -> Iterator[Watched]:
    made = Watched(tmp_path)
    yield made
    made.house.close()
    made.told.close()
    made.supervisor._selector.close()
    os.close(made.signals._read)
    os.close(made.signals._write)


def states(watched: Watched, kind: Kind = Kind.WORKER) -> list[State]:
    return [each.state for each in watched.house.fleet.children.values() if each.kind is kind]


def test_the_manager_is_told_once_all_workers_serve_and_then_the_keeper_comes(
    watched: Watched,
) -> None:
    watched.settle()
    assert states(watched) == [State.STARTING] * 2
    first, second = watched.house.fleet.workers()
    watched.house.says(first, {"is": "ready"})
    watched.settle()
    assert watched.told.lines == []
    assert states(watched, Kind.KEEPER) == []
    watched.house.says(second, {"is": "ready"})
    watched.settle()
    assert watched.told.lines == ["READY", "MAINPID", "STATUS"]
    assert states(watched, Kind.KEEPER) == [State.STARTING]
    watched.settle()
    assert watched.told.lines.count("READY") == 1


def test_a_worker_that_cannot_even_start_ends_the_proxy(watched: Watched) -> None:
    watched.settle()
    first, second = watched.house.fleet.workers()
    watched.house.ends[first.pid].send({"is": "failed", "why": "no such cipher"})
    watched.die(Kind.WORKER, 1)
    assert watched.house.orders(second) == [{"do": "close"}]
    watched.die(Kind.WORKER, 0)
    with pytest.raises(StartError, match="failed to start: no such cipher"):
        watched.supervisor.run()


def test_later_the_dead_are_replaced_at_once_and_then_with_patience(watched: Watched) -> None:
    watched.get_ready()
    watched.die(Kind.WORKER, -signal.SIGKILL)
    watched.settle()
    assert sorted(each.value for each in states(watched)) == ["ready", "starting"]
    (young,) = [each for each in watched.house.fleet.workers() if each.state is State.STARTING]
    watched.house.ends.pop(young.pid).close()
    watched.supervisor._bury(young, 1)
    watched.settle()
    assert states(watched) == [State.READY]
    watched.settle(later=1.1)
    assert sorted(each.value for each in states(watched)) == ["ready", "starting"]


def test_the_first_signal_drains_and_the_keeper_goes_last(watched: Watched) -> None:
    watched.get_ready()
    (group,) = watched.house.listening
    watched.signal(signal.SIGTERM)
    assert watched.orders(Kind.WORKER) == [[{"do": "drain", "timeout": 7.0}]] * 2
    assert watched.orders(Kind.KEEPER) == [[]]
    assert [sock.fileno() for sock in group.sockets()] == [-1, -1]
    assert "STOPPING" in watched.told.lines
    watched.die(Kind.WORKER, 0)
    watched.settle()
    assert watched.orders(Kind.KEEPER) == [[]]
    watched.die(Kind.WORKER, 0)
    watched.settle()
    assert [order["do"] for order in watched.orders(Kind.KEEPER)[0]] == ["drain"]
    watched.die(Kind.KEEPER, 0)
    watched.supervisor.run()
    assert states(watched) == []


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGQUIT])
def test_the_second_signal_closes(watched: Watched, number: signal.Signals) -> None:
    watched.get_ready()
    watched.signal(number)
    watched.signal(signal.SIGINT)
    for orders in watched.orders(Kind.WORKER):
        assert [order["do"] for order in orders] == ["drain", "close"]


def test_logs_are_opened_again_everywhere(watched: Watched) -> None:
    watched.get_ready()
    watched.signal(signal.SIGUSR1)
    assert watched.orders(Kind.WORKER) == [[{"do": "reopen"}]] * 2
    assert watched.orders(Kind.KEEPER) == [[{"do": "reopen"}]]
    assert watched.reopened == 1
    assert watched.asks("reopen") == {"ok": True}
    assert watched.reopened == 2


def test_health_is_whether_a_worker_serves(watched: Watched) -> None:
    watched.get_ready()
    assert watched.asks("health")["ok"] is True
    watched.die(Kind.WORKER, 1, count=2)
    assert watched.asks("health")["ok"] is False


def test_questions_of_no_sense_are_not_answered(watched: Watched) -> None:
    watched.get_ready()
    assert watched.asks("fork") == {}
    (keeper,) = watched.house.fleet.ready(Kind.KEEPER)
    watched.house.ends[keeper.pid].send({"ask": "stop", "id": "1"})
    worker = watched.house.fleet.workers()[0]
    watched.house.ends[worker.pid].send({"ask": "stop", "id": 1})
    watched.supervisor._hear(keeper)
    watched.supervisor._hear(worker)
    assert states(watched) == [State.READY] * 2, "nobody was stopped, least of all by a worker"


def test_a_stop_is_answered_before_it_begins(watched: Watched) -> None:
    watched.get_ready()
    assert watched.asks("stop") == {"ok": True, "pid": os.getpid()}
    assert states(watched) == [State.DRAINING] * 2
    assert watched.asks("reload") == {"ok": False, "why": "the proxy is ending"}
    assert watched.asks("health")["ok"] is False


def test_a_child_that_hangs_up_and_lives_on_is_given_a_moment(watched: Watched) -> None:
    watched.get_ready()
    child = watched.house.fleet.workers()[0]
    watched.house.ends.pop(child.pid).close()
    watched.supervisor._hear(child)
    assert child.deaf
    assert next(iter(watched.house.fleet.overdue(monotonic() + 2.0)))[0] is child
    watched.supervisor._bury(child, 0)


def test_the_watchdog_is_fed_as_often_as_it_asks(watched: Watched) -> None:
    watched.supervisor._watchdog = 0.5
    feed: Callable[[float], None] = watched.supervisor._feed_watchdog
    for now in (10.0, 10.2, 10.5, 10.9, 11.0):
        feed(now)
    assert watched.told.lines == ["WATCHDOG"] * 3


@pytest.mark.parametrize(
    ("code", "text"),
    [
        (0, "it ended with exit code 0"),
        (-9, "it was killed by SIGKILL"),
        (-99, "it was killed by signal 99"),
    ],
)
def test_an_end_is_told_in_words(code: int, text: str) -> None:
    assert ended_how(code) == text
