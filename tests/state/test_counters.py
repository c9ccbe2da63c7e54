from dataclasses import fields

import pytest

from proxy.state.counters import GAUGES, NAMES, ROW_SIZE, Counters, Figures, clear_gauges, read_row


def new_row() -> memoryview:
    return memoryview(bytearray(ROW_SIZE))


def test_nothing_is_seen_before_it_is_published() -> None:
    row = new_row()
    counters = Counters(row)
    counters.requests += 3
    counters.bytes_sent += 2**40
    assert read_row(row) == dict.fromkeys(NAMES, 0)
    counters.publish()
    assert read_row(row) == dict.fromkeys(NAMES, 0) | {"requests": 3, "bytes_sent": 2**40}


@pytest.mark.parametrize("name", NAMES)
def test_every_figure_has_its_own_place(name: str) -> None:
    row = new_row()
    counters = Counters(row)
    setattr(counters, name, 7)
    counters.publish()
    assert read_row(row) == dict.fromkeys(NAMES, 0) | {name: 7}


def test_a_successor_goes_on_from_what_was_published() -> None:
    row = new_row()
    first = Counters(row)
    first.requests = 10
    first.connections_open = 4
    first.publish()
    clear_gauges(row)
    second = Counters(row)
    second.requests += 1
    second.connections_open += 1
    second.publish()
    figures = read_row(row)
    assert (figures["requests"], figures["connections_open"]) == (11, 1)


def test_gauges_are_what_may_shrink() -> None:
    assert {
        "connections_open",
        "queued",
        "requests_active",
        "upstream_connections_open",
        "websockets_open",
    } == GAUGES
    assert len(fields(Figures)) == len(NAMES)


def test_counters_of_their_own_share_nothing() -> None:
    one, other = Counters(), Counters()
    one.requests += 1
    one.publish()
    assert (one.requests, other.requests) == (1, 0)


def test_a_misspelt_figure_is_an_error() -> None:
    with pytest.raises(AttributeError):
        Counters().request = 1  # type: ignore[attr-defined]


def test_rows_are_whole_cache_lines() -> None:
    assert ROW_SIZE % 64 == 0
    assert 8 * len(NAMES) <= ROW_SIZE
