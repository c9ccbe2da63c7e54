import datetime as dt
import time

from proxy import clock


def test_utc_now_is_aware_and_now() -> None:
    before = time.time()
    now = clock.utc_now()
    assert now.utcoffset() == dt.timedelta(0)
    assert before - 1 <= now.timestamp() <= time.time() + 1


def test_local_offset_is_that_of_the_instant() -> None:
    for epoch in (0.0, 1_700_000_000.0, 1_720_000_000.0):
        assert clock.local_offset(epoch) == time.localtime(epoch).tm_gmtoff


def test_monotonic_does_not_go_back() -> None:
    assert clock.monotonic() <= clock.monotonic()
    assert clock.wall_time() > 0
