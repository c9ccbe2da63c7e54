"""The only importer of `time`. Whatever can be told the time as an argument is told."""

import datetime as dt
from time import localtime, monotonic, time as wall_time

__all__ = ["local_offset", "monotonic", "utc_now", "wall_time"]


def utc_now() -> dt.datetime:
    """Return the wall clock as an aware datetime in UTC."""
    return dt.datetime.fromtimestamp(wall_time(), dt.UTC)


def local_offset(epoch: float) -> int:
    """Return how many seconds local time is ahead of UTC at an instant."""
    return localtime(epoch).tm_gmtoff
