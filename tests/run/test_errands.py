import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from proxy.run import checking
from proxy.run.checking import Check
from proxy.run.errands import Ask, Errands, serving
from proxy.run.fleet import Child, Kind
from proxy.run.link import MOST_BYTES, Message
from proxy.run.notify import Notifier
from tests.fakes.house import PIDS, TEXT, FakeHouse, force_of, found_by_check, made_house

OTHER = TEXT.replace("respond: 204", "respond: 404")


class Told(Notifier):
    """Keeps what the service manager would be told."""

    def __init__(self) -> None:
        super().__init__({})
        self.lines: list[str] = []

    def tell(self, **assignments: str | int) -> None:
        self.lines += assignments


@pytest.fixture
def house(tmp_path: Path) -> Iterator[FakeHouse]:
    made = made_house(tmp_path)
    yield made
    made.close()


@pytest.fixture
def told() -> Iterator[Told]:
    made = Told()
    yield made
    made.close()


@pytest.fixture
def errands(house: FakeHouse, told: Told) -> Errands:
    return Errands(house, told, started=1000.0)


def keeper(house: FakeHouse) -> Child:
    (found,) = house.fleet.ready(Kind.KEEPER)
    return found


def prepared(house: FakeHouse, generation: int) -> None:
    for child in house.fleet.workers():
        house.says(child, {"is": "prepared", "generation": generation, "why": ""})


def answers(house: FakeHouse) -> list[Message]:
    return [order for order in house.orders(keeper(house)) if "reply" in order]


def test_a_reload_answers_all_who_asked(
    house: FakeHouse, errands: Errands, told: Told, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found_by_check(monkeypatch, force_of(tmp_path, OTHER))
    errands.reload(Ask(keeper(house), 1))
    errands.reload(None)
    errands.reload(Ask(keeper(house), 2))
    errands.resume()
    assert answers(house) == []
    prepared(house, 2)
    errands.resume()
    outcome = {"ok": True, "generation": 2}
    assert answers(house) == [{"reply": 1, "answer": outcome}, {"reply": 2, "answer": outcome}]
    assert told.lines == ["RELOADING", "MONOTONIC_USEC", "READY", "STATUS"]


def test_who_asks_while_one_is_under_way_gets_the_next(
    house: FakeHouse, errands: Errands, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found_by_check(monkeypatch, force_of(tmp_path, OTHER))
    errands.reload(Ask(keeper(house), 1))
    errands.resume()
    errands.reload(Ask(keeper(house), 2))
    prepared(house, 2)
    errands.resume()
    assert [each["reply"] for each in answers(house)] == [1]
    errands.resume()
    prepared(house, 3)
    errands.resume()
    assert answers(house) == [{"reply": 2, "answer": {"ok": True, "generation": 3}}]


def test_a_failure_is_an_answer_and_the_manager_is_told_that_it_is_over(
    house: FakeHouse, errands: Errands, told: Told, monkeypatch: pytest.MonkeyPatch
) -> None:
    found_by_check(monkeypatch, "proxy.yaml:1:1: no")
    errands.reload(Ask(keeper(house), 1))
    errands.resume()
    outcome = {"ok": False, "why": "proxy.yaml:1:1: no", "configuration": True}
    assert answers(house) == [{"reply": 1, "answer": outcome}]
    assert "READY" in told.lines


def test_a_reload_can_be_given_up(
    house: FakeHouse, errands: Errands, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found_by_check(monkeypatch, force_of(tmp_path, OTHER))
    errands.reload(Ask(keeper(house), 1))
    errands.resume()
    errands.reload(Ask(keeper(house), 2))
    errands.cancel("the proxy is ending")
    assert [each["answer"] for each in answers(house)] == [
        {"ok": False, "why": "the proxy is ending", "configuration": False}
    ] * 2
    errands.cancel("again")
    assert house.force.generation == 1


def test_a_report_waits_for_the_workers(house: FakeHouse, errands: Errands) -> None:
    errands.report(Ask(keeper(house), 1))
    errands.resume()
    errands.report(Ask(keeper(house), 2))
    assert answers(house) == []
    for child in house.fleet.workers():
        house.says(child, {"is": "status", "id": 1, "status": {"requests": child.slot}})
    errands.resume()
    (answer,) = answers(house)
    assert answer["reply"] == 1
    errands.resume()
    for child in house.fleet.workers():
        house.says(child, {"is": "status", "id": 2, "status": {}})
    errands.resume()
    assert [each["reply"] for each in answers(house)] == [2]


def test_an_answer_that_is_too_large_is_replaced_by_one_that_says_so(house: FakeHouse) -> None:
    Ask(keeper(house), 1).answer(ok=True, status="x" * MOST_BYTES)
    (answer,) = answers(house)
    assert answer["answer"] == {
        "ok": False,
        "why": "the answer is too large for the control socket",
    }


def test_the_end_of_a_check_is_the_errands_affair_and_no_other(
    house: FakeHouse, errands: Errands, monkeypatch: pytest.MonkeyPatch
) -> None:
    check = Check(next(PIDS), os.memfd_create("check"))
    monkeypatch.setattr(checking, "start", lambda *_: check)
    errands.reload(Ask(keeper(house), 1))
    errands.resume()
    assert not errands.ended(next(PIDS), 0)
    assert answers(house) == []
    assert errands.ended(check.pid, 1)
    errands.resume()
    (answer,) = answers(house)
    assert "failed (1)" in str(answer["answer"])


def test_a_line_says_what_is_served(house: FakeHouse) -> None:
    assert serving(house) == "serving with 2 workers, configuration 1"
