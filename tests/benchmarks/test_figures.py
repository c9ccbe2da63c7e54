from benchmarks.figures import Cell, Sample, find, ratio
from tests.benchmarks.samples import cell


def test_the_median_and_the_spread_of_the_rounds() -> None:
    measured = cell("small", "nginx", 19.0, 30.0, 20.0)
    assert measured.median == 20.0
    assert measured.spread == (19.0, 30.0)


def test_the_ratio_says_how_much_less_ours_needs() -> None:
    assert ratio(cell("1m", "pyproxy", 600.0), cell("1m", "nginx", 750.0)) == 1.25


def test_there_is_no_ratio_to_or_of_something_invalid() -> None:
    good, bad = cell("small", "nginx", 20.0), cell("small", "pyproxy", 20.0, errors=1)
    assert ratio(bad, good) is None
    assert ratio(good, bad) is None
    assert ratio(good, None) is None
    assert ratio(cell("small", "pyproxy", 1.0, trouble="died"), good) is None


def test_one_bad_round_makes_the_row_invalid() -> None:
    rounds = [Sample(20.0), Sample(20.0, errors=3), Sample(20.0)]
    measured = Cell("small", "nginx", rounds)
    assert not measured.valid
    assert measured.errors == 3


def test_no_round_at_all_is_not_valid() -> None:
    assert not Cell("small", "nginx", []).valid


def test_details_are_medians_of_the_rounds_that_have_them() -> None:
    rounds = [Sample(1.0, details={"rps": 10.0}), Sample(1.0), Sample(1.0, details={"rps": 30.0})]
    measured = Cell("small", "nginx", rounds)
    assert measured.detail("rps") == 20.0
    assert measured.detail("p99_ms") is None


def test_a_cell_is_found_by_row_and_server() -> None:
    cells = [cell("small", "nginx", 1.0), cell("1m", "nginx", 2.0), cell("1m", "Caddy", 3.0)]
    assert find(cells, "1m", "nginx") is cells[1]
    assert find(cells, "small", "Caddy") is None
