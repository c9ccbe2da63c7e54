"""The whole of the settings to one Program."""

from collections.abc import Iterable

from proxy.compiler.chain import Chains
from proxy.compiler.error_pages import compile_error_pages
from proxy.compiler.pools import compile_pools
from proxy.compiler.sites import compile_sites, compile_tls_sites
from proxy.compiler.sources import Sources
from proxy.policy.response_headers import response_headers
from proxy.routing.program import Program
from proxy.routing.route import Endpoint, Limits, LogPlan, Timeouts, TlsPlan
from proxy.settings.models import ListenAddress, Settings


def compile_program(settings: Settings, sources: Sources) -> Program:
    """Return the program for a configuration that was checked.

    Args:
        settings: What `settings.load` returned.
        sources: What else is needed; a site whose certificate is missing has no TLS.

    Raises:
        KeyError: The authorities of an upstream, or what is in a file, are missing.
    """
    listen = settings.listen
    return Program(
        endpoints=(
            *_endpoints(listen.http, tls=False),
            *_endpoints(listen.https, tls=True),
        ),
        sites=compile_sites(settings, sources),
        pools=compile_pools(settings, sources.authorities),
        tls=TlsPlan(
            min_version=settings.tls.min_version,
            ciphers=settings.tls.ciphers,
            http2=settings.tls.http2,
            sites=compile_tls_sites(settings, sources.certificates),
        ),
        limits=_limits(settings),
        timeouts=_timeouts(settings),
        log=_log(settings),
        trusted=settings.trusted_networks,
        proxy_protocol=settings.proxy_protocol,
        drain_timeout=settings.drain_timeout,
        error_pages=compile_error_pages(settings, None, None, sources.contents),
        edit=Chains().chain([response_headers(settings.headers_of())]).edit_plain,
    )


def _endpoints(addresses: Iterable[ListenAddress], *, tls: bool) -> tuple[Endpoint, ...]:
    return tuple(Endpoint(address.host, address.port, tls) for address in addresses)


def _limits(settings: Settings) -> Limits:
    given = settings.limits
    return Limits(
        connections=given.connections,
        connections_per_ip=given.connections_per_ip,
        websockets=given.websockets,
        websockets_per_ip=given.websockets_per_ip,
        header_size=given.header_size,
        headers=given.headers,
        target=given.target,
    )


def _timeouts(settings: Settings) -> Timeouts:
    given = settings.timeouts
    return Timeouts(
        tls_handshake=given.tls_handshake,
        request_header=given.request_header,
        body_idle=given.body_idle,
        keep_alive=given.keep_alive,
        write_idle=given.write_idle,
        min_rate=settings.min_rate,
    )


def _log(settings: Settings) -> LogPlan:
    access, error = settings.log.access, settings.log.error
    return LogPlan(
        access_to=str(access.to),
        access_format=access.format,
        error_to=str(error.to),
        error_level=error.level,
    )
