"""A route's `intercept_errors` to its part."""

from proxy.compiler.error_pages import compile_error_pages
from proxy.compiler.sources import Scope
from proxy.policy.intercept import intercept
from proxy.policy.part import Part


def compile_intercept(scope: Scope) -> Part | None:
    """Return the part for a route, or None where it has no page to put in an answer's place."""
    settings, site, route = scope.settings, scope.site, scope.route
    if route.proxy is None or not settings.intercepts_of(site, route):
        return None
    pages = compile_error_pages(settings, site, route, scope.sources.contents)
    return intercept(pages) if pages else None
