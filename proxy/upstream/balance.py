"""Balancing: which of several peers takes a request.

A balancer is given the peers that may take it, one at least, and picks one of them. It never
learns why others are missing: health, limits and earlier tries are the group's business.

Hashing is rendezvous hashing: every peer gets a score for the key and the highest wins. When a
peer leaves, only its own keys move, and they spread over all that stay; there is no ring to build.
"""

import math
from collections.abc import Sequence
from hashlib import blake2b
from random import Random
from typing import Protocol

from proxy.exchange.exchange import Exchange
from proxy.message.fields import cookie_value, field_values
from proxy.upstream.peer import Peer
from proxy.upstream.plan import PoolPlan


class Balancer(Protocol):
    """A way to choose."""

    def choose(self, peers: Sequence[Peer], exchange: Exchange) -> Peer:
        """Return one of `peers`, which are one or more."""


class RoundRobin:
    """Smooth weighted round robin, as nginx does it.

    Every peer is credited its weight, the richest one is chosen and pays what was credited in
    all. With weights 5, 1, 1 that gives a a b a c a a rather than a a a a a b c.
    """

    def choose(self, peers: Sequence[Peer], exchange: Exchange) -> Peer:  # noqa: ARG002 - any request
        """Return the peer whose turn it is."""
        return next_in_turn(peers)


def next_in_turn(peers: Sequence[Peer]) -> Peer:
    """Return the peer whose turn it is by smooth weighted round robin."""
    total = 0
    best = peers[0]
    for peer in peers:
        total += peer.weight
        peer.current_weight += peer.weight
        if peer.current_weight > best.current_weight:
            best = peer
    best.current_weight -= total
    return best


class LeastConnections:
    """The peer with the fewest requests under way for its weight; those alike take turns.

    A worker counts its own requests only.
    """

    def choose(self, peers: Sequence[Peer], exchange: Exchange) -> Peer:  # noqa: ARG002 - any request
        """Return the least busy peer."""
        least = min([peer.active / peer.weight for peer in peers])
        alike = [peer for peer in peers if peer.active / peer.weight == least]
        return alike[0] if len(alike) == 1 else next_in_turn(alike)


class RandomTwo:
    """Of two peers drawn at random by weight, the less busy one.

    Many workers that each see only their own requests do not all run to the same server this way,
    as they may with `LeastConnections` (Mitzenmacher, "The Power of Two Choices").
    """

    def __init__(self, random: Random) -> None:
        self._random = random

    def choose(self, peers: Sequence[Peer], exchange: Exchange) -> Peer:  # noqa: ARG002 - any request
        """Return the less busy of two."""
        first = self._draw(peers)
        others = [peer for peer in peers if peer is not first]
        if not others:
            return first
        second = self._draw(others)
        # First where both are alike: the first draw alone follows the weights exactly.
        return second if second.active / second.weight < first.active / first.weight else first

    def _draw(self, peers: Sequence[Peer]) -> Peer:
        return self._random.choices(peers, [peer.weight for peer in peers])[0]


class AddressHash:
    """Requests from one client address go to one peer.

    The whole address counts. nginx takes only the first three bytes of an IPv4 one, which sends
    everybody behind a provider's or an office's network to the same server.
    """

    def choose(self, peers: Sequence[Peer], exchange: Exchange) -> Peer:
        """Return the peer of the client's address."""
        return highest(peers, exchange.address.encode())


class FieldHash:
    """Requests with the same header or cookie go to one peer; those without it take turns.

    Args:
        kind: "header" or "cookie".
        name: Its name.
    """

    def __init__(self, kind: str, name: str) -> None:
        self._read = cookie_value if kind == "cookie" else _first_value
        self._name = name

    def choose(self, peers: Sequence[Peer], exchange: Exchange) -> Peer:
        """Return the peer of the request's key."""
        key = self._read(exchange.head.block, self._name)
        return highest(peers, key.encode("latin-1")) if key else next_in_turn(peers)


def _first_value(block: bytes, name: str) -> str | None:
    values = field_values(block, name)
    return values[0] if values else None


def highest(peers: Sequence[Peer], key: bytes) -> Peer:
    """Return the peer with the highest score for `key`: rendezvous hashing with weights."""
    return peers[0] if len(peers) == 1 else max(peers, key=lambda peer: score(peer, key))


def score(peer: Peer, key: bytes) -> float:
    """Return a peer's score for `key`: the same in every process, independent of other peers.

    -weight / ln(u), with u spread evenly over (0, 1), wins in proportion to the weight
    (Schindelhauer and Schomaker, "Weighted Distributed Hash Tables").
    """
    digest = blake2b(peer.identity + b"\0" + key, digest_size=8).digest()
    # 52 bits and a half: exact as a float, never 0 and never 1.
    spread = ((int.from_bytes(digest, "big") >> 12) + 0.5) / (1 << 52)
    return -peer.weight / math.log(spread)


def make_balancer(plan: PoolPlan, random: Random) -> Balancer:
    """Return the balancer that the plan names.

    Raises:
        ValueError: There is none of that name.
    """
    match plan.balance:
        case "round_robin":
            return RoundRobin()
        case "least_connections":
            return LeastConnections()
        case "random_two":
            return RandomTwo(random)
        case "ip_hash":
            return AddressHash()
        case "hash":
            return FieldHash(plan.hash_kind, plan.hash_name)
        case unknown:
            raise ValueError(f"no such balance: {unknown}")
