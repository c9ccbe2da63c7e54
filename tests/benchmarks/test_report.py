from benchmarks import report
from benchmarks.rows import ROWS, chosen
from tests.benchmarks.samples import cell

SMALL = chosen("small")


def columns(table: str) -> list[list[str]]:
    return [[field.strip() for field in line.strip("|").split("|")] for line in table.splitlines()]


def test_a_row_shows_medians_spread_ratio_and_what_to_reach() -> None:
    cells = [cell("small", "nginx", 19.0, 20.0, 24.0), cell("small", "pyproxy", 25.0)]
    head, _, line = columns(report.main_table(SMALL, ["nginx", "pyproxy"], cells))
    assert head[2:] == ["nginx", "pyproxy", "nginx / pyproxy", "reach, aim"]
    assert line[2:] == ["20.0 (19.0 to 24.0)", "25.0", "0.80", "0.70, 1.00"]


def test_a_row_with_errors_shows_no_figure_and_no_ratio() -> None:
    cells = [cell("small", "nginx", 20.0), cell("small", "pyproxy", 25.0, 25.0, errors=2)]
    line = columns(report.main_table(SMALL, ["nginx", "pyproxy"], cells))[2]
    assert line[3:5] == ["invalid: 4 errors", "-"]


def test_each_pyproxy_has_a_ratio_of_its_own() -> None:
    servers = ["nginx", "pyproxy", "pyproxy before"]
    cells = [
        cell("small", name, figure) for name, figure in zip(servers, (20, 20, 40), strict=True)
    ]
    head, _, line = columns(report.main_table(SMALL, servers, cells))
    assert head[5:7] == ["nginx / pyproxy", "nginx / pyproxy before"]
    assert line[5:7] == ["1.00", "0.50"]


def test_without_nginx_there_is_no_ratio() -> None:
    head = columns(report.main_table(SMALL, ["pyproxy"], [cell("small", "pyproxy", 25.0)]))[0]
    assert head == ["work", "unit", "pyproxy"]


def test_a_gain_has_no_ratio() -> None:
    (row,) = chosen("second")
    gain = cell("second", "pyproxy", 1.9)
    assert report.shown_ratio(row, gain, cell("second", "nginx", 2.0)) == "-"
    assert report.shown_aim(row) == "1.80, 1.95"


def test_details_of_a_row_that_has_its_own() -> None:
    line = columns(report.detail_table(SMALL, [cell("small", "nginx", 20.0)]))[2]
    assert line[1:4] == ["nginx", "20.0", "50,000"]
    assert line[-2:] == ["0", ""]


def test_trouble_is_told_below_the_table_not_in_it() -> None:
    cells = [cell("small", "Caddy", 0.1, trouble="Caddy did not start:\nport | in use")]
    assert "port" not in report.main_table(SMALL, ["Caddy"], cells)
    assert "port | in use" in report.troubles(SMALL, cells)
    assert report.troubles(SMALL, [cell("small", "nginx", 1.0)]) == ""


def test_columns_line_up_and_no_cell_breaks_the_table() -> None:
    lines = report.markdown(["work", "x"], [["a|b\nc", "1"], ["a", "100"]]).splitlines()
    assert len({len(line) for line in lines}) == 1
    assert lines[2] == "| a/b c |   1 |"


def test_every_row_can_be_shown() -> None:
    cells = [cell(row.key, "nginx", 3.0) for row in ROWS]
    assert len(report.main_table(ROWS, ["nginx"], cells).splitlines()) == len(ROWS) + 2


def test_figures_have_the_digits_they_deserve() -> None:
    assert [report.figure(value) for value in (1.234, 12.34, 1234.5)] == ["1.23", "12.3", "1234"]
