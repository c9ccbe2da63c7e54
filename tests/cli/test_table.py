import pytest

from proxy.cli.table import duration, table


def test_columns_are_as_wide_as_what_is_in_them() -> None:
    rows = [("site", "route"), ("localhost", "/"), ("a", "/api/")]
    assert table(rows) == "site       route\nlocalhost  /\na          /api/"
    assert table(rows, indent=2).splitlines()[1] == "  localhost  /"


def test_an_empty_column_is_left_out() -> None:
    assert table([("a", "b", "c"), ("1", "", "3"), ("4", "", "6")]) == "a  c\n1  3\n4  6"
    assert table([]) == ""


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.4, "0s"), (59, "59s"), (60, "1m 0s"), (3725, "1h 2m"), (90_000, "1d 1h")],
)
def test_times_are_for_people(seconds: float, text: str) -> None:
    assert duration(seconds) == text
