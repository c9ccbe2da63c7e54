"""What to do with a request whose try on an upstream failed.

RFC 9110, 9.2.2: "A client SHOULD NOT automatically retry a request with a non-idempotent method
unless it has some means to know that the request semantics are actually idempotent, regardless of
the method, or some means to detect that the original request was never applied." And: "A proxy
MUST NOT automatically retry non-idempotent requests." So there are three ways to a retry: nothing
of the request was sent, the server certainly did not act on it, or it may be repeated.
"""

from dataclasses import dataclass
from enum import Enum

from proxy.upstream.keepalive import may_repeat


class Retry(Enum):
    """What to do next."""

    SAME_FRESH = "same_fresh"  # the same peer, on a new connection
    OTHER = "other"  # another peer; while there is none, the pool's hold decides
    GIVE_UP = "give_up"  # answer with the error


@dataclass(frozen=True, slots=True)
class Failure:
    """How a try ended.

    Attributes:
        method: Of the request.
        has_idempotency_key: The request has an `Idempotency-Key` field.
        sent: Some byte of the request may have reached the server. False as long as there was
            no connection.
        unapplied: `ProxyError.retry`: the server certainly did not act on the request.
        replayable: All of the body that was read so far is still at hand, or there is none.
        answered: Some byte of an answer came, be it of a 1xx.
        ended: The connection ended, rather than staying silent for too long.
        reused: The connection had served another request before.
        retries: How often this request went `OTHER` after it had been sent.
    """

    method: str
    has_idempotency_key: bool
    sent: bool
    unapplied: bool
    replayable: bool
    answered: bool
    ended: bool
    reused: bool
    retries: int


def after(failure: Failure, limit: int) -> Retry:
    """Return what to do after a failure.

    A try that found no connection costs none of the `limit`: nothing happened, and there are only
    so many peers to ask. A reused connection that ended without a word was most likely closed
    before the request came, which says nothing about the server: that is retried at once and in
    the same place, once, since the fresh connection is no reused one.

    Args:
        failure: How it ended.
        limit: `PoolPlan.retries`.
    """
    if failure.answered or not failure.replayable:
        return Retry.GIVE_UP
    if not failure.sent:
        return Retry.OTHER
    repeatable = may_repeat(failure.method, has_idempotency_key=failure.has_idempotency_key)
    if not (failure.unapplied or repeatable):
        return Retry.GIVE_UP
    if failure.reused and failure.ended:
        return Retry.SAME_FRESH
    return Retry.OTHER if failure.retries < limit else Retry.GIVE_UP
