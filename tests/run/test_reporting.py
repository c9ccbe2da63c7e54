import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from proxy.run import reporting
from proxy.run.reporting import gathered
from tests.fakes.house import FakeHouse, made_house


@pytest.fixture
def house(tmp_path: Path) -> Iterator[FakeHouse]:
    made = made_house(tmp_path)
    yield made
    made.close()


def test_a_report_has_everything_in_one_place(house: FakeHouse) -> None:
    first, second = house.fleet.workers()
    steps = gathered(house, 5, started=0.0)
    next(steps)
    assert house.orders(first) == [{"do": "status", "id": 5}]
    house.says(first, {"is": "status", "id": 5, "status": {"requests": 3}})
    house.says(second, {"is": "status", "id": 4, "status": {"requests": 1}})  # an old answer
    next(steps)
    house.says(second, {"is": "status", "id": 5, "status": {"requests": 4}})
    with pytest.raises(StopIteration) as end:
        next(steps)
    report = end.value.value
    assert report["pid"] == os.getpid()
    assert report["configuration"]["generation"] == 1
    assert report["configuration"]["path"] == house.path
    assert report["wanted_workers"] == 2
    assert report["totals"]["requests"] == 0
    assert [each["figures"] for each in report["workers"]] == [{"requests": 3}, {"requests": 4}]
    assert [each["pid"] for each in report["workers"]] == [first.pid, second.pid]
    (address,) = report["listening"]
    assert address["address"].startswith("127.0.0.1:")
    assert address["tls"] is False


def test_who_does_not_answer_is_shown_without_figures(
    house: FakeHouse, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reporting, "GATHER_LIMIT", -1.0)
    with pytest.raises(StopIteration) as end:
        next(gathered(house, 5, started=0.0))
    assert [each["figures"] for each in end.value.value["workers"]] == [{}, {}]


def test_the_dead_are_not_waited_for(house: FakeHouse) -> None:
    steps = gathered(house, 5, started=0.0)
    next(steps)
    for child in house.fleet.workers():
        house.dies(child)
    with pytest.raises(StopIteration) as end:
        next(steps)
    assert end.value.value["workers"] == []
