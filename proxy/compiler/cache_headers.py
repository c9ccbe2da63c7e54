"""A route's `cache` to the part that tells clients how long an answer may be kept."""

from proxy.clock import wall_time
from proxy.compiler.sources import Scope
from proxy.policy.cache_headers import cache_age, cache_word
from proxy.policy.part import Part
from proxy.settings.models import Cache


def compile_cache_headers(scope: Scope) -> Part | None:
    """Return the part for a route, or None where nothing is to be said.

    Whoever gives the Cache-Control of answers himself, by `headers` or `response_headers`, has the
    last word: no Expires then contradicts it.
    """
    cache = scope.route.cache
    if cache is None or cache == "off":
        return None
    if "cache-control" in map(str.lower, scope.settings.headers_of(scope.site, scope.route)):
        return None
    if isinstance(cache, Cache):
        private = _is_guarded(scope)
        return cache_age(int(cache.age), wall_time, immutable=cache.immutable, private=private)
    return cache_word(cache)


def _is_guarded(scope: Scope) -> bool:
    """Tell whether only some may have a route's answers: more than to keep a few out."""
    settings, site, route = scope.settings, scope.site, scope.route
    allowed = (settings.access_of(site, route) or ((), ()))[0]
    return (
        (bool(allowed) and "all" not in allowed)
        or settings.basic_auth_of(site, route) is not None
        or settings.forward_auth_of(site, route) is not None
    )
