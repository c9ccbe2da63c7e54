"""Dates in HTTP (RFC 9110, 5.6.7): one form to send, three to read."""

import re
from datetime import UTC, datetime
from email.utils import formatdate

_MONTHS = {
    name: number
    for number, name in enumerate(
        ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"), 1
    )
}
_MONTH = f"(?P<month>{'|'.join(_MONTHS)})"
_TIME = r"(?P<hour>\d\d):(?P<minute>\d\d):(?P<second>\d\d)"
_DAY = r"(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun)"
_LONG_DAY = r"(?:Mon|Tues|Wednes|Thurs|Fri|Satur|Sun)day"
_FORMS = tuple(
    re.compile(form, re.ASCII).fullmatch
    for form in (
        rf"{_DAY}, (?P<day>\d\d) {_MONTH} (?P<year>\d{{4}}) {_TIME} GMT",  # IMF-fixdate
        rf"{_LONG_DAY}, (?P<day>\d\d)-{_MONTH}-(?P<year>\d\d) {_TIME} GMT",  # of RFC 850
        rf"{_DAY} {_MONTH} (?P<day>[ \d]\d) {_TIME} (?P<year>\d{{4}})",  # of asctime()
    )
)


def http_date(seconds: float) -> str:
    """Return an instant as IMF-fixdate."""
    return formatdate(seconds, usegmt=True)


def parse_http_date(text: str, now: float) -> int | None:
    """Return the instant in seconds, or None for what is no date of HTTP.

    The day's name is not held against the date.

    Args:
        text: In any of the three forms; case counts (RFC 9110, 5.6.7).
        now: Seconds; a year of two digits is none that lies more than 50 years ahead of it.
    """
    for form in _FORMS:
        found = form(text)
        if found is not None:
            break
    else:
        return None
    year = int(found["year"])
    if len(found["year"]) == 2:
        this_year = datetime.fromtimestamp(now, UTC).year
        year += this_year - this_year % 100
        if year > this_year + 50:
            year -= 100
    second = min(int(found["second"]), 59)  # a leap second is none of the calendar's
    try:
        when = datetime(
            year, _MONTHS[found["month"]], int(found["day"]),
            int(found["hour"]), int(found["minute"]), second, tzinfo=UTC,
        )  # fmt: skip
    except ValueError:
        return None
    return int(when.timestamp())
