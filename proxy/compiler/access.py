"""A site's or a route's `allow` and `deny` to the part that keeps clients out."""

from proxy.compiler.kept_once import kept_once
from proxy.compiler.sources import Scope
from proxy.message.networks import NetworkSet
from proxy.policy.access import access
from proxy.policy.part import Part
from proxy.settings.models import Networks


def compile_access(scope: Scope) -> Part | None:
    """Return the part for a route, or None where everybody is let in."""
    networks = scope.settings.access_of(scope.site, scope.route)
    return None if networks is None else _part(*networks)


@kept_once
def _part(allow: Networks, deny: Networks) -> Part:
    return access(NetworkSet(allow, deny, rest=not allow))
