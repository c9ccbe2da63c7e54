"""What asks for authentication to the part that asks."""

from proxy.compiler.pools import auth_pool_name
from proxy.compiler.sources import Scope
from proxy.policy.forward_auth import forward_auth
from proxy.policy.part import Part
from proxy.settings.addresses import ServerAddress

_USUAL_PORTS = {"http": 80, "https": 443}


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
    """Return the Host field for a server: its own host, with a port that is not the usual one."""
    if server.scheme == "unix":
        return "localhost"
    host = f"[{server.host}]" if ":" in server.host else server.host
    return host if server.port == _USUAL_PORTS[server.scheme] else f"{host}:{server.port}"
