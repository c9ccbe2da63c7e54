"""The Program: everything a worker needs to serve, compiled from one configuration file."""

from dataclasses import dataclass

from proxy.exchange.error_pages import NO_PAGES, ErrorPages
from proxy.message.edit import NO_EDIT, FieldEdit
from proxy.message.networks import Network
from proxy.routing.route import Endpoint, Limits, LogPlan, Timeouts, TlsPlan
from proxy.routing.sites import Site, SiteTable
from proxy.upstream.plan import PoolPlan


@dataclass(slots=True, eq=False)
class Program:
    """One configuration, compiled. A reload makes a new one and swaps one reference.

    Attributes:
        endpoints: Addresses to listen on.
        sites: Finds the site for a host.
        pools: By name.
        trusted: Networks whose forwarding fields and PROXY protocol are believed.
        proxy_protocol: True to expect PROXY protocol from trusted peers on every connection.
        drain_timeout: Seconds that a stop lets running requests finish.
        edit: For answers for which no site is known, over TLS or not. It never adds
            Strict-Transport-Security: nobody knows which host that would bind.
        error_pages: For errors for which no site is known.
    """

    endpoints: tuple[Endpoint, ...]
    sites: SiteTable
    pools: dict[str, PoolPlan]
    tls: TlsPlan
    limits: Limits
    timeouts: Timeouts
    log: LogPlan
    trusted: tuple[Network, ...] = ()
    proxy_protocol: bool = False
    drain_timeout: float = 30.0
    edit: FieldEdit = NO_EDIT
    error_pages: ErrorPages = NO_PAGES

    def all_sites(self) -> tuple[Site, ...]:
        """Return every site once."""
        return self.sites.sites
