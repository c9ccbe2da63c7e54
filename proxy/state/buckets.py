"""Token buckets in memory that all workers share, exact whoever of them a request meets.

A bucket is one number: the time at which it will be full again. A request moves it one interval
ahead; the bucket is empty while it is more than `burst` intervals ahead of now. That is the generic
cell rate algorithm, and gives the same answers as counting tokens.

The table has 16,384 shelves of seven places, each of 16 bytes for a fingerprint (64 bits of a keyed
hash of quota and key) and that time. Every request holds the lock of its shelf for the microsecond
in which it reads and writes; shelves share 64 locks. A route with several quotas takes their locks
in ascending order, so that no two workers wait for each other. Nothing is ever half written: a
number is stored in one go, and a place that changes hands is nobody's in between. So whoever dies
there, and whenever, leaves buckets that are whole, and locks that are free.

A new key takes the place of a bucket that is full: no key without a bucket is worse off than one
with a full one. Where a shelf has none, the bucket that will be full first is put out. With 20,000
buckets that are not full that happens to one new key in three thousand, with 40,000 to one in
eighty. The shelf then remembers the latest time that was ever put out, its mark, and until then
whoever comes to it without a bucket has one that is full at the mark, but for one request that it
may always make. For an attacker with many addresses (an IPv6 /44 holds a million networks) could
otherwise empty the table to have full buckets again. As it is, who was put out comes back to a
bucket that is no fuller than the one he had, and to one request, for which some other address had
to make one. He cannot choose whom to put out either: the hash has a random key, and those stay
longest that were drained last. The price is that strangers who fall on a shelf that attackers have
drained have one request in the place of a burst. Buckets of quotas with a single key are put out
only by each other.
"""

import mmap
import secrets
from collections.abc import Sequence
from hashlib import blake2b
from operator import attrgetter
from weakref import WeakValueDictionary

from proxy.state import locks
from proxy.state.counters import Figures
from proxy.state.locks import Lock
from proxy.state.rate_store import DELAYED_DRY_RUN, PASSED, REJECTED_DRY_RUN, Decision, Quota

_SHELVES = 16384
_PLACES = 7  # to a shelf, and the mark before them
_SHELF_WORDS = 2 * (_PLACES + 1)
_LOCKS = 64
_TABLE_SIZE = _SHELVES * _SHELF_WORDS * 8
SIZE = _TABLE_SIZE + _LOCKS * locks.STRIDE
"""Bytes of memory: two megabytes, of which pages that no key fell upon take nothing."""

_MOST_REMEMBERED = 4096
_LONGEST_REMEMBERED = 64  # bytes of a key
_TOLERANCE = 1e-6
"""Seconds that a request may come too soon: more than sums of floating point numbers are off."""
_LEAST_DELAY = 0.001
"""Seconds; nginx waits no shorter time."""
_WEIGHT = {"PASSED": 0, "DELAYED_DRY_RUN": 1, "REJECTED_DRY_RUN": 2, "DELAYED": 3}


class Spot:
    """Where a key's bucket is, or was last."""

    __slots__ = ("at", "fingerprint", "lock", "rank", "shelf")

    def __init__(self, fingerprint: int, shelf: int, rank: int, lock: Lock) -> None:
        self.fingerprint = fingerprint
        self.shelf = shelf  # index of what would be a fingerprint; the mark comes after it
        self.rank = rank  # of its lock
        self.lock = lock
        self.at = shelf + 2  # index of its fingerprint; the time comes after it


class Hits:
    """What one quota did in this process, since it was compiled here."""

    __slots__ = ("delayed", "dry_run", "refused")

    def __init__(self) -> None:
        self.refused = 0
        self.delayed = 0
        self.dry_run = 0


class BucketTable:
    """The table, as one process holds it. Implements `RateStore`.

    Attributes:
        figures: Where hits are counted: the worker's, once it is one.
        hits: By name of quota.
    """

    __slots__ = ("_hash_key", "_locks", "_made", "_times", "_words", "figures", "hits")

    def __init__(
        self, memory: memoryview, hash_key: bytes, own_locks: Sequence[Lock] | None = None
    ) -> None:
        """Lay the table out. To be called once, before the first fork.

        Args:
            memory: `SIZE` zeroed bytes shared by all.
            hash_key: Random; at most 64 bytes.
            own_locks: Taken in place of the best there are.

        Raises:
            OSError: No locks can be made.
        """
        self._words = memory[:_TABLE_SIZE].cast("Q")
        self._times = memory[:_TABLE_SIZE].cast("d")
        self._locks = own_locks or locks.make_locks(memory[_TABLE_SIZE:SIZE])
        self._hash_key = hash_key
        self._made: WeakValueDictionary[Quota, Buckets] = WeakValueDictionary()
        self.figures = Figures()
        self.hits: dict[str, Hits] = {}

    @classmethod
    def create(cls) -> "BucketTable":
        """Return an empty table in memory without a name, which goes with the last process.

        Raises:
            OSError: There is no memory, or there are no locks.
        """
        return cls(memoryview(mmap.mmap(-1, SIZE)), secrets.token_bytes(32))

    def meter(self, quotas: Sequence[Quota]) -> "BucketMeter | SoleMeter":
        """Return what decides by some quotas, one at least."""
        # Routes with one quota share what is remembered of its keys.
        buckets = [self._made.setdefault(quota, Buckets(self, quota)) for quota in quotas]
        return SoleMeter(buckets[0]) if len(buckets) == 1 else BucketMeter(buckets)

    def hit_counts(self) -> dict[str, dict[str, int]]:
        """Return what each quota did, by its name."""
        return {
            name: {"refused": hits.refused, "delayed": hits.delayed, "dry_run": hits.dry_run}
            for name, hits in self.hits.items()
        }

    def spot(self, identity: bytes, key: bytes, *, single: bool) -> Spot:
        """Return where a key's bucket belongs."""
        digest = blake2b(identity + key, digest_size=16, key=self._hash_key).digest()
        # An odd fingerprint marks the buckets that are not put out; 0 is a place never used.
        fingerprint = int.from_bytes(digest[:8]) & ~1 or 2
        shelf = int.from_bytes(digest[8:]) % _SHELVES
        rank = shelf % len(self._locks)
        return Spot(fingerprint | single, shelf * _SHELF_WORDS, rank, self._locks[rank])

    # What follows is for who holds the shelf's lock.

    def full_at(self, spot: Spot, now: float, allowance: float) -> float:
        """Return when the bucket of a spot is full; of one without a place, when it is held to be.

        Args:
            spot: What `spot` returned.
            now: Monotonic seconds.
            allowance: How far ahead of now the time is when the bucket has one request left.
        """
        if self._words[spot.at] == spot.fingerprint or self._find(spot):
            return self._times[spot.at + 1]
        return min(self._times[spot.shelf + 1], now + allowance)

    def charge(self, spot: Spot, now: float, full_at: float) -> None:
        """Write down when the bucket of a spot will be full, in a place of its own."""
        words, times = self._words, self._times
        at = spot.at
        if words[at] == spot.fingerprint:
            times[at + 1] = full_at
            return
        shelf = spot.shelf
        at = spot.at = self._least(shelf, now)
        put_out = times[at + 1]
        if put_out > now:
            self.figures.buckets_put_out += 1
            times[shelf + 1] = max(times[shelf + 1], put_out)
        words[at] = 0
        times[at + 1] = full_at
        words[at] = spot.fingerprint

    def _find(self, spot: Spot) -> bool:
        first = spot.shelf + 2
        try:
            place = (
                self._words[first : spot.shelf + _SHELF_WORDS : 2].tolist().index(spot.fingerprint)
            )
        except ValueError:
            return False
        spot.at = first + 2 * place
        return True

    def _least(self, shelf: int, now: float) -> int:
        """Return the place of a shelf whose bucket is worth least."""
        times = self._times[shelf + 3 : shelf + _SHELF_WORDS : 2].tolist()
        least = min(times)
        place = times.index(least)
        if least > now:
            words = self._words[shelf + 2 : shelf + _SHELF_WORDS : 2].tolist()
            both = list(zip(words, times, strict=True))
            place = both.index(min(both, key=_worth))
        return shelf + 2 + 2 * place


def _worth(place: tuple[int, float]) -> tuple[int, float]:
    fingerprint, full_at = place
    return fingerprint & 1, full_at


class Buckets:
    """The buckets of one quota."""

    __slots__ = ("__weakref__", "_known", "allowance", "hits", "interval", "quota", "table")

    def __init__(self, table: BucketTable, quota: Quota) -> None:
        self.table = table
        self.quota = quota
        self.interval = quota.interval
        self.allowance = quota.burst * quota.interval
        self.hits = table.hits.setdefault(quota.name, Hits())
        self._known: dict[bytes, Spot] = {}

    def spot(self, key: bytes) -> Spot:
        """Return where a key's bucket is. Costs nothing much for a key seen lately."""
        spot = self._known.get(key)
        if spot is None:
            quota = self.quota
            spot = self.table.spot(quota.identity, key, single=quota.single)
            if len(key) <= _LONGEST_REMEMBERED:
                if len(self._known) >= _MOST_REMEMBERED:
                    self._known.clear()
                self._known[key] = spot
        return spot

    def refused(self, ahead: float) -> Decision:
        """Count a request that comes too soon."""
        if self.quota.dry_run:
            return self._dry(REJECTED_DRY_RUN)
        self.hits.refused += 1
        self.table.figures.requests_limited += 1
        return Decision("REJECTED", 0.0, self.quota, ahead - self.allowance)

    def admitted(self, ahead: float) -> Decision:
        """Count a request that comes in time, or within the burst."""
        if ahead < _LEAST_DELAY or not self.quota.delay:
            return PASSED
        if self.quota.dry_run:
            return self._dry(DELAYED_DRY_RUN)
        self.hits.delayed += 1
        self.table.figures.requests_delayed += 1
        return Decision("DELAYED", ahead)

    def _dry(self, decision: Decision) -> Decision:
        self.hits.dry_run += 1
        self.table.figures.limits_dry_run += 1
        return decision


class SoleMeter:
    """A route with one quota: the way of nearly all."""

    __slots__ = ("_buckets", "_latest")

    def __init__(self, buckets: Buckets) -> None:
        self._buckets = buckets
        self._latest = buckets.allowance + _TOLERANCE

    def ask(self, keys: Sequence[bytes | None], now: float) -> Decision:
        """See `Meter`."""
        (key,) = keys
        if key is None:
            return PASSED
        buckets, latest = self._buckets, self._latest
        table = buckets.table
        spot = buckets.spot(key)
        lock = spot.lock
        code = lock.take()
        held = not code or lock.settle(code)
        try:
            full_at = table.full_at(spot, now, buckets.allowance)
            ahead = full_at - now if full_at > now else 0.0
            if ahead <= latest:
                table.charge(spot, now, now + ahead + buckets.interval)
        finally:
            if held:
                lock.give()
        if ahead > latest:
            return buckets.refused(ahead)
        return buckets.admitted(ahead) if ahead else PASSED


class Judge:
    """One of several quotas, and what it says of the request that is asked about."""

    __slots__ = ("ahead", "buckets", "firm", "full_at", "latest", "refuses", "spot")

    def __init__(self, buckets: Buckets) -> None:
        self.buckets = buckets
        self.full_at = buckets.table.full_at
        self.latest = buckets.allowance + _TOLERANCE
        self.firm = not buckets.quota.dry_run
        self.spot = buckets.spot(b"")  # of the request that is asked about, once there is one
        self.ahead = 0.0
        self.refuses = False

    def judge(self, now: float) -> bool:
        """Tell whether the request has to be refused. For who holds the lock of its bucket."""
        full_at = self.full_at(self.spot, now, self.buckets.allowance)
        self.ahead = ahead = full_at - now if full_at > now else 0.0
        self.refuses = refuses = ahead > self.latest
        return refuses and self.firm

    def charge(self, now: float) -> None:
        """Count the request, unless this is a dry run that would refuse it."""
        if not self.refuses:
            buckets = self.buckets
            buckets.table.charge(self.spot, now, now + self.ahead + buckets.interval)


class BucketMeter:
    """A route with several quotas."""

    __slots__ = ("_all",)

    def __init__(self, buckets: Sequence[Buckets]) -> None:
        self._all = tuple(map(Judge, buckets))

    def ask(self, keys: Sequence[bytes | None], now: float) -> Decision:
        """See `Meter`."""
        asked = []
        for judge, key in zip(self._all, keys, strict=True):
            if key is not None:
                judge.spot = judge.buckets.spot(key)
                asked.append(judge)
        asked.sort(key=_rank)
        held = _taken(asked)
        passes = True
        try:
            for judge in asked:
                if judge.judge(now):
                    passes = False
            if passes:
                for judge in asked:
                    judge.charge(now)
        finally:
            for lock in held:
                lock.give()
        return _admitted(asked) if passes else _refused(asked)


_rank = attrgetter("spot.rank")


def _taken(asked: Sequence[Judge]) -> list[Lock]:
    """Take each lock of spots in ascending order; return those that are held now."""
    held = []
    last = -1
    for judge in asked:
        spot = judge.spot
        if spot.rank != last:
            last = spot.rank
            code = spot.lock.take()
            if not code or spot.lock.settle(code):
                held.append(spot.lock)
    return held


def _refused(asked: Sequence[Judge]) -> Decision:
    """Return the refusal of the bucket that stays empty longest; it alone counts the request."""
    refusing = [one for one in asked if one.refuses and one.firm]
    worst = max(refusing, key=lambda one: one.ahead - one.buckets.allowance)
    return worst.buckets.refused(worst.ahead)


def _admitted(asked: Sequence[Judge]) -> Decision:
    """Return the longest delay, else what a dry run has to say."""
    found = PASSED
    for one in asked:
        if one.ahead:
            said = one.buckets.refused if one.refuses else one.buckets.admitted
            decision = said(one.ahead)
            if (_WEIGHT[decision.status], decision.delay) > (_WEIGHT[found.status], found.delay):
                found = decision
    return found
