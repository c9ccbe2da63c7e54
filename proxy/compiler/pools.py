"""Upstreams to pool plans.

An address given straight to a route's `proxy:` is a pool of its own, and so is that of a server
that is asked for authentication.
"""

from collections.abc import Mapping

from proxy.settings.access import ForwardAuth
from proxy.settings.addresses import ServerAddress
from proxy.settings.models import HashBalance, Route, Server, Settings, Upstream, lone_server
from proxy.upstream.plan import HealthPlan, PoolPlan, ServerPlan, TlsClientPlan


def pool_name(route: Route) -> str:
    """Return the name of the pool that a route proxies to; routes to one address share one.

    The name of an upstream has neither ":" nor "/", an address always has, so they cannot meet.
    """
    return str(route.proxy)


def auth_pool_name(auth: ForwardAuth) -> str:
    """Return the name of the pool that a server is asked through.

    It is that of its address, so that connections and what is known of the server are shared with
    routes that proxy to it. How long a question may take is said with each of them.
    """
    return str(auth.url.server)


def compile_pools(settings: Settings, authorities: Mapping[str, str]) -> dict[str, PoolPlan]:
    """Return the plan of every upstream, and of every address that a route needs, by name.

    Args:
        settings: What was checked.
        authorities: Content of `ca_file`, by upstream.

    Raises:
        KeyError: The authorities of an upstream are missing.
    """
    pools = {
        name: _pool(name, upstream, authorities) for name, upstream in settings.upstreams.items()
    }
    for site in settings.sites:
        for route in site.routes:
            upstream = settings.upstream_of(route)
            name = pool_name(route)
            if upstream is not None and name not in pools:
                pools[name] = _pool(name, upstream, authorities)
            auth = settings.forward_auth_of(site, route)
            if auth is not None and auth_pool_name(auth) not in pools:
                name = auth_pool_name(auth)
                pools[name] = _pool(name, lone_server(auth.url.server), authorities)
    return pools


def _pool(name: str, upstream: Upstream, authorities: Mapping[str, str]) -> PoolPlan:
    balance = upstream.balance
    by_key = balance.hash if isinstance(balance, HashBalance) else None
    return PoolPlan(
        name=name,
        servers=tuple(map(_server, upstream.servers)),
        balance="hash" if isinstance(balance, HashBalance) else balance,
        hash_kind=by_key.kind if by_key else "",
        hash_name=by_key.name if by_key else "",
        health=_health(upstream),
        max_fails=upstream.max_fails,
        fail_timeout=upstream.fail_timeout,
        retries=upstream.retries,
        keep_alive_connections=upstream.keep_alive.connections,
        keep_alive_idle=upstream.keep_alive.idle,
        hold=upstream.hold,
        connect_timeout=upstream.timeouts.connect,
        response_timeout=upstream.timeouts.response,
        idle_timeout=upstream.timeouts.idle,
        max_connections=upstream.max_connections,
        queue_timeout=upstream.queue_timeout,
        request_buffering=upstream.buffering.request,
        response_buffering=upstream.buffering.response,
        http2=upstream.http2,
        tls=TlsClientPlan(
            verify=upstream.tls.verify,
            ca_pem=authorities[name] if upstream.tls.ca_file is not None else "",
            server_name=upstream.tls.server_name or "",
        ),
    )


def _server(server: Server) -> ServerPlan:
    address: ServerAddress = server.url
    return ServerPlan(
        url=str(address),
        scheme="http" if address.scheme == "unix" else address.scheme,
        host=address.host,
        port=address.port,
        unix_path=address.socket,
        weight=server.weight,
        backup=server.backup,
    )


def _health(upstream: Upstream) -> HealthPlan | None:
    check = upstream.health_check
    if check is None:
        return None
    return HealthPlan(
        path=check.path,
        interval=check.interval,
        timeout=check.timeout,
        rise=check.rise,
        fall=check.fall,
        expect=check.expect,
        host=check.host or "",
    )
