import pytest

from benchmarks import rows
from benchmarks.servers.server import Feature


def test_no_name_means_every_row() -> None:
    assert rows.chosen("") == rows.ROWS


def test_rows_come_in_the_order_of_the_table() -> None:
    assert [row.key for row in rows.chosen("1m, small")] == ["small", "1m"]


def test_static_files_need_a_server_that_has_them_and_policies_one_that_limits() -> None:
    needs = {row.key: row.work.needs for row in rows.ROWS}
    assert needs["static10k"] == needs["static200k"] == {Feature.FILES}
    for row in ("every", "every-different", "refused"):
        assert needs[row] == {Feature.RATE_LIMITS}
    assert not needs["small"] | needs["bare"] | needs["gzip10k"] | needs["handshake"]


def test_an_unknown_row_is_named_with_what_there_is() -> None:
    with pytest.raises(ValueError, match=r"no row smal; there are .*small"):
        rows.chosen("smal,1m")


def test_keys_are_unique() -> None:
    assert len({row.key for row in rows.ROWS}) == len(rows.ROWS)
