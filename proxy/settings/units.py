"""Durations, sizes and rates as people write them, turned into seconds and bytes.

Sizes are binary whatever their spelling (10MB is 10 x 1024 x 1024 bytes), as in nginx and Docker.
A bare number is seconds or bytes. Every function raises WrongValueError.
"""

import math
import re
from dataclasses import dataclass

from proxy.settings.problem import WrongValueError

SECONDS = {
    "ms": 0.001,
    "s": 1.0,
    "m": 60.0,
    "h": 3600.0,
    "d": 86400.0,
    "w": 604800.0,
    "y": 31536000.0,
}
LONGEST = 100 * SECONDS["y"]
LARGEST = 1 << 62

_NUMBER = r"[0-9]{1,18}(?:\.[0-9]{1,9})?"
_BARE = re.compile(_NUMBER, re.ASCII)
_DURATION = re.compile(rf"(?:{_NUMBER}(?:ms|[smhdwy]))+", re.ASCII)
_DURATION_PART = re.compile(rf"({_NUMBER})(ms|[smhdwy])", re.ASCII)
_SIZE = re.compile(rf"({_NUMBER})([kmgt]?)(i?b)?", re.ASCII | re.IGNORECASE)
_POWER = {"": 0, "k": 1, "m": 2, "g": 3, "t": 4}
_RATE = re.compile(r"([0-9]{1,9})r?/(?:1 ?)?([a-z]+)", re.ASCII)
_RATE_UNITS = {
    "s": 1.0, "sec": 1.0, "second": 1.0,
    "m": 60.0, "min": 60.0, "minute": 60.0,
    "h": 3600.0, "hour": 3600.0,
    "d": 86400.0, "day": 86400.0,
}  # fmt: skip
_BYTE_RATE = re.compile(rf"({_NUMBER}[kmgt]?(?:i?b)?)/s", re.ASCII | re.IGNORECASE)

_DURATION_FORMS = "a duration such as 500ms, 10s, 5m, 12h, 1h30m, 30d or 1y"
_SIZE_FORMS = "a size such as 512, 16KB, 10MB or 1GiB"
_RATE_FORMS = "a rate such as 5/second, 100/minute or 10/hour"
_BYTE_RATE_FORMS = "bytes a second such as 500B/s or 16KB/s"


@dataclass(frozen=True, slots=True)
class Rate:
    """So many requests (`count`) in so many `seconds`."""

    count: int
    seconds: float

    def __str__(self) -> str:
        """Return the rate as it is written in the file."""
        names = {1.0: "second", 60.0: "minute", 3600.0: "hour", 86400.0: "day"}
        return f"{self.count}/{names[self.seconds]}"


def _text(value: object, forms: str) -> str:
    """Return `value` as text, or refuse what can be no quantity."""
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        raise WrongValueError(f"expected {forms}")
    return str(value)


def duration(value: object) -> float:
    """Return seconds: "1h30m" is 5400.0, and so is 5400."""
    text = _text(value, _DURATION_FORMS)
    if _BARE.fullmatch(text):
        seconds = float(text)
    elif _DURATION.fullmatch(text):
        parts = _DURATION_PART.findall(text)
        seconds = math.fsum(float(number) * SECONDS[unit] for number, unit in parts)
    else:
        tidy = re.sub(
            r"(?<=[0-9])(min|sec)[a-z]*", lambda m: m[1][0], text.replace(" ", "").lower()
        )
        fits = _DURATION.fullmatch(tidy)
        raise WrongValueError(f"expected {_DURATION_FORMS}", tidy if fits else "")
    if seconds > LONGEST:
        raise WrongValueError("longer than 100 years")
    return seconds


def size(value: object) -> int:
    """Return bytes: "16KB", "16k" and "16KiB" are all 16384."""
    text = _text(value, _SIZE_FORMS)
    found = _SIZE.fullmatch(text)
    if found is None:
        tidy = text.replace(" ", "")
        raise WrongValueError(f"expected {_SIZE_FORMS}", tidy if _SIZE.fullmatch(tidy) else "")
    number, prefix, _ = found.groups()
    count = float(number) if "." in number else int(number)
    total = count * 1024 ** _POWER[prefix.lower()]
    if total != int(total):
        raise WrongValueError("not a whole number of bytes")
    if total > LARGEST:
        raise WrongValueError("larger than anything that could be sent")
    return int(total)


def rate(value: object) -> Rate:
    """Return a Rate: "5/minute", "5/m" and nginx's "5r/m" are the same."""
    if isinstance(value, Rate):
        return value
    text = _text(value, _RATE_FORMS)
    found = _RATE.fullmatch(text)
    if found is None or found[2] not in _RATE_UNITS:
        tidy = text.replace(" ", "").lower().replace("per", "/").rstrip("s")
        again = _RATE.fullmatch(tidy)
        fits = again is not None and again[2] in _RATE_UNITS
        raise WrongValueError(f"expected {_RATE_FORMS}", tidy if fits else "")
    count = int(found[1])
    if count == 0:
        raise WrongValueError(f"would never let a request through; expected {_RATE_FORMS}")
    return Rate(count, _RATE_UNITS[found[2]])


def byte_rate(value: object) -> float:
    """Return bytes a second: "500B/s", or a bare number."""
    text = _text(value, _BYTE_RATE_FORMS)
    found = _BYTE_RATE.fullmatch(text)
    if found is None and not _BARE.fullmatch(text):
        fits = _SIZE.fullmatch(text)
        raise WrongValueError(f"expected {_BYTE_RATE_FORMS}", f"{text}/s" if fits else "")
    return float(size(found[1] if found else text))


def spell_duration(seconds: float) -> str:
    """Return seconds in the largest unit that needs no fraction: 5400.0 is "90m"."""
    for unit in ("y", "d", "h", "m", "s"):
        count = seconds / SECONDS[unit]
        if count >= 1 and count == int(count):
            return f"{int(count)}{unit}"
    if not seconds:
        return "0s"
    return f"{seconds * 1000:.6f}".rstrip("0").rstrip(".") + "ms"


def spell_size(count: int) -> str:
    """Return bytes in the largest unit that needs no fraction: 16384 is "16KB"."""
    for unit, power in (("TB", 4), ("GB", 3), ("MB", 2), ("KB", 1)):
        if count and count % 1024**power == 0:
            return f"{count // 1024**power}{unit}"
    return str(count)
