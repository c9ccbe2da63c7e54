import re
from collections.abc import Sequence

import pytest

from proxy.errors import BadRequestError, Fault
from proxy.exchange.verdict import Delay, Work
from proxy.message.fields import field_values
from proxy.policy.part import Part
from proxy.policy.rate_key import by_client, by_header
from proxy.policy.rate_limit import Limit, rate_limit, refusal
from proxy.state.buckets import BucketTable
from proxy.state.rate_store import PASSED, Decision, Pending, Quota
from tests.fakes.exchanges import looked_at
from tests.policy.asking import gate_of

LOGIN = Quota("login", 5, 60.0, 3)
client = by_client(lambda address: address == "10.0.0.1")


def part(*quotas: Quota, status: int = 429, table: BucketTable | None = None) -> Part:
    limits = [Limit(quota, client, status) for quota in quotas]
    return rate_limit(limits, table or BucketTable.create())


def ask(limited: Part, address: str = "192.0.2.1", now: float = 0.0) -> tuple[str, object]:
    """What the log says of a request, and what becomes of it."""
    exchange = looked_at(address)
    exchange.started = now
    try:
        verdict: object = gate_of(limited)(exchange)
    except BadRequestError as error:
        verdict = error
    return exchange.limited, verdict


def refused(limited: Part, address: str = "192.0.2.1", now: float = 0.0) -> BadRequestError:
    limited_as, verdict = ask(limited, address, now)
    assert limited_as == "REJECTED"
    assert isinstance(verdict, BadRequestError)
    return verdict


@pytest.mark.parametrize("quotas", [(LOGIN,), (LOGIN, Quota("all", 100, 1.0, 50))])
def test_a_burst_passes_and_the_next_is_refused(quotas: tuple[Quota, ...]) -> None:
    limited = part(*quotas)
    assert [ask(limited) for _ in range(4)] == [("PASSED", None)] * 4
    error = refused(limited, now=0.5)
    assert (error.status, error.fault) == (429, Fault.CLIENT)
    assert ask(limited, "192.0.2.2") == ("PASSED", None)
    assert ask(limited, now=12.0) == ("PASSED", None)


def test_a_refusal_says_when_to_come_again() -> None:
    limited = part(LOGIN)
    for _ in range(4):
        ask(limited)
    error = refused(limited, now=0.5)
    assert error.fields == (
        b'Retry-After: 12\r\nRateLimit-Policy: "login";q=5;w=60\r\nRateLimit: "login";r=0;t=12\r\n'
    )
    assert error.public == "Too many requests. Try again in 12 seconds."
    assert error.detail == "rate limit login: 11.500 s too soon"
    (seconds,) = field_values(error.fields, "retry-after")
    assert ask(limited, now=0.5 + int(seconds)) == ("PASSED", None)


@pytest.mark.parametrize(
    ("after", "seconds", "words"),
    [
        (0.0001, 1, "1 second."), (1.0, 1, "1 second."), (1.01, 2, "2 seconds."),
        (3600.0, 3600, "3600 seconds."),
    ],
)  # fmt: skip
def test_seconds_are_whole_and_never_too_few(after: float, seconds: int, words: str) -> None:
    error = refusal(Quota("hourly.v2", 10, 3600.0), after, 503)
    assert error.status == 503
    assert error.public.endswith(f"Try again in {words}")
    assert re.fullmatch(
        rf'Retry-After: {seconds}\r\nRateLimit-Policy: "hourly\.v2";q=10;w=3600\r\n'
        rf'RateLimit: "hourly\.v2";r=0;t={seconds}\r\n',
        error.fields.decode(),
    )


def test_each_limit_refuses_with_its_own_status() -> None:
    limits = [
        Limit(Quota("quick", 1, 1.0, 5), client, 503),
        Limit(Quota("slow", 1, 60.0, 1), client, 420),
    ]
    limited = rate_limit(limits, BucketTable.create())
    assert [ask(limited)[0] for _ in range(2)] == ["PASSED"] * 2
    assert refused(limited).status == 420


def test_exempt_clients_are_not_counted() -> None:
    for limited in (part(LOGIN), part(LOGIN, Quota("more", 1, 60.0))):
        assert [ask(limited, "10.0.0.1") for _ in range(20)] == [("", None)] * 20


def test_a_client_exempt_from_one_limit_is_held_to_the_other() -> None:
    limits = [
        Limit(Quota("one", 1, 60.0), client),
        Limit(Quota("other", 1, 60.0, 1), by_client(lambda _address: False)),
    ]
    limited = rate_limit(limits, BucketTable.create())
    assert [ask(limited, "10.0.0.1")[0] for _ in range(3)] == ["PASSED"] * 2 + ["REJECTED"]


def test_delays() -> None:
    limited = part(Quota("slow", 1, 2.0, 2, delay=True))
    assert ask(limited) == ("PASSED", None)
    said, verdict = ask(limited)
    assert said == "DELAYED"
    assert isinstance(verdict, Delay)
    assert verdict.seconds == pytest.approx(2.0)
    ask(limited)
    refused(limited)


def test_dry_runs() -> None:
    limited = part(Quota("slow", 1, 2.0, 1, delay=True, dry_run=True))
    assert [ask(limited) for _ in range(3)] == [
        ("PASSED", None), ("DELAYED_DRY_RUN", None), ("REJECTED_DRY_RUN", None),
    ]  # fmt: skip


def test_routes_with_one_limit_share_its_buckets() -> None:
    table = BucketTable.create()
    one, other = part(LOGIN, table=table), part(LOGIN, Quota("more", 9, 1.0, 9), table=table)
    ask(one), ask(other), ask(one), ask(other)
    refused(one)
    refused(other)


def test_a_limit_by_header_is_not_avoided_by_leaving_it_out() -> None:
    limited = rate_limit([Limit(LOGIN, by_header("X-Key", client))], BucketTable.create())
    assert [ask(limited)[0] for _ in range(5)] == ["PASSED"] * 4 + ["REJECTED"]


class FarAway:
    """A store that has to ask somebody."""

    def __init__(self, answer: Decision) -> None:
        self.answer = answer
        self.asked: list[tuple[Sequence[bytes | None], float]] = []

    def meter(self, _quotas: Sequence[Quota]) -> "FarAway":
        return self

    def ask(self, keys: Sequence[bytes | None], now: float) -> Pending:
        def call() -> Decision:
            self.asked.append((keys, now))
            return self.answer

        return Pending(call)


@pytest.mark.parametrize("count", [1, 2])
def test_a_store_may_have_to_be_waited_for(count: int) -> None:
    store = FarAway(PASSED)
    exchange = looked_at()
    exchange.started = 7.0
    work = gate_of(rate_limit([Limit(LOGIN, client)] * count, store))(exchange)
    assert isinstance(work, Work)
    assert store.asked == [], "not on the loop"
    assert work.then(work.call()) is None
    assert exchange.limited == "PASSED"
    assert [(list(keys), now) for keys, now in store.asked] == [
        ([b"\xc0\x00\x02\x01"] * count, 7.0)
    ]


def test_a_store_that_was_waited_for_may_refuse() -> None:
    store = FarAway(Decision("REJECTED", 0.0, LOGIN, 3.2))
    work = gate_of(rate_limit([Limit(LOGIN, client, 503)], store))(looked_at())
    assert isinstance(work, Work)
    with pytest.raises(BadRequestError, match="rate limit login") as raised:
        work.then(work.call())
    assert raised.value.status == 503
    assert field_values(raised.value.fields, "retry-after") == ["4"]
