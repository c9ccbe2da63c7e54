from collections.abc import Iterable, Iterator
from functools import cache
from itertools import count, islice
from typing import Any

import pytest
from hypothesis import given, settings, strategies as st

from proxy.state.buckets import SIZE, BucketTable, SoleMeter, Spot
from proxy.state.counters import Figures
from proxy.state.locks import file_locks
from proxy.state.rate_store import PASSED, Decision, Meter, Quota
from tests.state import nginx_limit_req as nginx

KEY = bytes(range(32))
LOGIN = Quota("login", 5, 60.0, 3)
NOW = 1000.0


def new_table() -> BucketTable:
    return BucketTable(memoryview(bytearray(SIZE)), KEY)


def said(meter: Meter, now: float, *keys: bytes | None) -> Decision:
    decision = meter.ask(keys or (b"key",), now)
    assert isinstance(decision, Decision)
    return decision


def passes(meter: Meter, now: float, *keys: bytes | None) -> bool:
    return said(meter, now, *keys).quota is None


def admitted(meter: Meter, times: Iterable[float], *keys: bytes | None) -> list[float]:
    return [now for now in times if passes(meter, now, *keys)]


# What rate and burst mean.


def test_a_burst_passes_at_once_and_then_one_each_interval() -> None:
    meter = new_table().meter([LOGIN])
    assert admitted(meter, [NOW] * 10) == [NOW] * 4
    assert admitted(meter, [NOW + tenth / 10 for tenth in range(1, 500)]) == [
        pytest.approx(NOW + seconds) for seconds in (12, 24, 36, 48)
    ]


def test_a_bucket_is_never_more_than_full() -> None:
    meter = new_table().meter([LOGIN])
    assert passes(meter, NOW)
    assert admitted(meter, [NOW + 1e6] * 10) == [NOW + 1e6] * 4


def test_without_a_burst_requests_keep_their_distance() -> None:
    meter = new_table().meter([Quota("api", 10, 1.0)])
    assert admitted(meter, [NOW, NOW + 0.05, NOW + 0.11, NOW + 0.15, NOW + 0.21]) == [
        NOW, NOW + 0.11, NOW + 0.21,
    ]  # fmt: skip


def test_a_refusal_counts_for_nothing_and_says_when_to_come_again() -> None:
    meter = new_table().meter([LOGIN])
    admitted(meter, [NOW] * 4)
    for _ in range(100):
        refused = said(meter, NOW + 2.0)
        assert (refused.status, refused.quota) == ("REJECTED", LOGIN)
        assert refused.retry_after == pytest.approx(10.0)
    assert not passes(meter, NOW + 11.999)
    assert passes(meter, NOW + 12.0)


@pytest.mark.parametrize("uptime", [0.0, 12345.678, 1e8])
@pytest.mark.parametrize("burst", [0, 3, 20, 5000])
def test_sums_of_floating_point_numbers_cost_nobody_a_request(uptime: float, burst: int) -> None:
    meter = new_table().meter([Quota("odd", 7, 60.0, burst)])
    assert len(admitted(meter, [uptime] * (burst + 50))) == burst + 1


def test_a_process_whose_time_is_behind_is_let_through_no_more() -> None:
    meter = new_table().meter([LOGIN])
    assert len(admitted(meter, [NOW, NOW - 0.5, NOW + 0.001, NOW - 5.0, NOW, NOW + 1.0])) == 4


def test_requests_of_the_burst_wait_for_their_turn_with_delay() -> None:
    meter = new_table().meter([Quota("slow", 2, 1.0, 3, delay=True)])
    found = [said(meter, NOW) for _ in range(5)]
    assert [one.status for one in found] == ["PASSED"] + ["DELAYED"] * 3 + ["REJECTED"]
    assert [one.delay for one in found] == pytest.approx([0.0, 0.5, 1.0, 1.5, 0.0])
    assert said(meter, NOW + 2.0 - 0.0005) is PASSED, "nginx does not wait for half a millisecond"


arrivals = st.lists(
    st.one_of(st.integers(0, 50), st.integers(0, 13_000), st.integers(0, 200_000)), max_size=60
)


@pytest.mark.parametrize(
    ("number", "seconds", "burst"),
    [(5, 60, 3), (10, 60, 5), (100, 60, 20), (1, 60, 0), (7, 60, 1), (3, 1, 10), (1000, 1, 50)],
)
@settings(max_examples=60, deadline=None)
@given(gaps=arrivals)
def test_what_nginx_admits_is_admitted_and_what_it_refuses_is_refused(
    number: int, seconds: int, burst: int, gaps: list[int]
) -> None:
    zone = nginx.Zone(number, seconds)
    limits = [nginx.Limit(zone, burst)]
    quota = Quota("same", number, float(seconds), burst, delay=True)
    meter = new_table().meter([quota])
    now, start, rate = 5_000_000, 5_000_000, 1000 * number / seconds
    for requests, gap in enumerate(gaps, 1):
        now += gap
        wait, excess = nginx.handle(limits, "key", now)
        # nginx leaves out the rest of its rate, and of each division: so much it may be behind.
        behind = requests + (rate - zone.rate) * (now - start) / 1000
        if excess - behind <= burst * 1000 < excess:
            break  # only one of the two may refuse, and from then on they differ
        ours = said(meter, now / 1000)
        assert (ours.quota is None) == (wait != nginx.BUSY)
        if wait != nginx.BUSY:
            longest = excess * 1000 / zone.rate
            shortest = max(0.0, excess - behind) * 1000 / rate
            assert shortest - 1.1 <= ours.delay * 1000 <= longest + 0.1
            assert longest - 1.0 <= wait <= longest


@settings(max_examples=60, deadline=None)
@given(gaps=arrivals)
def test_several_limits_admit_what_they_admit_at_nginx(gaps: list[int]) -> None:
    zones = [nginx.Zone(60, 60), nginx.Zone(6, 60)]  # rates without a rest
    bursts = (1, 6)
    limits = [nginx.Limit(zone, burst) for zone, burst in zip(zones, bursts, strict=True)]
    table = new_table()
    meter = table.meter([Quota("a", 60, 60.0, 1), Quota("b", 6, 60.0, 6)])
    now = 5_000_000
    for requests, gap in enumerate(gaps, 1):
        now += gap
        excesses = [
            nginx.excess_of(zone, zone.nodes["key"], now)[0] if "key" in zone.nodes else 0
            for zone in zones
        ]
        if any(0 < e - b * 1000 <= requests for e, b in zip(excesses, bursts, strict=True)):
            break
        wait, _ = nginx.handle(limits, "key", now)
        assert passes(meter, now / 1000, b"key", b"key") == (wait != nginx.BUSY)


# Several quotas, dry runs, and what is counted.


def test_what_one_quota_refuses_the_others_do_not_count() -> None:
    table = new_table()
    small, large = Quota("small", 1, 60.0, 1), Quota("large", 1, 90.0, 5)
    for order in ([small, large], [large, small]):
        keys = (b"".join(quota.name.encode() for quota in order),) * 2
        both = table.meter(order)
        assert len(admitted(both, [NOW] * 9, *keys)) == 2
        assert len(admitted(table.meter([large]), [NOW] * 9, keys[0])) == 4
        assert said(both, NOW, *keys).quota is large


def test_of_several_refusals_the_longest_is_told() -> None:
    fast, slow = Quota("fast", 1, 1.0), Quota("slow", 1, 60.0)
    for order in ([fast, slow], [slow, fast]):
        meter = new_table().meter(order)
        assert passes(meter, NOW, b"a", b"a")
        refused = said(meter, NOW, b"a", b"a")
        assert refused.quota is slow
        assert refused.retry_after == pytest.approx(60.0)


def test_of_several_delays_the_longest_counts() -> None:
    table = new_table()
    meter = table.meter([
        Quota("a", 1, 1.0, 5, delay=True), Quota("b", 1, 3.0, 5, delay=True), Quota("c", 1, 9.0, 5),
    ])  # fmt: skip
    keys = (b"a",) * 3
    assert said(meter, NOW, *keys) is PASSED
    found = said(meter, NOW, *keys)
    assert found.status == "DELAYED"
    assert found.delay == pytest.approx(3.0)


def test_a_quota_that_does_not_apply_has_no_say() -> None:
    table = new_table()
    sole, both = table.meter([LOGIN]), table.meter([LOGIN, Quota("other", 1, 60.0)])
    assert said(sole, NOW, None) is PASSED
    assert len(admitted(both, [NOW] * 9, b"x", None)) == 4
    assert said(both, NOW, None, None) is PASSED
    assert passes(both, NOW, None, b"x")
    assert not passes(both, NOW, None, b"x")


def test_a_dry_run_says_what_would_be_and_lets_all_pass() -> None:
    meter = new_table().meter([Quota("a", 1, 1.0, 1, dry_run=True, delay=True)])
    found = [said(meter, NOW) for _ in range(4)]
    assert [one.status for one in found] == [
        "PASSED", "DELAYED_DRY_RUN", "REJECTED_DRY_RUN", "REJECTED_DRY_RUN",
    ]  # fmt: skip
    assert all(one.quota is None and one.delay == 0.0 for one in found)
    assert said(meter, NOW + 1.0).status == "DELAYED_DRY_RUN", "refusals were not counted"


def test_a_dry_run_beside_a_quota_in_force() -> None:
    table = new_table()
    dry, firm = Quota("dry", 1, 60.0, 0, dry_run=True), Quota("firm", 1, 1.0, 2, delay=True)
    for order in ([dry, firm], [firm, dry]):
        keys = (order[0].name.encode(),) * 2
        meter = table.meter(order)
        found = [said(meter, NOW, *keys) for _ in range(4)]
        assert [one.status for one in found] == ["PASSED", "DELAYED", "DELAYED", "REJECTED"]
        assert found[3].quota is firm
        assert said(meter, NOW + 5.0, *keys).status == "REJECTED_DRY_RUN"


def test_hits_are_counted_by_worker_and_by_quota() -> None:
    table = new_table()
    table.figures = Figures()
    meter = table.meter([LOGIN])
    admitted(meter, [NOW] * 10)
    both = table.meter([Quota("a", 1, 1.0, 1, delay=True), Quota("b", 1, 60.0, 2, dry_run=True)])
    for _ in range(4):
        said(both, NOW, b"", b"")
    said(both, NOW + 50.0, b"", b"")
    figures = table.figures
    assert (figures.requests_limited, figures.requests_delayed, figures.limits_dry_run) == (8, 1, 0)
    assert table.hit_counts() == {
        "login": {"refused": 6, "delayed": 0, "dry_run": 0},
        "a": {"refused": 2, "delayed": 1, "dry_run": 0},
        "b": {"refused": 0, "delayed": 0, "dry_run": 0},
    }
    said(both, NOW + 50.0, None, b"")
    assert (figures.limits_dry_run, table.hits["b"].dry_run) == (1, 1)


# Which bucket is whose.


@pytest.mark.parametrize(
    "other",
    [
        Quota("Login", 5, 60.0, 3), Quota("login", 6, 60.0, 3), Quota("login", 5, 1.0, 3),
        Quota("login", 5, 60.0, 4), Quota("login", 5, 60.0, 3, key="header:x-key"),
    ],
)  # fmt: skip
def test_another_quota_has_other_buckets(other: Quota) -> None:
    table = new_table()
    admitted(table.meter([LOGIN]), [NOW] * 4)
    assert passes(table.meter([other]), NOW)
    assert not passes(table.meter([LOGIN]), NOW)


@pytest.mark.parametrize(
    "same", [LOGIN, Quota("login", 5, 60.0, 3, delay=True), Quota("login", 5, 60.0, 3)]
)
def test_a_quota_keeps_its_buckets_over_a_reload(same: Quota) -> None:
    table = new_table()
    admitted(table.meter([LOGIN]), [NOW] * 4)
    assert not passes(table.meter([same]), NOW)


def test_a_dry_run_that_is_put_in_force_keeps_its_buckets() -> None:
    table = new_table()
    admitted(table.meter([Quota("login", 5, 60.0, 3, dry_run=True)]), [NOW] * 9)
    assert not passes(table.meter([LOGIN]), NOW)


def test_keys_of_any_length_have_buckets_of_their_own() -> None:
    table = new_table()
    meter = table.meter([LOGIN])
    keys = [b"", b"x", b"x" * 64, b"x" * 65, b"x" * 32_000, b"x" * 32_001]
    for key in keys:
        assert len(admitted(meter, [NOW] * 9, key)) == 4
    (buckets,) = table._made.values()
    assert max(map(len, buckets._known)) == 64


def test_what_is_remembered_is_bounded() -> None:
    table = new_table()
    meter = table.meter([LOGIN])
    for number in range(10_000):
        passes(meter, NOW, number.to_bytes(4))
    (buckets,) = table._made.values()
    assert 0 < len(buckets._known) <= 4096
    again = [passes(meter, NOW, number.to_bytes(4)) for number in range(10_000) for _ in range(3)]
    assert all(again), "three of four requests were left in every bucket"
    assert not any(passes(meter, NOW, number.to_bytes(4)) for number in range(10_000))


# What happens on a full shelf.


def same_shelf(quota: Quota, shelf: int = 0) -> Iterator[bytes]:
    """Keys whose buckets of a quota are on one shelf of a new table."""
    return iter(found_on_shelf(quota, shelf))


@cache
def found_on_shelf(quota: Quota, shelf: int) -> list[bytes]:
    table = new_table()
    keys = (number.to_bytes(8) for number in count())
    on_it = (key for key in keys if table.spot(quota.identity, key, single=False).shelf == shelf)
    return list(islice(on_it, 22))


def spot_of(table: BucketTable, quota: Quota, key: bytes) -> Spot:
    return table.spot(quota.identity, key, single=quota.single)


def has_place(table: BucketTable, quota: Quota, key: bytes) -> bool:
    return table._find(spot_of(table, quota, key))


def drain(meter: Meter, now: float, key: bytes) -> int:
    return len(admitted(meter, [now] * 9, key))


def test_a_new_key_takes_the_place_of_a_full_bucket() -> None:
    table = new_table()
    meter = table.meter([LOGIN])
    keys = same_shelf(LOGIN)
    rested, *drained = [next(keys) for _ in range(7)]
    passes(meter, NOW, rested)
    for key in drained:
        drain(meter, NOW + 13.0, key)
    assert drain(meter, NOW + 13.0, next(keys)) == 4
    assert not has_place(table, LOGIN, rested)
    assert table.figures.buckets_put_out == 0
    assert not any(passes(meter, NOW + 13.0, key) for key in drained)


def test_on_a_full_shelf_the_fullest_is_put_out_and_gains_nothing() -> None:
    table = new_table()
    meter = table.meter([LOGIN])
    keys = same_shelf(LOGIN)
    first, *others = [next(keys) for _ in range(7)]
    drain(meter, NOW, first)
    for key in others:
        drain(meter, NOW + 1.0, key)
    assert passes(meter, NOW + 1.0, next(keys))
    assert not has_place(table, LOGIN, first)
    assert all(has_place(table, LOGIN, key) for key in others)
    assert table.figures.buckets_put_out == 1
    assert drain(meter, NOW + 1.0, first) == 1, "the one that everybody has"
    assert drain(meter, NOW + 49.0, first) == 4


def test_strangers_on_a_shelf_that_attackers_hold_have_one_request() -> None:
    table = new_table()
    meter = table.meter([LOGIN])
    keys = same_shelf(LOGIN)
    for _ in range(20):
        drain(meter, NOW, next(keys))
    assert drain(meter, NOW + 1.0, next(keys)) == 1
    assert drain(meter, NOW + 50.0, next(keys)) == 4


def test_a_bucket_that_stands_alone_is_not_put_out() -> None:
    table = new_table()
    every = Quota("all", 100, 60.0, 20, key="global", single=True)
    sole, meter = table.meter([every]), table.meter([LOGIN])
    admitted(sole, [NOW] * 21, b"")
    keys = same_shelf(LOGIN, spot_of(table, every, b"").shelf)
    for _ in range(20):
        drain(meter, NOW, next(keys))
    assert has_place(table, every, b"")
    assert not passes(sole, NOW, b"")
    assert passes(sole, NOW + 0.6, b"")


def test_a_quick_quota_does_not_free_the_buckets_of_a_slow_one() -> None:
    table = new_table()
    slow, quick = Quota("slow", 10, 3600.0, 2), Quota("quick", 100, 60.0, 20)
    hourly, meter = table.meter([slow]), table.meter([quick])
    keys = same_shelf(slow)
    held = [next(keys) for _ in range(7)]
    for number, key in enumerate(held):
        drain(hourly, NOW + number, key)
    strangers = same_shelf(quick)
    for _ in range(20):
        assert passes(meter, NOW + 10.0, next(strangers))
    assert drain(hourly, NOW + 10.0, held[0]) == 1
    assert drain(hourly, NOW + 10.0, held[0]) == 0


@settings(max_examples=100, deadline=None)
@given(
    requests=st.lists(
        st.tuples(st.integers(0, 9), st.booleans(), st.sampled_from([0.0, 0.0, 0.1, 5.0, 50.0])),
        max_size=150,
    )
)
def test_who_is_put_out_comes_back_to_one_request_at_most(
    requests: list[tuple[int, bool, float]],
) -> None:
    """Against buckets without bounds: only a key without a place passes when it should not."""
    table = new_table()
    quotas = Quota("slow", 1, 30.0, 2), Quota("quick", 1, 3.0, 1)
    meters = [table.meter([quota]) for quota in quotas]
    slow_keys = same_shelf(quotas[0])
    keys = [[next(slow_keys) for _ in range(10)]]
    quick_keys = same_shelf(quotas[1])
    keys.append([next(quick_keys) for _ in range(10)])
    full_at: dict[tuple[int, int], float] = {}
    now = NOW
    for number, quick, gap in requests:
        now += gap
        quota, key = quotas[quick], keys[quick][number]
        had_place = has_place(table, quota, key)
        passed = passes(meters[quick], now, key)
        ahead = max(0.0, full_at.get((quick, number), 0.0) - now)
        if passed:
            assert ahead <= quota.burst * quota.interval + 1e-6 or not had_place
            full_at[quick, number] = now + ahead + quota.interval
        else:
            assert ahead > 0 or table._times[spot_of(table, quota, key).shelf + 1] > now


class Dying(Exception):  # noqa: N818 - no error: the end of a process
    """The process ends here."""


class Deadly:
    """Memory whose nth store is never made."""

    def __init__(self, memory: Any, life: list[int]) -> None:  # noqa: ANN401 - of ints or of floats
        self.memory = memory
        self.life = life

    def __getitem__(self, at: int | slice) -> object:
        return self.memory[at]

    def __setitem__(self, at: int, value: float) -> None:
        if self.life[0] == 0:
            raise Dying
        self.life[0] -= 1
        self.memory[at] = value


@pytest.mark.parametrize("stores", range(5))
def test_whoever_dies_between_two_stores_leaves_whole_buckets(stores: int) -> None:
    table = new_table()
    meter = table.meter([LOGIN])
    keys = same_shelf(LOGIN)
    held = [next(keys) for _ in range(7)]
    for key in held:
        drain(meter, NOW, key)
    words, times, life = table._words, table._times, [stores]
    table._words, table._times = Deadly(words, life), Deadly(times, life)  # type: ignore[assignment]
    newcomer = next(keys)
    if stores < 4:
        with pytest.raises(Dying):
            passes(meter, NOW + 1.0, newcomer)
    else:
        assert passes(meter, NOW + 1.0, newcomer)
    table._words, table._times = words, times
    # Nobody has a fuller bucket than before, but for the one request without a place.
    placed = [key for key in held if has_place(table, LOGIN, key)]
    assert len(placed) >= 6
    assert not any(passes(meter, NOW + 1.0, key) for key in placed)
    assert all(drain(meter, NOW + 1.0, key) <= 1 for key in held)


# Locks.


class Withheld:
    """A lock that cannot be had, or was left by somebody dead."""

    def __init__(self, *, granted: bool) -> None:
        self.granted = granted
        self.held = 0

    def take(self) -> int:
        return 16

    def settle(self, code: int) -> bool:
        assert code == 16
        self.held += self.granted
        return self.granted

    def give(self) -> None:
        self.held -= 1


@pytest.mark.parametrize("granted", [True, False])
def test_a_lock_that_cannot_be_had_stops_nobody(*, granted: bool) -> None:
    own = Withheld(granted=granted)
    table = BucketTable(memoryview(bytearray(SIZE)), KEY, [own])
    assert len(admitted(table.meter([LOGIN]), [NOW] * 9)) == 4
    both = table.meter([LOGIN, Quota("other", 1, 60.0, 1)])
    assert len(admitted(both, [NOW] * 9, b"x", b"x")) == 2
    assert own.held == 0


def test_the_locks_of_several_quotas_are_taken_in_order() -> None:
    taken: list[int] = []

    class Told(Withheld):
        def __init__(self, number: int) -> None:
            super().__init__(granted=True)
            self.number = number

        def take(self) -> int:
            taken.append(self.number)
            return 0

    table = BucketTable(memoryview(bytearray(SIZE)), KEY, [Told(number) for number in range(4)])
    meter = table.meter([Quota(str(number), 1, 60.0) for number in range(8)])
    for number in range(20):
        said(meter, NOW, *[number.to_bytes(4)] * 8)
        assert taken == sorted(set(taken))
        assert len(taken) > 1
        taken.clear()


def test_a_table_made_for_use_works_with_either_kind_of_lock() -> None:
    for table in (
        BucketTable.create(),
        BucketTable(memoryview(bytearray(SIZE)), KEY, file_locks(64)),
    ):
        meter = table.meter([LOGIN])
        assert isinstance(meter, SoleMeter)
        assert len(admitted(meter, [NOW] * 9)) == 4
