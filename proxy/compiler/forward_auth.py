"""What asks for authentication to the part that asks."""

from proxy.compiler.pools import auth_pool_name
from proxy.compiler.sources import Scope
from proxy.message.authority import host_field
from proxy.policy.forward_auth import forward_auth
from proxy.policy.part import Part
from proxy.settings.addresses import ServerAddress


def compile_forward_auth(scope: Scope) -> Part | None:
    """Return the part for a route, or None where it asks nobody."""
    auth = scope.settings.forward_auth_of(scope.site, scope.route)
    if auth is None:
        return None
    return forward_auth(
        auth_pool_name(auth),
        _host(auth.url.server),
        auth.url.target,
        auth.copy_headers,
        auth.timeout,
    )


def _host(server: ServerAddress) -> str:
    if server.scheme == "unix":
        return "localhost"
    return host_field(server.scheme, server.host, server.port)
