"""A site's or a route's `maintenance` to the part that keeps clients out."""

from proxy.compiler.error_pages import compile_error_pages, compile_page
from proxy.compiler.kept_once import kept_once
from proxy.compiler.sources import Scope
from proxy.exchange.error_pages import ErrorPages
from proxy.message.networks import NetworkSet
from proxy.policy.maintenance import maintenance
from proxy.policy.part import Part
from proxy.settings.models import Maintenance
from proxy.state.flag_file import FlagFile

_networks = kept_once(NetworkSet)
_flag_file = kept_once(FlagFile)


def compile_maintenance(scope: Scope) -> Part | None:
    """Return the part for a route, or None where nothing is ever on."""
    given = scope.settings.maintenance_of(scope.site, scope.route)
    if given is None:
        return None
    return maintenance(
        _pages(scope, given),
        status=given.status,
        retry_after=given.retry_after or 0.0,
        is_on=_flag_file(given.when).is_on if isinstance(given.when, str) else None,
        is_let_in=_networks(given.allow).contains if given.allow else None,
    )


def _pages(scope: Scope, given: Maintenance) -> ErrorPages:
    contents = scope.sources.contents
    if given.page is None:
        return compile_error_pages(scope.settings, scope.site, scope.route, contents)
    return ErrorPages({str(given.status): compile_page(given.page, contents)})
