from collections import Counter
from random import Random

import pytest
from hypothesis import given, strategies as st

from proxy.upstream.group import Availability, PeerGroup
from proxy.upstream.peer import Peer
from proxy.upstream.plan import PoolPlan, ServerPlan
from tests.fakes.exchanges import looked_at

REQUEST = looked_at()
OUT = 10.0  # the plan's fail_timeout


def server(host: str, *, weight: int = 1, backup: bool = False) -> ServerPlan:
    return ServerPlan(f"http://{host}:80", "http", host, 80, weight=weight, backup=backup)


def group_of(*servers: ServerPlan | str, share: int = 200, max_fails: int = 3) -> PeerGroup:
    """A group in which each server has one address, its own name."""
    plans = tuple(each if isinstance(each, ServerPlan) else server(each) for each in servers)
    plan = PoolPlan("app", plans, max_connections=share, max_fails=max_fails, fail_timeout=OUT)
    group = PeerGroup(plan, Random(1))
    for each in plans:
        assert group.update(each, [(each.host, 80)]) == []
    return group


def peer(group: PeerGroup, host: str) -> Peer:
    (found,) = (peer for peer in group if peer.address[0] == host)
    return found


def picks(group: PeerGroup, now: float, count: int = 6) -> str:
    names = []
    for _ in range(count):
        picked = group.pick(now, REQUEST)
        names.append("-" if picked is None else str(picked.address[0]))
    return "".join(sorted(names))


def fail(group: PeerGroup, host: str, now: float, times: int = 3) -> bool:
    return [group.failed(peer(group, host), now) for _ in range(times)][-1]


# Addresses.


def test_without_addresses_nobody_can_be_picked() -> None:
    group = PeerGroup(PoolPlan("app", (server("a"),)), Random(1))
    assert len(group) == 0
    assert group.pick(0.0, REQUEST) is None
    assert group.verdict(0.0) is Availability.REFUSING


def test_all_addresses_of_a_name_are_used_with_the_weight_each() -> None:
    light, heavy = server("a"), server("b", weight=2)
    group = group_of(light, heavy)
    group.update(heavy, [("x", 80), ("y", 80)])
    assert [peer.label for peer in group] == [
        "http://a:80",
        "http://b:80 (x:80)",
        "http://b:80 (y:80)",
    ]
    assert Counter(picks(group, 0.0, 50)) == {"a": 10, "x": 20, "y": 20}


def test_peers_whose_address_stays_keep_their_state() -> None:
    plan = server("a")
    group = group_of(plan)
    group.update(plan, [("x", 80), ("y", 80)])
    stays, goes = group
    stays.active = 7
    assert group.update(plan, [("z", 80), ("x", 80)]) == [goes]
    assert (goes.gone, stays.gone, stays.active) == (True, False, 7)
    assert peer(group, "x") is stays
    assert len(group) == 2
    assert group.update(plan, [("x", 80)]) != []
    assert stays.label == "http://a:80"


def test_a_peer_that_comes_back_is_a_new_one() -> None:
    plan = server("a")
    group = group_of(plan)
    (old,) = group
    old.down = True
    group.update(plan, [("x", 80)])
    group.update(plan, [("a", 80)])
    assert [each.down for each in group] == [False]
    assert peer(group, "a") is not old


def test_unix_sockets_are_addresses_too() -> None:
    plan = ServerPlan("unix:/run/app.sock", "http", "", 0, unix_path="/run/app.sock")
    group = PeerGroup(PoolPlan("app", (plan,)), Random(1))
    group.update(plan, ["/run/app.sock"])
    picked = group.pick(0.0, REQUEST)
    assert picked is not None
    assert (picked.address, picked.label) == ("/run/app.sock", "unix:/run/app.sock")


def test_a_server_that_the_plan_does_not_have_is_refused() -> None:
    with pytest.raises(KeyError):
        group_of("a").update(server("b"), [("b", 80)])


# A single peer.


def test_a_single_peer_is_picked_however_often_it_fails() -> None:
    group = group_of("a")
    assert not fail(group, "a", 0.0, times=100)
    assert group.pick(0.0, REQUEST) is peer(group, "a")
    assert group.verdict(0.0) is Availability.READY


def test_a_single_peer_is_not_picked_when_tried_full_or_down() -> None:
    group = group_of("a", share=2)
    only = peer(group, "a")
    assert group.pick(0.0, REQUEST, [only]) is None
    assert group.verdict(0.0, [only]) is Availability.REFUSING
    only.active = 2
    assert group.pick(0.0, REQUEST) is None
    assert group.verdict(0.0) is Availability.SATURATED
    only.active = 0
    assert group.set_health(only, up=False)
    assert group.pick(0.0, REQUEST) is None
    assert group.verdict(0.0) is Availability.REFUSING
    assert group.set_health(only, up=True)
    assert group.pick(0.0, REQUEST) is only


def test_who_is_left_alone_is_forgiven() -> None:
    plan = server("a")
    group = group_of(plan)
    group.update(plan, [("x", 80), ("y", 80)])
    fail(group, "x", 0.0)
    group.update(plan, [("x", 80)])
    group.update(plan, [("x", 80), ("z", 80)])
    assert picks(group, 0.0, 4) == "xxzz"


# Tiers.


def test_backups_serve_only_while_no_primary_can() -> None:
    group = group_of("a", "b", server("s", backup=True), share=5)
    assert picks(group, 0.0) == "aaabbb"
    group.set_health(peer(group, "a"), up=False)
    assert picks(group, 0.0) == "bbbbbb"
    fail(group, "b", 0.0)
    assert picks(group, 0.0) == "ssssss"
    group.set_health(peer(group, "a"), up=True)
    assert picks(group, 0.0) == "aaaaaa"


def test_a_backup_is_there_for_who_tried_all_primaries() -> None:
    group = group_of("a", server("s", backup=True))
    tried = [peer(group, "a")]
    assert group.pick(0.0, REQUEST, tried) is peer(group, "s")


def test_full_primaries_queue_rather_than_use_the_backup() -> None:
    group = group_of("a", "b", server("s", backup=True), share=1)
    peer(group, "a").active = peer(group, "b").active = 1
    assert group.pick(0.0, REQUEST) is None
    assert group.verdict(0.0) is Availability.SATURATED


def test_a_full_peer_is_passed_over() -> None:
    group = group_of("a", "b", share=3)
    peer(group, "a").active = 3
    assert picks(group, 0.0) == "bbbbbb"
    assert group.verdict(0.0) is Availability.READY


def test_a_tried_peer_is_passed_over() -> None:
    group = group_of("a", "b", "c")
    tried = [peer(group, "a"), peer(group, "c")]
    for _ in range(5):
        assert group.pick(0.0, REQUEST, tried) is peer(group, "b")
    assert group.pick(0.0, REQUEST, list(group)) is None
    assert group.verdict(0.0, list(group)) is Availability.REFUSING


def test_all_down_refuses_even_with_backups() -> None:
    group = group_of("a", server("s", backup=True))
    for each in group:
        group.set_health(each, up=False)
    assert group.pick(0.0, REQUEST) is None
    assert group.verdict(0.0) is Availability.REFUSING


def test_workers_share_the_limit_and_each_may_have_one() -> None:
    plan = PoolPlan("app", (server("a"),), max_connections=10)
    assert [PeerGroup(plan, Random(1), workers).share for workers in (1, 4, 64)] == [10, 2, 1]


# Passive health.


def test_failures_take_a_peer_out_for_a_time_then_one_request_tries_it() -> None:
    group = group_of("a", "b")
    assert not fail(group, "a", 0.0, times=2)
    assert picks(group, 0.0, 4) == "aabb"
    assert fail(group, "a", 1.0, times=1)
    assert picks(group, 1.0 + OUT - 0.1) == "bbbbbb"
    assert picks(group, 1.0 + OUT) == "abbbbb"
    group.succeeded(peer(group, "a"))
    assert picks(group, 1.0 + OUT) == "aaabbb"


def test_a_failed_trial_takes_the_peer_out_again_and_is_no_news() -> None:
    group = group_of("a", "b")
    fail(group, "a", 0.0)
    assert picks(group, OUT) == "abbbbb"
    assert not group.failed(peer(group, "a"), OUT + 1)
    assert picks(group, OUT + 1 + OUT - 0.1) == "bbbbbb"
    assert picks(group, OUT + 1 + OUT) == "abbbbb"


def test_a_trial_without_an_outcome_is_followed_by_another() -> None:
    group = group_of("a", "b")
    fail(group, "a", 0.0)
    assert picks(group, OUT) == "abbbbb"
    assert picks(group, 2 * OUT) == "abbbbb"


def test_a_late_success_of_an_old_request_brings_nobody_back() -> None:
    group = group_of("a", "b")
    fail(group, "a", 0.0)
    group.succeeded(peer(group, "a"))
    assert picks(group, 1.0) == "bbbbbb"


def test_successes_between_do_not_undo_failures() -> None:
    group = group_of("a", "b")
    for _ in range(3):
        group.succeeded(peer(group, "a"))
        group.failed(peer(group, "a"), 0.0)
    assert picks(group, 0.0) == "bbbbbb"


def test_failures_far_apart_take_nobody_out() -> None:
    group = group_of("a", "b")
    assert not any(group.failed(peer(group, "a"), now * OUT * 0.6) for now in range(20))


def test_zero_max_fails_switches_it_off() -> None:
    group = group_of("a", "b", max_fails=0)
    assert not fail(group, "a", 0.0, times=100)
    assert picks(group, 0.0) == "aaabbb"


def test_when_all_are_out_the_one_whose_time_is_up_first_is_tried() -> None:
    group = group_of("a", "b", server("s", backup=True))
    fail(group, "b", 0.0)
    fail(group, "a", 1.0)
    fail(group, "s", 2.0)
    tried: list[Peer] = []
    for host in "bas":
        assert group.verdict(3.0, tried) is Availability.READY
        picked = group.pick(3.0, REQUEST, tried)
        assert picked is peer(group, host)
        tried.append(picked)
    assert group.verdict(3.0, tried) is Availability.REFUSING
    group.succeeded(peer(group, "a"))
    assert picks(group, 3.0) == "aaaaaa"


def test_all_out_and_full_is_saturated() -> None:
    group = group_of("a", "b", share=1)
    for host in "ab":
        fail(group, host, 0.0)
        peer(group, host).active = 1
    assert group.pick(0.0, REQUEST) is None
    assert group.verdict(0.0) is Availability.SATURATED


# Active health.


def test_a_verdict_is_news_once() -> None:
    group = group_of("a", "b")
    assert not group.set_health(peer(group, "a"), up=True)
    assert group.set_health(peer(group, "a"), up=False)
    assert not group.set_health(peer(group, "a"), up=False)
    assert picks(group, 0.0) == "bbbbbb"


def test_a_good_probe_forgives_failures() -> None:
    group = group_of("a", "b")
    fail(group, "a", 0.0)
    group.set_health(peer(group, "a"), up=False)
    group.set_health(peer(group, "a"), up=True)
    assert picks(group, 0.0) == "aaabbb"


def test_health_of_an_address_survives_an_update() -> None:
    plan = server("a")
    group = group_of(plan)
    group.update(plan, [("x", 80), ("y", 80)])
    group.set_health(peer(group, "x"), up=False)
    group.update(plan, [("x", 80), ("z", 80)])
    assert picks(group, 0.0) == "zzzzzz"


# Whatever happens.

HOSTS = "abcs"
EVENTS = st.one_of(
    st.tuples(st.just("pick"), st.sampled_from([(), *HOSTS, "ab", "abc", "abcs"])),
    st.tuples(st.sampled_from(["failed", "up", "down", "full", "free", "goes", "comes"]),
              st.sampled_from(HOSTS)),
    st.tuples(st.just("succeeded"), st.sampled_from(HOSTS)),
    st.tuples(st.just("wait"), st.sampled_from([0.1, 5.0, 10.0])),
)  # fmt: skip
BALANCES = ["round_robin", "least_connections", "random_two", "ip_hash"]


class Life:
    """Carries out events on a group and checks every pick against the rules."""

    def __init__(self, balance: str) -> None:
        self.servers = {host: server(host, backup=host == "s") for host in HOSTS}
        plan = PoolPlan("app", tuple(self.servers.values()), balance, max_connections=2)
        self.group = PeerGroup(plan, Random(1))
        self.now = 0.0
        for host in HOSTS:
            self.comes(host)

    def peers(self, hosts: str) -> list[Peer]:
        return [each for each in self.group if str(each.address[0]) in hosts]

    def comes(self, host: str) -> None:
        self.group.update(self.servers[host], [(host, 80)])

    def goes(self, host: str) -> None:
        self.group.update(self.servers[host], [])

    def pick(self, hosts: str) -> None:
        tried = self.peers(hosts)
        verdict = self.group.verdict(self.now, tried)
        able = [each for each in self.group if not each.down and each not in tried]
        sound = [each for each in able if each.out_until <= self.now]
        picked = self.group.pick(self.now, REQUEST, tried)
        if picked is None:
            assert verdict is (Availability.SATURATED if able else Availability.REFUSING)
            primaries = [each for each in sound if not each.server.backup]
            assert all(each.active >= 2 for each in primaries or sound or able)
        else:
            assert verdict is Availability.READY
            assert picked in able
            assert picked.active < 2
            assert picked in sound or not sound
            assert not picked.server.backup or all(each.server.backup for each in sound)

    def do(self, event: str, hosts: str) -> None:
        for each in self.peers(hosts):
            match event:
                case "failed":
                    self.group.failed(each, self.now)
                case "succeeded":
                    self.group.succeeded(each)
                case "full" | "free":
                    each.active = 2 if event == "full" else 0
                case "up" | "down":
                    self.group.set_health(each, up=event == "up")
                case _:
                    raise AssertionError(event)


@given(st.lists(EVENTS, max_size=60), st.sampled_from(BALANCES))
def test_a_pick_keeps_all_rules(events: list[tuple[str, str | float]], balance: str) -> None:
    life = Life(balance)
    for event, subject in events:
        if isinstance(subject, float):
            life.now += subject
        elif event == "pick":
            life.pick("".join(subject))
        elif event in {"goes", "comes"}:
            getattr(life, event)(subject)
        else:
            life.do(event, subject)
