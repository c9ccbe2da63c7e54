"""The time in a log line: rendered once a second, in both forms that formats ask for."""

import datetime as dt
from collections.abc import Callable

# Not strftime: its month names follow the locale.
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")

LOCAL = slice(0, 26)
"""The part of a stamp that is nginx's $time_local: "10/Oct/2027:13:55:36 +0200"."""

ISO = slice(27, 52)
"""The part of a stamp that is $time_iso8601: "2027-10-10T13:55:36+02:00"."""


def render_time(epoch: float, utc_offset: int) -> str:
    """Return the stamp of a second: both forms, each at its fixed place.

    Args:
        epoch: Seconds since 1970; what is beyond the whole second is cut off.
        utc_offset: Seconds that local time is ahead of UTC.
    """
    zone = dt.timezone(dt.timedelta(seconds=utc_offset))
    at = dt.datetime.fromtimestamp(int(epoch), zone)
    sign = "-" if utc_offset < 0 else "+"
    hours, minutes = divmod(abs(utc_offset) // 60, 60)
    clock = f"{at.hour:02}:{at.minute:02}:{at.second:02}"
    return (
        f"{at.day:02}/{_MONTHS[at.month - 1]}/{at.year:04}:{clock} {sign}{hours:02}{minutes:02} "
        f"{at.year:04}-{at.month:02}-{at.day:02}T{clock}{sign}{hours:02}:{minutes:02}"
    )


class LogClock:
    """Makes a stamp once a second and hands it out for as long."""

    __slots__ = ("_offset", "_since", "_stamp", "_until")

    def __init__(self, offset: Callable[[float], int]) -> None:
        """Take what tells local time's offset at an epoch, in seconds; asked once a second."""
        self._offset = offset
        self._since = self._until = 0.0
        self._stamp = ""

    def at(self, epoch: float) -> str:
        """Return the stamp of an instant, given as seconds since 1970."""
        # Both ends: a clock that is set back must be followed.
        if not self._since <= epoch < self._until:
            self._since = float(int(epoch))
            self._until = self._since + 1.0
            self._stamp = render_time(self._since, self._offset(self._since))
        return self._stamp
