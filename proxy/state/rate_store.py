"""What rate limits are asked of: a store that keeps a bucket for each key of each quota.

`buckets` keeps them in the memory of one machine and answers at once. One that others share over
a network implements the same two protocols, and answers with a `Pending`.

A bucket holds `burst` + 1 requests, and is filled again by one request every `Quota.interval`. That
is what nginx's limit_req_zone and limit_req mean by rate and burst, but for two roundings. nginx
keeps a rate in thousandths of a request a second and leaves the rest out: 5r/m is 83/1000, one
request every 12.048 s, 100r/m is one every 0.6002 s. Here 5/minute is 5 a minute. And its time goes
in whole milliseconds, read once for each batch of events. Where the two differ at all, a request
passes here that came up to 0.4 % too soon for nginx.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True)
class Quota:
    """How many requests a key may make.

    Attributes:
        name: What the configuration calls it, and clients are told.
        count, seconds: The rate: so many requests in so much time.
        burst: How many may come sooner than the rate has them, on top of one.
        key: What its keys are, such as "client_ip". Quotas that agree in name, rate, burst and
            key have the same buckets, also after a reload; any change makes new, full ones.
        delay: Let requests that come too soon wait for their turn.
        dry_run: Refuse and delay nothing, and only say what would be.
        single: It has one key only, whose bucket is never given to another.
    """

    name: str
    count: int
    seconds: float
    burst: int = 0
    key: str = "client_ip"
    delay: bool = False
    dry_run: bool = False
    single: bool = False

    @property
    def interval(self) -> float:
        """Seconds in which a bucket is filled by one request."""
        return self.seconds / self.count

    @property
    def identity(self) -> bytes:
        """What tells its buckets from those of other quotas."""
        return f"{self.name}\n{self.count}\n{self.seconds}\n{self.burst}\n{self.key}\n".encode()


class Decision:
    """What a store says of one request.

    Attributes:
        status: nginx's $limit_req_status: PASSED, DELAYED, REJECTED, or the two of a dry run.
        delay: Seconds to wait, with DELAYED.
        quota: With REJECTED, which quota refused; of several, that whose bucket stays empty
            longest.
        retry_after: With REJECTED, seconds until a request of this key passes that quota.
    """

    __slots__ = ("delay", "quota", "retry_after", "status")

    def __init__(
        self, status: str, delay: float = 0.0, quota: Quota | None = None, retry_after: float = 0.0
    ) -> None:
        self.status = status
        self.delay = delay
        self.quota = quota
        self.retry_after = retry_after


PASSED = Decision("PASSED")
DELAYED_DRY_RUN = Decision("DELAYED_DRY_RUN")
REJECTED_DRY_RUN = Decision("REJECTED_DRY_RUN")


class Pending:
    """A store that has to ask somebody else.

    Attributes:
        call: Asks, and returns what is decided. It may block, and is to run in a thread. What it
            raises is the store's failure: it has to decide itself what to do without an answer.
    """

    __slots__ = ("call",)

    def __init__(self, call: Callable[[], Decision]) -> None:
        self.call = call


class Meter(Protocol):
    """The quotas of one route."""

    def ask(self, keys: Sequence[bytes | None], now: float) -> Decision | Pending:
        """Decide on a request, and count it unless it is refused.

        All quotas must admit it; where one refuses, none counts it.

        Args:
            keys: For each quota, in order; None where it does not apply. Of any length.
            now: Monotonic seconds.
        """


class RateStore(Protocol):
    """Where the buckets are."""

    def meter(self, quotas: Sequence[Quota]) -> Meter:
        """Return what decides by some quotas, one at least. Made at load."""
