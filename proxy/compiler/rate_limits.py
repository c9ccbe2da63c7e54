"""A route's `rate_limit` to its part."""

from collections.abc import Sequence

from proxy.compiler.kept_once import kept_once
from proxy.compiler.sources import Scope
from proxy.message.networks import Network, NetworkSet
from proxy.policy.part import Part
from proxy.policy.rate_key import Key, by_client, by_cookie, by_header, by_host, together
from proxy.policy.rate_limit import Limit, rate_limit
from proxy.settings.models import RateLimit as RateLimitSettings
from proxy.state.rate_store import Decision, Quota


class Nowhere:
    """The store of programs that are compiled to be looked at, and never serve."""

    def meter(self, _quotas: Sequence[Quota]) -> "Nowhere":
        """Return what is never asked."""
        return self

    def ask(self, _keys: Sequence[bytes | None], _now: float) -> Decision:
        """Fail.

        Raises:
            RuntimeError: Whoever serves must say where the buckets are.
        """
        raise RuntimeError("compiled without a store for rate limits")


def compile_rate_limits(scope: Scope) -> Part | None:
    """Return the part for a route's limits, or None where it has none."""
    named = scope.settings.rate_limits_of(scope.site, scope.route)
    if not named:
        return None
    limits = [_limit(name, given) for name, given in named]
    return rate_limit(limits, scope.sources.rate_store or Nowhere())


def _limit(name: str, given: RateLimitSettings) -> Limit:
    quota = Quota(
        name=name,
        count=given.rate.count,
        seconds=given.rate.seconds,
        burst=given.burst,
        key=str(given.key).lower() if given.key.kind == "header" else str(given.key),
        delay=given.delay,
        dry_run=given.dry_run,
        single=given.key.kind == "global",
    )
    return Limit(quota, _key(given), given.status)


def _key(given: RateLimitSettings) -> Key:
    client = _client(given.exempt)
    match given.key.kind:
        case "header" if given.key.name.lower() == "host":  # which no block of fields holds
            return by_host(client)
        case "header":
            return by_header(given.key.name, client)
        case "cookie":
            return by_cookie(given.key.name, client)
        case "host":
            return by_host(client)
        case "global":
            return together(client)
        case _:
            return client


@kept_once
def _client(exempt: tuple[Network, ...]) -> Key:
    return by_client(NetworkSet(exempt).contains)
