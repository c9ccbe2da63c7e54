"""Refuses, or delays, requests that come faster than a rate.

A refusal says when to come again: Retry-After (RFC 9110, 10.2.3), and which limit it was and how
much of it is left, as draft-ietf-httpapi-ratelimit-headers-10 has it:

    RateLimit-Policy: "login";q=5;w=60
    RateLimit: "login";r=0;t=12
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache, partial

from proxy.errors import BadRequestError
from proxy.exchange.exchange import Exchange
from proxy.exchange.verdict import Delay, Verdict, Work
from proxy.policy.part import Gate, Part
from proxy.policy.rate_key import Key
from proxy.state.rate_store import PASSED, Decision, Meter, Pending, Quota, RateStore

NAME = "rate_limit"


@dataclass(frozen=True, slots=True)
class Limit:
    """One limit of a route.

    Attributes:
        quota: How many requests a key may make.
        key: Tells the key of an exchange.
        status: Of the answer that refuses, 400..599.
    """

    quota: Quota
    key: Key
    status: int = 429


def rate_limit(limits: Sequence[Limit], store: RateStore) -> Part:
    """Return the part that asks a store about each request.

    All limits must admit a request, and what one refuses the others do not count.

    Args:
        limits: At least one.
        store: Keeps the buckets.
    """
    meter = store.meter([limit.quota for limit in limits])
    statuses = {limit.quota.name: limit.status for limit in limits}
    if len(limits) == 1:
        return Part(NAME, gate=_sole_gate(limits[0].key, meter, statuses))
    keys = tuple(limit.key for limit in limits)

    def gate(exchange: Exchange) -> Verdict:
        found = [key(exchange) for key in keys]
        if all(key is None for key in found):
            return None
        return _verdict(exchange, statuses, meter.ask(found, exchange.started))

    return Part(NAME, gate=gate)


def _sole_gate(key_of: Key, meter: Meter, statuses: dict[str, int]) -> Gate:
    ask = meter.ask

    def gate(exchange: Exchange) -> Verdict:
        key = key_of(exchange)
        if key is None:
            return None
        said = ask((key,), exchange.started)
        if said is PASSED:
            exchange.limited = "PASSED"
            return None
        return _verdict(exchange, statuses, said)

    return gate


def _verdict(exchange: Exchange, statuses: dict[str, int], said: Decision | Pending) -> Verdict:
    if isinstance(said, Pending):
        return Work(said.call, partial(_decided, exchange, statuses))
    return _decided(exchange, statuses, said)


def _decided(exchange: Exchange, statuses: dict[str, int], decision: Decision) -> Verdict:
    exchange.limited = decision.status
    if decision.quota is not None:
        raise refusal(decision.quota, decision.retry_after, statuses[decision.quota.name])
    return Delay(decision.delay) if decision.delay > 0 else None


def refusal(quota: Quota, retry_after: float, status: int) -> BadRequestError:
    """Return the error for a request too many.

    Args:
        quota: Which refused it.
        retry_after: Seconds until it would not.
        status: To answer with.
    """
    seconds = max(1, math.ceil(retry_after))
    public, fields = _words(quota.name, quota.count, quota.seconds, seconds)
    detail = f"rate limit {quota.name}: {retry_after:.3f} s too soon"
    return BadRequestError(detail, status=status, public=public, fields=fields)


@lru_cache(maxsize=1024)  # a flood is refused in the same words for a second
def _words(name: str, count: int, window: float, seconds: int) -> tuple[str, bytes]:
    """Return what a refused client may read, and the fields that say it to a program."""
    unit = "second" if seconds == 1 else "seconds"
    fields = (
        f"Retry-After: {seconds}\r\n"
        f'RateLimit-Policy: "{name}";q={count};w={window:.0f}\r\n'
        f'RateLimit: "{name}";r=0;t={seconds}\r\n'
    )
    return f"Too many requests. Try again in {seconds} {unit}.", fields.encode("ascii")
