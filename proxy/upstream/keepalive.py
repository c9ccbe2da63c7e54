"""Kept-alive connections to upstreams: how long one may idle, and which request may go on it.

A server closes an idle connection when it likes, and its FIN may cross our next request. A client
cannot tell then whether the request was acted upon (RFC 9112, 9.3.1 and 9.5). Servers are quick
about it: gunicorn waits 2 s, uvicorn and Node 5 s, Apache 5 s. So a request that must not be sent
twice only goes where the server can hardly have lost patience, or on a fresh connection.
"""

from proxy.upstream.plan import PoolPlan

IDEMPOTENT = frozenset({"GET", "HEAD", "OPTIONS", "TRACE", "PUT", "DELETE"})
"""RFC 9110, 9.2.2. Any other method, also one we never heard of, must not be repeated unasked."""

FRESH_ENOUGH = 1.0
"""A connection idle for less than this is taken to be alive. Every server's patience is longer."""

SPARE = 3.0
"""Seconds that a connection may idle where enough do already."""

MARGIN = 1.0
"""How long before the server's announced timeout we let a connection go: its FIN travels, too."""


def may_repeat(method: str, *, has_idempotency_key: bool) -> bool:
    """Return whether sending a request twice does no more than sending it once.

    `Idempotency-Key` is the client's promise that the server tells a repetition from a new request
    (draft-ietf-httpapi-idempotency-key-header).
    """
    return method in IDEMPOTENT or has_idempotency_key


def reuse_allowed(method: str, *, has_idempotency_key: bool, idle_for: float) -> bool:
    """Return whether a request may go on a connection that idled for `idle_for` seconds."""
    return idle_for < FRESH_ENOUGH or may_repeat(method, has_idempotency_key=has_idempotency_key)


def idle_bound(plan: PoolPlan) -> int:
    """Return how many connections to a server may idle at once: those to keep, and spare ones.

    A client of HTTP/2 may ask for a hundred things at once, and again a moment later: to open and
    close most of those connections each time costs more than to wait and see.
    """
    return plan.max_connections if plan.keep_alive_connections else 0


def idle_lifetime(plan: PoolPlan, announced: float | None, *, spare: bool) -> float:
    """Return for how many seconds from now a connection may idle; 0.0 means: close it now.

    Args:
        plan: Of its pool.
        announced: N of the upstream's `Keep-Alive: timeout=N`, or None.
        spare: True where as many idle already as are to be kept.
    """
    longest = min(SPARE, plan.keep_alive_idle) if spare else plan.keep_alive_idle
    return longest if announced is None else max(0.0, min(longest, announced - MARGIN))
