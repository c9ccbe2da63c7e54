import contextlib
import math

import pytest
from hypothesis import given, strategies as st

from proxy.settings.problem import WrongValueError
from proxy.settings.units import (
    SECONDS,
    Rate,
    byte_rate,
    duration,
    rate,
    size,
    spell_duration,
    spell_size,
)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("500ms", 0.5), ("10s", 10), ("5m", 300), ("12h", 43200), ("1h30m", 5400),
        ("30d", 2592000), ("1y", 31536000), ("0.5s", 0.5), ("1w", 604800), ("90", 90), (90, 90),
        ("1m500ms", 60.5), (0, 0),
    ],
)  # fmt: skip
def test_durations(text: object, seconds: float) -> None:
    assert duration(text) == seconds


@pytest.mark.parametrize(
    ("text", "suggestion"),
    [("10 s", "10s"), ("10S", "10s"), ("10min", "10m"), ("30sec", "30s"), ("5 minutes", "5m")],
)
def test_a_near_duration_is_suggested(text: str, suggestion: str) -> None:
    with pytest.raises(WrongValueError) as caught:
        duration(text)
    assert caught.value.suggestion == suggestion


@pytest.mark.parametrize(
    "value",
    ["", "s", "-1s", "1x", "1e3", "101y", True, None, [], "\u0661s", "1h-5m", "+5s", "10s\n"],
)
def test_what_is_no_duration(value: object) -> None:
    with pytest.raises(WrongValueError):
        duration(value)


@pytest.mark.parametrize(
    ("text", "count"),
    [
        ("512", 512), (512, 512), ("16KB", 16384), ("16k", 16384), ("16KiB", 16384), ("0", 0),
        ("10MB", 10 << 20), ("1GiB", 1 << 30), ("1.5k", 1536), ("2T", 2 << 40), ("7B", 7),
    ],
)  # fmt: skip
def test_sizes_are_binary(text: object, count: int) -> None:
    assert size(text) == count


@pytest.mark.parametrize("value", ["", "KB", "-1", "1.3", "10 MB", "1e9", "99999999TB", False, {}])
def test_what_is_no_size(value: object) -> None:
    with pytest.raises(WrongValueError):
        size(value)


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("5/second", Rate(5, 1)), ("100/minute", Rate(100, 60)), ("10/hour", Rate(10, 3600)),
        ("5/m", Rate(5, 60)), ("5r/m", Rate(5, 60)), ("1/day", Rate(1, 86400)),
    ],
)  # fmt: skip
def test_rates(text: str, found: Rate) -> None:
    assert rate(text) == found
    assert rate(str(found)) == found


def test_a_near_rate_is_suggested() -> None:
    with pytest.raises(WrongValueError) as caught:
        rate("5 / minutes")
    assert caught.value.suggestion == "5/minute"


@pytest.mark.parametrize("value", ["0/s", "5", "5/fortnight", "/s", "five/s", 5, None])
def test_what_is_no_rate(value: object) -> None:
    with pytest.raises(WrongValueError):
        rate(value)


def test_byte_rates() -> None:
    assert byte_rate("500B/s") == 500
    assert byte_rate("16KB/s") == 16384
    assert byte_rate(500) == 500
    with pytest.raises(WrongValueError) as caught:
        byte_rate("16KB")
    assert caught.value.suggestion == "16KB/s"


@given(st.lists(st.tuples(st.integers(0, 9999), st.sampled_from(sorted(SECONDS))), min_size=1))
def test_a_duration_is_the_sum_of_its_parts(parts: list[tuple[int, str]]) -> None:
    text = "".join(f"{number}{unit}" for number, unit in parts)
    total = math.fsum(number * SECONDS[unit] for number, unit in parts)
    if total > 100 * SECONDS["y"]:
        with pytest.raises(WrongValueError):
            duration(text)
    else:
        assert duration(text) == pytest.approx(total)


@given(st.integers(0, 10**12))
def test_a_duration_survives_its_spelling(milliseconds: int) -> None:
    seconds = milliseconds / 1000
    assert duration(spell_duration(seconds)) == pytest.approx(seconds)


@given(st.integers(0, 1 << 58))
def test_a_size_survives_its_spelling(count: int) -> None:
    assert size(spell_size(count)) == count


@given(st.one_of(st.text(), st.text("0123456789.smhdwykKMGiBr/ ")))
def test_any_text_is_read_or_refused(text: str) -> None:
    for read in (duration, size, rate, byte_rate):
        with contextlib.suppress(WrongValueError):
            read(text)
