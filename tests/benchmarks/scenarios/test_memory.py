import pytest

from benchmarks.scenarios.memory import Pace


def test_a_transfer_keeps_to_its_rate() -> None:
    pace, now = Pace(size=4000, rate=100.0, stall=0.0), 50.0
    for done in range(0, 4000, 100):
        now += pace.wait_for(100, done, now)
    assert now == pytest.approx(50.0 + 39.0)


def test_it_stalls_once_after_a_quarter() -> None:
    pace = Pace(size=400, rate=100.0, stall=3.0)
    waits = []
    now = 0.0
    for done in range(0, 400, 50):
        waits.append(pace.wait_for(50, done, now))
        now += waits[-1]
    assert waits == pytest.approx([0.0, 0.5, 3.5, 0.5, 0.5, 0.5, 0.5, 0.5])


def test_one_that_is_late_does_not_wait() -> None:
    pace = Pace(size=4000, rate=100.0, stall=0.0)
    pace.wait_for(100, 0, 0.0)
    assert pace.wait_for(100, 100, 9.0) == 0.0
