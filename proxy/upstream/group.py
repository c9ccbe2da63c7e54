"""A group: the peers of one upstream in one worker, and who of them takes a request.

Peers are asked in tiers, and the first tier that has anybody in it decides:

    1. servers that are neither down (active health) nor out (passive health),
    2. backups that are neither,
    3. whoever is only out, the one whose time is up first.

A full tier does not fall through to the next: a request waits for a connection to a server rather
than go to a backup, which is there for when servers fail. The third tier exists because passive
health is a guess: when it would leave nobody, it is worth less than a try (nginx ignores
`max_fails` where an upstream has one server, for the same reason). What a probe said is no guess,
so a peer that is down stays out of all tiers.

A peer whose time out is over gets one request. Until its outcome is known the others pass it by;
if it succeeds the peer is back in, if it fails (or ends without an outcome) it is out once more.
"""

from collections.abc import Iterator, Sequence
from enum import Enum
from random import Random

from proxy.exchange.exchange import Exchange
from proxy.upstream.balance import make_balancer
from proxy.upstream.health import too_many
from proxy.upstream.peer import Address, Peer, address_text
from proxy.upstream.plan import PoolPlan, ServerPlan


class Availability(Enum):
    """What can be done with a request now."""

    READY = "ready"  # a peer can take it
    SATURATED = "saturated"  # every peer that could is full: queue
    REFUSING = "refusing"  # nobody is up, known by address, or untried: hold


class PeerGroup:
    """The peers of one upstream in one worker.

    Args:
        plan: What the configuration says.
        random: Source of chance for `random_two` and for where round robin begins.
        workers: How many share `max_connections`; each gets an equal part, one at least. The
            limit is for each address of a server.
    """

    __slots__ = (
        "_backups",
        "_balancer",
        "_by_server",
        "_only",
        "_peers",
        "_primaries",
        "_random",
        "plan",
        "share",
    )

    def __init__(self, plan: PoolPlan, random: Random, workers: int = 1) -> None:
        self.plan = plan
        self.share = max(1, plan.max_connections // workers)
        self._random = random
        self._balancer = make_balancer(plan, random)
        self._by_server: dict[ServerPlan, dict[Address, Peer]] = {
            server: {} for server in plan.servers
        }
        self._peers: tuple[Peer, ...] = ()
        self._primaries: tuple[Peer, ...] = ()
        self._backups: tuple[Peer, ...] = ()
        self._only: Peer | None = None

    def __iter__(self) -> Iterator[Peer]:
        return iter(self._peers)

    def __len__(self) -> int:
        return len(self._peers)

    def update(self, server: ServerPlan, addresses: Sequence[Address]) -> list[Peer]:
        """Set the addresses of one server of the plan.

        A peer whose address stays keeps its state. Those that go are returned with `gone` set, so
        that their idle connections can be closed; what runs on others may end in peace.

        Raises:
            KeyError: The plan has no such server.
        """
        before = self._by_server[server]
        after = {
            address: before.get(address) or self._new_peer(server, address) for address in addresses
        }
        self._by_server[server] = after
        for address, peer in after.items():
            several = len(after) > 1
            peer.label = f"{server.url} ({address_text(address)})" if several else server.url
        removed = [peer for address, peer in before.items() if address not in after]
        for peer in removed:
            peer.gone = True
        self._arrange()
        return removed

    def pick(self, now: float, exchange: Exchange, tried: Sequence[Peer] = ()) -> Peer | None:
        """Return the peer to send a request to, or None; `verdict` then says why.

        The caller counts the request in `Peer.active` at once, and reports the outcome with
        `succeeded` or `failed`.

        Args:
            now: Monotonic seconds.
            exchange: The request, for the balancers that look at it.
            tried: Peers not to be picked again.
        """
        only = self._only
        if only is not None and not tried:
            return only if only.active < self.share else None
        free = [peer for peer in self._tier(now, tried) if peer.active < self.share]
        if not free:
            return None
        if free[0].out_until > now:
            peer = min(free, key=lambda peer: peer.out_until)
        elif len(free) == 1:
            peer = free[0]
        else:
            peer = self._balancer.choose(free, exchange)
        if peer.out_until:
            peer.on_trial = True
            peer.out_until = now + self.plan.fail_timeout
        return peer

    def verdict(self, now: float, tried: Sequence[Peer] = ()) -> Availability:
        """Return whether `pick` would find a peer, and if not, what to wait for."""
        tier = self._tier(now, tried)
        if not tier:
            return Availability.REFUSING
        if all(peer.active >= self.share for peer in tier):
            return Availability.SATURATED
        return Availability.READY

    def succeeded(self, peer: Peer) -> None:
        """Take note that a peer answered. Brings back in the one that was out for a trial."""
        if peer.on_trial:
            _forgive(peer)

    def failed(self, peer: Peer, now: float) -> bool:
        """Take note that a peer could not be reached or broke off; return whether this took it out.

        Does nothing for the only peer of a group.
        """
        if len(self._peers) == 1:
            return False
        out_before = peer.out_until > 0.0
        if too_many(peer.failure_times, now, self.plan.fail_timeout) or out_before:
            peer.on_trial = False
            peer.out_until = now + self.plan.fail_timeout
            return not out_before
        return False

    def set_health(self, peer: Peer, *, up: bool) -> bool:
        """Take the verdict of active health; return whether it is news.

        A server that a probe calls up again starts with a clean sheet of passive failures.
        """
        if peer.down is not up:
            return False
        peer.down = not up
        if up:
            _forgive(peer)
        self._arrange()
        return True

    def _new_peer(self, server: ServerPlan, address: Address) -> Peer:
        peer = Peer(server, address, self.plan.max_fails)
        # Workers begin at different places, or every first request would go to the first server.
        peer.current_weight = self._random.randrange(server.weight + 1)
        return peer

    def _arrange(self) -> None:
        """Lay out the peers after a change, so that a request finds them sorted."""
        peers = [peer for known in self._by_server.values() for peer in known.values()]
        self._peers = tuple(peers)
        # Which are down changes seldom, so they are left out here and not for every request.
        up = [peer for peer in peers if not peer.down]
        self._primaries = tuple(peer for peer in up if not peer.server.backup)
        self._backups = tuple(peer for peer in up if peer.server.backup)
        self._only = peers[0] if len(peers) == 1 and up else None
        if len(peers) == 1:
            _forgive(peers[0])  # Passive health is for choosing between peers.

    def _tier(self, now: float, tried: Sequence[Peer]) -> list[Peer]:
        for peers in (self._primaries, self._backups):
            tier = [peer for peer in peers if peer.out_until <= now and peer not in tried]
            if tier:
                return tier
        return [peer for peer in self._primaries + self._backups if peer not in tried]


def _forgive(peer: Peer) -> None:
    peer.on_trial = False
    peer.out_until = 0.0
    peer.failure_times.clear()
