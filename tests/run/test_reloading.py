import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from proxy.run import checking, reloading
from proxy.run.checking import Check
from proxy.run.fleet import Kind, State
from proxy.run.loading import unpickled
from proxy.run.reloading import Reload, ReloadError
from tests.fakes.house import PIDS, TEXT, FakeHouse, force_of, found_by_check, made_house

OTHER = TEXT.replace("respond: 204", "respond: 404")
MORE = TEXT.replace("workers: 2", "workers: 3")


@pytest.fixture
def house(tmp_path: Path) -> Iterator[FakeHouse]:
    made = made_house(tmp_path)
    yield made
    made.close()


def pids(house: FakeHouse, state: State) -> list[int]:
    return [child.pid for child in house.fleet.workers() if child.state is state]


def test_a_swap_is_prepared_by_all_and_then_done_by_all(
    house: FakeHouse, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    new = force_of(tmp_path, OTHER)
    found_by_check(monkeypatch, new)
    first, second = house.fleet.workers()
    (keeper,) = house.fleet.ready(Kind.KEEPER)
    steps = Reload(house).steps()
    next(steps)
    for child in (first, second):
        (order,) = house.orders(child)
        assert (order["do"], order["generation"]) == ("prepare", 2)
        assert isinstance(order["content"], list)
        assert [unpickled(each) for each in order["content"]] == [new.loaded]
    house.says(first, {"is": "prepared", "generation": 2, "why": ""})
    next(steps)
    assert house.orders(first) == [], "not before the second one"
    assert house.force.generation == 1
    house.says(second, {"is": "prepared", "generation": 2, "why": ""})
    with pytest.raises(StopIteration):
        next(steps)
    commit = {"do": "commit", "generation": 2}
    assert house.orders(first) == house.orders(second) == [commit]
    assert house.orders(keeper)[0]["do"] == "adopt"
    assert house.force.generation == first.generation == keeper.generation == 2


def test_one_refusal_is_enough(
    house: FakeHouse, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found_by_check(monkeypatch, force_of(tmp_path, OTHER))
    first, second = house.fleet.workers()
    steps = Reload(house).steps()
    next(steps)
    house.says(first, {"is": "prepared", "generation": 2, "why": ""})
    house.says(second, {"is": "prepared", "generation": 2, "why": "no such cipher"})
    with pytest.raises(ReloadError, match="no such cipher"):
        next(steps)
    assert [order["do"] for order in house.orders(first)] == ["prepare", "abandon"]
    assert house.force.generation == first.generation == 1


def test_a_worker_that_dies_of_it_refuses_it(
    house: FakeHouse, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found_by_check(monkeypatch, force_of(tmp_path, OTHER))
    steps = Reload(house).steps()
    next(steps)
    house.dies(house.fleet.workers()[0])
    with pytest.raises(ReloadError, match="ended while it prepared"):
        next(steps)


def test_a_worker_has_its_time_and_no_more(
    house: FakeHouse, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found_by_check(monkeypatch, force_of(tmp_path, OTHER))
    monkeypatch.setattr(reloading, "PREPARE_LIMIT", -1.0)
    with pytest.raises(ReloadError, match="in time"):
        next(Reload(house).steps())


def test_an_answer_to_an_earlier_reload_does_not_count(
    house: FakeHouse, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found_by_check(monkeypatch, force_of(tmp_path, OTHER))
    steps = Reload(house).steps()
    next(steps)
    steps.close()
    workers = house.fleet.workers()
    for child in workers:
        house.says(child, {"is": "prepared", "generation": 2, "why": ""})
    again = Reload(house).steps()
    next(again)
    assert house.force.generation == 1
    for child in workers:
        house.says(child, {"is": "prepared", "generation": 3, "why": ""})
    with pytest.raises(StopIteration):
        next(again)
    assert house.force.generation == 3


def test_who_came_in_between_is_replaced(
    house: FakeHouse, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found_by_check(monkeypatch, force_of(tmp_path, OTHER))
    first, second = house.fleet.workers()
    house.dies(second)
    steps = Reload(house).steps()
    next(steps)
    late = house.start_worker(1, house.force, house.listening, house.fleet.free_seat())
    house.says(late, {"is": "ready"})
    starting = house.start_worker(2, house.force, house.listening[:0], house.fleet.free_seat())
    house.says(first, {"is": "prepared", "generation": 2, "why": ""})
    with pytest.raises(StopIteration):
        next(steps)
    assert house.orders(late) == [{"do": "drain", "timeout": 7.0}]
    assert starting.killed_for == "was starting with the old configuration"
    assert house.fleet.ready() == [first]


def test_new_workers_serve_before_the_old_ones_stop(
    house: FakeHouse, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found_by_check(monkeypatch, force_of(tmp_path, MORE))
    old = pids(house, State.READY)
    seats = {child.seat for child in house.fleet.workers()}
    steps = Reload(house).steps()
    for number in range(3):
        next(steps)
        (child,) = [each for each in house.fleet.workers() if each.state is State.STARTING]
        assert (child.slot, child.generation) == (number, 2)
        assert child.seat not in seats
        assert all(house.orders(each) == [] for each in house.fleet.workers())
        house.says(child, {"is": "ready"})
    with pytest.raises(StopIteration):
        next(steps)
    assert pids(house, State.DRAINING) == old
    for child in house.fleet.workers():
        drained = [{"do": "drain", "timeout": 7.0}] if child.pid in old else []
        assert house.orders(child) == drained
    assert house.force.workers == 3
    assert [len(group.slots) for group in house.listening] == [3]


def test_a_new_worker_that_fails_takes_the_others_with_it(
    house: FakeHouse, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found_by_check(monkeypatch, force_of(tmp_path, MORE))
    old = pids(house, State.READY)
    steps = Reload(house).steps()
    next(steps)
    first = house.fleet.children[max(house.fleet.children)]
    house.says(first, {"is": "ready"})
    next(steps)
    second = house.fleet.children[max(house.fleet.children)]
    house.says(second, {"is": "failed", "why": "no memory"})
    house.dies(second)
    with pytest.raises(ReloadError, match="failed to start: no memory"):
        next(steps)
    assert house.orders(first) == [{"do": "close"}]
    assert pids(house, State.READY) == old
    assert house.force.workers == 2
    assert [len(group.slots) for group in house.listening] == [2]


def test_sockets_come_and_go_with_the_addresses(
    house: FakeHouse, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept, gone = TEXT, TEXT.replace("127.0.0.1:0", "127.0.0.2:0")
    found_by_check(monkeypatch, force_of(tmp_path, gone))
    (before,) = house.listening
    steps = Reload(house).steps()
    assert before.sockets()[0].fileno() != -1
    for _ in steps:
        for child in house.fleet.workers():
            house.says(child, {"is": "ready"})
    (after,) = house.listening
    assert after.addresses()[0].startswith("127.0.0.2:")
    assert [sock.fileno() for sock in before.sockets()] == [-1, -1]
    assert kept != gone


def test_who_drains_makes_room_for_a_third_configuration(
    house: FakeHouse, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for child in house.fleet.workers():
        child.state = State.DRAINING
    while house.fleet.free_seat() >= 0:
        child = house.start_worker(0, house.force, [], house.fleet.free_seat())
        child.state = State.DRAINING
    found_by_check(monkeypatch, force_of(tmp_path, MORE))
    steps = Reload(house).steps()
    next(steps)
    killed = [child for child in house.fleet.workers() if child.killed_for]
    assert len(killed) == 1
    assert State.STARTING not in {child.state for child in house.fleet.workers()}
    for child in house.fleet.workers()[:3]:
        house.dies(child)
    next(steps)
    assert State.STARTING in {child.state for child in house.fleet.workers()}
    steps.close()


def test_more_workers_than_the_shared_memory_is_for_take_a_restart(
    house: FakeHouse, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found_by_check(monkeypatch, force_of(tmp_path, TEXT.replace("workers: 2", "workers: 5")))
    with pytest.raises(ReloadError, match="take a restart"):
        next(Reload(house).steps())


def test_a_wrong_file_is_its_authors_fault(
    house: FakeHouse, monkeypatch: pytest.MonkeyPatch
) -> None:
    found_by_check(monkeypatch, "proxy.yaml:1:1: no")
    with pytest.raises(ReloadError, match=r"proxy\.yaml:1:1: no") as told:
        next(Reload(house).steps())
    assert told.value.configuration


def test_another_state_folder_takes_a_restart(
    house: FakeHouse, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found_by_check(monkeypatch, force_of(tmp_path, TEXT.replace("./state", "./other")))
    with pytest.raises(ReloadError, match="restart it"):
        next(Reload(house).steps())


def test_a_check_is_waited_for_but_not_for_ever(
    house: FakeHouse, monkeypatch: pytest.MonkeyPatch
) -> None:
    checks = [Check(next(PIDS), os.memfd_create("check")) for _ in range(2)]
    monkeypatch.setattr(checking, "start", lambda *_: checks.pop(0))
    check = checks[0]
    reload = Reload(house)
    steps = reload.steps()
    next(steps)
    next(steps)
    running = reload.check
    assert running is check
    steps.close()
    assert reload.check is None
    monkeypatch.setattr(checking, "CHECK_LIMIT", 0.0)
    late = Reload(house).steps()
    with pytest.raises(ReloadError, match="longer than"):
        next(late)
    with pytest.raises(OSError, match="Bad file descriptor"):
        os.fstat(check.handle)
