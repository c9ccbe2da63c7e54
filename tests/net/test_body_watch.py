import pytest

from proxy.errors import BadRequestError
from proxy.exchange.exchange import Exchange
from proxy.net.body_watch import BodyWatch
from tests.fakes.exchanges import looked_at

RATE = 500.0


def takes(watch: BodyWatch, exchange: Exchange, size: int, now: float) -> int:
    """Count a piece in; the status of the error, or 0."""
    try:
        watch.received(exchange, size, now, RATE)
    except BadRequestError as error:
        return error.status
    return 0


def test_the_limit_itself_may_be_reached() -> None:
    exchange = looked_at(method="POST")
    exchange.body_limit = 1000
    exchange.route = "/upload/"
    watch = BodyWatch(0.0)
    watch.received(exchange, 600, 0.0, RATE)
    watch.received(exchange, 400, 0.0, RATE)
    with pytest.raises(BadRequestError) as caught:
        watch.received(exchange, 1, 0.0, RATE)
    assert caught.value.status == 413
    assert "1000 bytes on /upload/" in caught.value.public
    assert exchange.received == 1001


def test_no_limit() -> None:
    exchange = looked_at(method="POST")
    assert not takes(BodyWatch(0.0), exchange, 1 << 40, 0.0)


def test_the_rate_counts_from_a_whole_window_on() -> None:
    exchange = looked_at(method="POST")
    watch = BodyWatch(100.0)
    assert not takes(watch, exchange, 1, 159.9)
    assert takes(watch, exchange, 1, 160.0) == 408


def test_the_least_rate_itself_is_enough() -> None:
    exchange = looked_at(method="POST")
    watch = BodyWatch(0.0)
    assert not takes(watch, exchange, 30_000, 60.0)
    assert takes(watch, exchange, 29_999, 120.0) == 408


def test_a_longer_window_asks_for_more() -> None:
    exchange = looked_at(method="POST")
    watch = BodyWatch(0.0)
    assert takes(watch, exchange, 30_000, 90.0) == 408


def test_a_fast_beginning_does_not_pay_for_a_slow_end() -> None:
    exchange = looked_at(method="POST")
    watch = BodyWatch(0.0)
    assert not takes(watch, exchange, 1_000_000, 60.0)
    assert not takes(watch, exchange, 1, 119.0)
    assert takes(watch, exchange, 1, 120.0) == 408


def test_a_slow_client_may_take_as_long_as_it_likes_at_the_least_rate() -> None:
    exchange = looked_at(method="POST")
    watch = BodyWatch(0.0)
    for second in range(1, 3600):
        assert not takes(watch, exchange, 500, float(second))


def test_a_new_window_forgives_the_time_before() -> None:
    exchange = looked_at(method="POST")
    watch = BodyWatch(0.0)
    watch.received(exchange, 10, 1.0, RATE)
    watch.restart(exchange, 500.0)
    assert not takes(watch, exchange, 1, 559.0)
    assert takes(watch, exchange, 1, 560.0) == 408  # what came before it does not count either


def test_no_least_rate() -> None:
    exchange = looked_at(method="POST")
    watch = BodyWatch(0.0)
    watch.received(exchange, 1, 10_000.0, 0.0)
    assert exchange.received == 1
