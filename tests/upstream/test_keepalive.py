import pytest

from proxy.upstream.keepalive import (
    IDEMPOTENT,
    SPARE,
    idle_bound,
    idle_lifetime,
    may_repeat,
    reuse_allowed,
)
from proxy.upstream.plan import PoolPlan


@pytest.mark.parametrize("method", ["GET", "HEAD", "OPTIONS", "TRACE", "PUT", "DELETE"])
def test_idempotent_methods_go_anywhere(method: str) -> None:
    assert reuse_allowed(method, has_idempotency_key=False, idle_for=59.0)


# Methods are case-sensitive (RFC 9110, 9.1): "get" is one that nobody knows.
@pytest.mark.parametrize("method", ["POST", "PATCH", "CONNECT", "PURGE", "get", ""])
def test_others_want_a_connection_that_is_surely_alive(method: str) -> None:
    assert method not in IDEMPOTENT
    assert reuse_allowed(method, has_idempotency_key=False, idle_for=0.999)
    assert not reuse_allowed(method, has_idempotency_key=False, idle_for=1.0)
    assert reuse_allowed(method, has_idempotency_key=True, idle_for=59.0)


def test_an_idempotency_key_makes_any_method_repeatable() -> None:
    assert may_repeat("POST", has_idempotency_key=True)
    assert not may_repeat("POST", has_idempotency_key=False)


@pytest.mark.parametrize(
    ("configured", "announced", "lifetime"),
    [
        (60.0, None, 60.0),
        (60.0, 5.0, 4.0),
        (60.0, 75.0, 60.0),
        (60.0, 61.0, 60.0),
        (2.0, 5.0, 2.0),
        (60.0, 1.0, 0.0),
        (60.0, 0.0, 0.0),
    ],
)
def test_the_shorter_of_our_patience_and_the_servers(
    configured: float, announced: float | None, lifetime: float
) -> None:
    assert idle_lifetime(plan(configured), announced, spare=False) == lifetime


def plan(idle: float, connections: int = 64) -> PoolPlan:
    return PoolPlan("app", (), keep_alive_idle=idle, keep_alive_connections=connections)


@pytest.mark.parametrize(
    ("configured", "announced", "lifetime"),
    [(60.0, None, SPARE), (60.0, 60.0, SPARE), (60.0, 2.0, 1.0), (1.0, None, 1.0)],
)
def test_spare_connections_wait_for_the_next_burst_only(
    configured: float, announced: float | None, lifetime: float
) -> None:
    assert idle_lifetime(plan(configured), announced, spare=True) == lifetime


def test_as_many_as_may_be_in_use_may_idle_and_none_where_none_are_kept() -> None:
    assert idle_bound(plan(60.0)) == PoolPlan("app", ()).max_connections
    assert idle_bound(plan(60.0, connections=0)) == 0
