from collections import Counter
from random import Random

import pytest
from hypothesis import given, strategies as st

from proxy.upstream.balance import (
    AddressHash,
    FieldHash,
    LeastConnections,
    RandomTwo,
    RoundRobin,
    make_balancer,
    score,
)
from proxy.upstream.peer import Peer
from proxy.upstream.plan import PoolPlan, ServerPlan
from tests.fakes.exchanges import looked_at

REQUEST = looked_at()


def peers_of(*weights: int) -> list[Peer]:
    return [
        Peer(ServerPlan(f"http://{name}:80", "http", name, 80, weight=weight), (name, 80), 3)
        for name, weight in zip("abcdefghijklmnop", weights, strict=False)
    ]


def name(peer: Peer) -> str:
    return peer.server.host


def test_round_robin_is_smooth() -> None:
    # The example of nginx's commit that brought the algorithm.
    peers = peers_of(5, 1, 1)
    picks = [name(RoundRobin().choose(peers, REQUEST)) for _ in range(7)]
    assert "".join(picks) == "aabacaa"


@given(st.lists(st.integers(1, 20), min_size=1, max_size=8))
def test_round_robin_gives_each_its_weight_in_every_cycle(weights: list[int]) -> None:
    peers = peers_of(*weights)
    for _ in range(2):
        picks = Counter(name(RoundRobin().choose(peers, REQUEST)) for _ in range(sum(weights)))
        assert picks == {name(peer): peer.weight for peer in peers}


@given(st.lists(st.integers(1, 9), min_size=2, max_size=6), st.data())
def test_round_robin_forgets_nothing_while_a_peer_is_away(
    weights: list[int], data: st.DataObject
) -> None:
    peers = peers_of(*weights)
    for _ in range(20):
        some = data.draw(st.lists(st.sampled_from(peers), min_size=1, unique_by=name))
        assert RoundRobin().choose(some, REQUEST) in some
    # What one is owed the others owe: nothing is made or lost, so nobody can run away.
    assert sum(peer.current_weight for peer in peers) == 0


def test_least_connections_takes_the_idlest_for_its_weight() -> None:
    peers = peers_of(1, 4, 1)
    peers[0].active, peers[1].active, peers[2].active = 1, 3, 2
    assert name(LeastConnections().choose(peers, REQUEST)) == "b"
    peers[1].active = 5
    assert name(LeastConnections().choose(peers, REQUEST)) == "a"


def test_least_connections_takes_turns_among_equals() -> None:
    peers = peers_of(1, 1, 1)
    peers[1].active = 1
    picks = [name(LeastConnections().choose(peers, REQUEST)) for _ in range(4)]
    assert sorted(picks) == ["a", "a", "c", "c"]
    assert picks[0] != picks[1]


@given(st.lists(st.integers(1, 9), min_size=1, max_size=6), st.integers(1, 200))
def test_least_connections_never_loads_one_beyond_its_share(
    weights: list[int], requests: int
) -> None:
    peers = peers_of(*weights)
    for _ in range(requests):
        LeastConnections().choose(peers, REQUEST).active += 1
    fair = requests / sum(weights)
    assert all(peer.active <= fair * peer.weight + 1 for peer in peers)


def test_random_two_never_takes_the_busiest() -> None:
    peers = peers_of(1, 1, 1)
    peers[1].active = 5
    balancer = RandomTwo(Random(1))
    picks = {name(balancer.choose(peers, REQUEST)) for _ in range(200)}
    assert picks == {"a", "c"}


def test_random_two_follows_the_weights_while_all_are_idle() -> None:
    peers = peers_of(1, 3)
    balancer = RandomTwo(Random(1))
    picks = Counter(name(balancer.choose(peers, REQUEST)) for _ in range(4000))
    assert picks["b"] / 4000 == pytest.approx(0.75, abs=0.03)


def test_random_two_with_one_peer() -> None:
    (peer,) = peers_of(1)
    assert RandomTwo(Random(1)).choose([peer], REQUEST) is peer


def owners(peers: list[Peer], count: int) -> dict[str, str]:
    addresses = [f"192.0.2.{number % 250}:{number}" for number in range(count)]
    return {each: name(AddressHash().choose(peers, looked_at(each))) for each in addresses}


def test_an_address_always_meets_the_same_peer() -> None:
    peers = peers_of(1, 1, 1)
    assert owners(peers, 100) == owners(peers[::-1], 100) == owners(peers_of(1, 1, 1), 100)


def test_addresses_of_one_network_are_spread() -> None:
    peers = peers_of(1, 1, 1)
    picks = {
        name(AddressHash().choose(peers, looked_at(f"192.0.2.{number}"))) for number in range(30)
    }
    assert picks == {"a", "b", "c"}


@pytest.mark.parametrize("leaving", [0, 2, 4])
def test_when_a_peer_leaves_only_its_own_keys_move(leaving: int) -> None:
    peers = peers_of(1, 2, 1, 3, 1)
    before = owners(peers, 1000)
    gone = name(peers.pop(leaving))
    after = owners(peers, 1000)
    moved = {key for key, owner in before.items() if after[key] != owner}
    assert moved == {key for key, owner in before.items() if owner == gone}
    assert len({after[key] for key in moved}) == 4, "its keys spread over all that stay"


def test_hashing_follows_the_weights() -> None:
    picks = Counter(owners(peers_of(1, 3), 4000).values())
    assert picks["b"] / 4000 == pytest.approx(0.75, abs=0.03)


@given(st.binary(max_size=80), st.integers(1, 10000))
def test_a_score_is_a_positive_number(key: bytes, weight: int) -> None:
    (peer,) = peers_of(weight)
    assert 0 < score(peer, key) < float("inf")


@pytest.mark.parametrize(
    ("kind", "block"),
    [("cookie", "Cookie: a=1; sid={}\r\n"), ("header", "X-Other: 1\r\nSID: {}\r\n")],
)
def test_requests_with_the_same_key_meet_the_same_peer(kind: str, block: str) -> None:
    peers = peers_of(1, 1, 1)
    balancer = FieldHash(kind, "sid")
    met = {}
    for key in ("x", "y", "z", "ü", "anna", "bert", "carl", "dora"):
        request = looked_at(block=block.format(key).encode())
        picks = {name(balancer.choose(peers, request)) for _ in range(5)}
        assert len(picks) == 1
        met[key] = picks.pop()
    assert set(met.values()) == {"a", "b", "c"}


@pytest.mark.parametrize("kind", ["cookie", "header"])
@pytest.mark.parametrize("block", [b"", b"Cookie: sid=\r\nSid:\r\n"])
def test_requests_without_a_key_take_turns(kind: str, block: bytes) -> None:
    peers = peers_of(1, 1, 1)
    balancer = FieldHash(kind, "sid")
    picks = [name(balancer.choose(peers, looked_at(block=block))) for _ in range(3)]
    assert picks == ["a", "b", "c"]


@pytest.mark.parametrize(
    ("balance", "kind"),
    [
        ("round_robin", RoundRobin),
        ("least_connections", LeastConnections),
        ("random_two", RandomTwo),
        ("ip_hash", AddressHash),
        ("hash", FieldHash),
    ],
)
def test_a_plan_names_its_balancer(balance: str, kind: type) -> None:
    plan = PoolPlan("app", (), balance, hash_kind="cookie", hash_name="sid")
    assert type(make_balancer(plan, Random(1))) is kind


def test_a_balance_nobody_knows_is_refused() -> None:
    with pytest.raises(ValueError, match="fastest"):
        make_balancer(PoolPlan("app", (), "fastest"), Random(1))
