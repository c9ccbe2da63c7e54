import asyncio
import socket
from collections.abc import Iterator
from random import Random
from typing import Any

import pytest

from proxy.net import resolver
from proxy.net.resolver import Endpoint, Resolver, is_literal
from tests.fakes.hand_loop import HandLoop

ROUND = resolver.INTERVAL * (1 + resolver.JITTER)


def v4(host: str) -> tuple[Any, ...]:
    return (socket.AF_INET, socket.SOCK_STREAM, 6, "", (host, 0))


def v6(host: str, scope: int = 0) -> tuple[Any, ...]:
    return (socket.AF_INET6, socket.SOCK_STREAM, 6, "", (host, 0, 0, scope))


NO_NAME = socket.gaierror(socket.EAI_NONAME, "Name or service not known")


@pytest.fixture
def loop() -> Iterator[HandLoop]:
    loop = HandLoop()
    yield loop
    loop.settle()
    loop.close()


@pytest.fixture
def names(loop: HandLoop) -> Iterator[Resolver]:
    names = Resolver(loop, Random(1))
    yield names
    names.close()
    loop.settle()


class Told:
    """Takes what a resolver tells."""

    def __init__(self) -> None:
        self.all: list[tuple[Endpoint, ...]] = []

    def __call__(self, addresses: tuple[Endpoint, ...]) -> None:
        self.all.append(addresses)


@pytest.mark.parametrize("host", ["127.0.0.1", "::1", "fe80::1%eth0", "2001:db8::7"])
def test_a_literal_address_is_told_at_once_and_never_looked_up(
    loop: HandLoop, names: Resolver, host: str
) -> None:
    told = Told()
    watch = names.watch(host, 8000, told)
    assert told.all == [((host, 8000),)]
    names.poke(host)
    loop.advance(2 * ROUND)
    assert loop.asked == []
    names.unwatch(watch)


@pytest.mark.parametrize("host", ["app", "app.internal", "127.0.0.1.example", "1234:5", ""])
def test_names_are_no_literals(host: str) -> None:
    assert not is_literal(host)


def test_watching_does_not_wait_and_both_families_are_told(loop: HandLoop, names: Resolver) -> None:
    told = Told()
    names.watch("app", 8000, told)
    assert told.all == []
    loop.settle()
    loop.answer("app", v4("10.0.0.2"), v6("fd00::2"), v4("10.0.0.1"), v4("10.0.0.2"))
    assert told.all == [(("10.0.0.1", 8000), ("10.0.0.2", 8000), ("fd00::2", 8000))]


def test_a_link_local_address_keeps_its_zone(loop: HandLoop, names: Resolver) -> None:
    told = Told()
    names.watch("app", 80, told)
    loop.settle()
    loop.answer("app", v6("fe80::1", 3))
    assert told.all == [(("fe80::1%3", 80),)]


def test_a_name_is_asked_again_and_only_a_change_is_told(loop: HandLoop, names: Resolver) -> None:
    told = Told()
    names.watch("app", 80, told)
    loop.settle()
    loop.answer("app", v4("10.0.0.1"), v4("10.0.0.2"))
    loop.advance(ROUND)
    loop.answer("app", v4("10.0.0.2"), v4("10.0.0.1"))
    assert len(told.all) == 1
    loop.advance(ROUND)
    loop.answer("app", v4("10.0.0.9"))
    assert told.all[1:] == [(("10.0.0.9", 80),)]


def test_the_interval_is_five_seconds_more_or_less(loop: HandLoop, names: Resolver) -> None:
    names.watch("app", 80, Told())
    loop.settle()
    moments = []
    for _ in range(20):
        loop.answer("app", v4("10.0.0.1"))
        start = loop.now
        while not loop.asked:
            loop.advance(0.05)
        moments.append(loop.now - start)
    assert min(moments) >= 4.5 - 0.01
    assert max(moments) <= 5.5 + 0.06
    assert max(moments) - min(moments) > 0.3


def test_a_failed_lookup_keeps_the_last_addresses(
    loop: HandLoop, names: Resolver, caplog: pytest.LogCaptureFixture
) -> None:
    told = Told()
    names.watch("app", 80, told)
    loop.settle()
    loop.answer("app", v4("10.0.0.1"))
    for _ in range(3):
        loop.advance(ROUND)
        loop.answer("app", NO_NAME)
    loop.advance(ROUND)
    loop.answer("app")  # an answer without any address is none either
    assert told.all == [(("10.0.0.1", 80),)]
    late = Told()
    names.watch("app", 81, late)
    assert late.all == [(("10.0.0.1", 81),)]
    warnings = [record.getMessage() for record in caplog.records]
    assert warnings == [
        "name app does not resolve (Name or service not known); using 10.0.0.1 on",
        "name app does not resolve (no address); using 10.0.0.1 on",
    ]


def test_a_name_that_comes_to_life_later_is_told(
    loop: HandLoop, names: Resolver, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO", "pyproxy.net")
    told = Told()
    names.watch("app", 80, told)
    loop.settle()
    loop.answer("app", NO_NAME)
    assert told.all == []
    loop.advance(ROUND)
    loop.answer("app", v4("10.0.0.1"))
    assert told.all == [(("10.0.0.1", 80),)]
    assert [record.levelname for record in caplog.records] == ["WARNING", "INFO"]


def test_a_label_that_no_name_may_have_is_reported_like_any_failure(
    loop: HandLoop, names: Resolver, caplog: pytest.LogCaptureFixture
) -> None:
    names.watch("a" * 70, 80, Told())
    loop.settle()
    loop.answer("a" * 70, UnicodeError("label too long"))
    assert "label too long" in caplog.text
    loop.advance(ROUND)
    assert loop.asked == ["a" * 70]


def test_a_poke_asks_at_once_but_not_twice_in_half_a_second(
    loop: HandLoop, names: Resolver
) -> None:
    names.watch("app", 80, Told())
    loop.settle()
    loop.answer("app", v4("10.0.0.1"))
    names.poke("app")
    loop.settle()
    assert loop.asked == []
    loop.advance(0.5)
    assert loop.asked == ["app"]
    loop.answer("app", v4("10.0.0.1"))
    loop.advance(2)
    names.poke("app")
    loop.settle()
    assert loop.asked == ["app"]


def test_a_poke_during_a_lookup_asks_again_after_it(loop: HandLoop, names: Resolver) -> None:
    # The answer under way may be older than the connect error.
    names.watch("app", 80, Told())
    loop.settle()
    loop.advance(1)
    names.poke("app")
    loop.answer("app", v4("10.0.0.1"))
    assert loop.asked == ["app"]
    loop.answer("app", v4("10.0.0.1"))
    loop.advance(1)
    assert loop.asked == []


def test_a_poke_for_a_stranger_is_ignored(loop: HandLoop, names: Resolver) -> None:
    names.poke("nobody")
    loop.settle()
    assert loop.asked == []


def test_a_slow_lookup_is_reported_left_to_end_and_its_answer_taken(
    loop: HandLoop, names: Resolver, caplog: pytest.LogCaptureFixture
) -> None:
    told = Told()
    names.watch("app", 80, told)
    loop.settle()
    loop.advance(3 * resolver.SLOW)
    assert [record.getMessage() for record in caplog.records] == [
        "name app does not resolve (no answer for 10 s); no address to use"
    ]
    loop.answer("app", v4("10.0.0.1"))
    assert told.all == [(("10.0.0.1", 80),)]


def test_few_lookups_run_at_a_time_and_all_have_their_turn(loop: HandLoop, names: Resolver) -> None:
    told = {f"app{number}": Told() for number in range(11)}
    for host, callback in told.items():
        names.watch(host, 80, callback)
    loop.settle()
    while any(not callback.all for callback in told.values()):
        loop.answer(loop.asked[0], v4("10.0.0.1"))
    assert loop.most_at_once == resolver.AT_ONCE


def test_one_lookup_serves_all_who_watch_a_name(loop: HandLoop, names: Resolver) -> None:
    first, second = Told(), Told()
    names.watch("app", 80, first)
    watch = names.watch("app", 8080, second)
    loop.settle()
    loop.answer("app", v4("10.0.0.1"))
    assert (first.all, second.all) == ([(("10.0.0.1", 80),)], [(("10.0.0.1", 8080),)])
    names.unwatch(watch)
    names.unwatch(watch)
    loop.advance(ROUND)
    loop.answer("app", v4("10.0.0.2"))
    assert (len(first.all), len(second.all)) == (2, 1)


def test_a_name_that_nobody_watches_is_not_asked_for(loop: HandLoop, names: Resolver) -> None:
    told = Told()
    watch = names.watch("app", 80, told)
    loop.settle()
    names.unwatch(watch)
    loop.answer("app", v4("10.0.0.1"))
    loop.advance(2 * ROUND)
    assert told.all == []
    assert loop.asked == []


def test_nobody_is_told_after_the_end(loop: HandLoop, names: Resolver) -> None:
    told = Told()
    names.watch("app", 80, told)
    names.watch("other", 80, told)
    loop.settle()
    loop.answer("other", v4("10.0.0.1"))
    names.close()
    loop.advance(2 * ROUND)
    assert len(told.all) == 1
    assert loop.asked == []


async def test_a_real_loop_finds_this_machine() -> None:
    found: asyncio.Future[tuple[Endpoint, ...]] = asyncio.get_running_loop().create_future()
    names = Resolver(asyncio.get_running_loop())
    names.watch("localhost", 8000, found.set_result)
    async with asyncio.timeout(30):
        addresses = await found
    names.close()
    assert set(addresses) <= {("127.0.0.1", 8000), ("::1", 8000)}
