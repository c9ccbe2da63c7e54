import datetime as dt
import locale

import pytest

from proxy.observe.log_time import ISO, LOCAL, LogClock, render_time

EPOCH = 1823176536  # 2027-10-10T13:55:36Z


@pytest.mark.parametrize(
    ("offset", "local", "iso"),
    [
        (0, "10/Oct/2027:13:55:36 +0000", "2027-10-10T13:55:36+00:00"),
        (7200, "10/Oct/2027:15:55:36 +0200", "2027-10-10T15:55:36+02:00"),
        (-12600, "10/Oct/2027:10:25:36 -0330", "2027-10-10T10:25:36-03:30"),
        (45900, "11/Oct/2027:02:40:36 +1245", "2027-10-11T02:40:36+12:45"),
    ],
)
def test_both_forms_stand_at_their_places(offset: int, local: str, iso: str) -> None:
    stamp = render_time(EPOCH + 0.999, offset)
    assert (stamp[LOCAL], stamp[ISO]) == (local, iso)
    assert len(stamp) == ISO.stop


@pytest.mark.parametrize("month", range(1, 13))
def test_months_are_the_english_ones(month: int) -> None:
    at = dt.datetime(2027, month, 3, 4, 5, 6, tzinfo=dt.UTC)
    assert locale.getlocale(locale.LC_TIME)[0] in {None, "C", "en_US"}
    assert render_time(at.timestamp(), 0)[LOCAL] == at.strftime("%d/%b/%Y:%H:%M:%S %z")
    assert render_time(at.timestamp(), 0)[ISO] == at.isoformat()


def test_a_stamp_serves_for_its_second() -> None:
    asked: list[float] = []

    def offset(epoch: float) -> int:
        asked.append(epoch)
        return 0

    clock = LogClock(offset)
    first = clock.at(EPOCH + 0.2)
    assert clock.at(EPOCH) is first
    assert clock.at(EPOCH + 0.999) is first
    assert asked == [EPOCH]
    assert clock.at(EPOCH + 1)[ISO] == "2027-10-10T13:55:37+00:00"
    assert len(asked) == 2


def test_a_clock_set_back_is_followed() -> None:
    clock = LogClock(lambda _: 3600)
    clock.at(EPOCH)
    assert clock.at(EPOCH - 3600)[ISO] == "2027-10-10T13:55:36+01:00"
