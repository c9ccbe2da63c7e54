"""The order in which the parts of a route come into play: the only list of it."""

from collections.abc import Iterable

from proxy.policy import (
    access,
    basic_auth,
    body_limit,
    cache_headers,
    compression,
    forward_auth,
    intercept,
    maintenance,
    rate_limit,
    redirect,
    request_headers,
    respond,
    response_headers,
)
from proxy.policy.part import Part

ORDER = (
    redirect.TO_HTTPS,  # nothing is decided for a request that has to come again by https
    redirect.ADD_SLASH,
    maintenance.NAME,  # who is kept out uses up no rate limit and is asked for no password
    access.NAME,
    rate_limit.NAME,  # before any password is looked at, so that guessing is limited
    basic_auth.NAME,
    forward_auth.NAME,
    redirect.NAME,  # answers that need nothing of the body come before its limit
    respond.NAME,
    body_limit.NAME,
    request_headers.NAME,
    intercept.NAME,
    cache_headers.NAME,
    response_headers.NAME,
    compression.NAME,  # its Vary stands beside one that was given by hand
)

_RANKS = {name: rank for rank, name in enumerate(ORDER)}


def in_order(parts: Iterable[Part]) -> tuple[Part, ...]:
    """Return the parts of one route as they come into play.

    Raises:
        ValueError: There are two of a kind, or one that the list does not know.
    """
    arranged = sorted(parts, key=lambda part: _RANKS.get(part.name, -1))
    names = [part.name for part in arranged]
    if len(set(names)) < len(names) or not _RANKS.keys() >= set(names):
        raise ValueError(f"parts not in the list, or twice: {names}")
    return tuple(arranged)
