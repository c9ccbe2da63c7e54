"""Sites to the table that hosts are looked up in, and to the names TLS has certificates for."""

from collections.abc import Mapping

from proxy.compiler.chain import Chains
from proxy.compiler.error_pages import compile_error_pages
from proxy.compiler.routes import RouteCompiler
from proxy.compiler.sources import Pairs, Sources
from proxy.policy.redirect import to_https
from proxy.routing.route import TlsSite
from proxy.routing.sites import Site, SiteTable
from proxy.settings.models import Settings, Site as SiteSettings

_HTTPS_PORT = 443


def certificate_name(site: SiteSettings) -> str:
    """Return the name that a site's certificates are handed over by: its first host, or ""."""
    return site.hosts[0] if site.hosts else ""


def compile_sites(settings: Settings, sources: Sources) -> SiteTable:
    """Return the table of sites."""
    exact: dict[str, Site] = {}
    wildcards: dict[str, Site] = {}
    default: Site | None = None
    chains = Chains()
    for site in settings.sites:
        compiled = _site(settings, site, chains, sources)
        for host in site.hosts:
            if host.startswith("*"):
                wildcards[host[1:]] = compiled
            else:
                exact[host] = compiled
        if site.default:
            default = compiled
    return SiteTable(exact, wildcards, default)


def compile_tls_sites(settings: Settings, certificates: Mapping[str, Pairs]) -> tuple[TlsSite, ...]:
    """Return names and certificates of the sites that have TLS.

    A site whose certificate is missing from `certificates` has no TLS; the others have.
    """
    return tuple(
        TlsSite(site.hosts, certificates[certificate_name(site)], default=site.default)
        for site in settings.sites
        if site.tls != "off" and certificates.get(certificate_name(site))
    )


def _site(settings: Settings, site: SiteSettings, chains: Chains, sources: Sources) -> Site:
    compiler = RouteCompiler(settings, site, chains, sources)
    common = chains.chain([compiler.headers()])
    plain = []
    if site.redirect_http is not None and settings.listen.https:
        port = _https_port(settings)
        plain.append(to_https(site.redirect_http, port, compiler.default_host()))
    return Site(
        label=site.hosts[0] if site.hosts else "default",
        routes=compiler.table(),
        plain_gates=chains.chain(plain).gates,
        edit=common.edit,
        edit_plain=common.edit_plain,
        hosts=site.hosts,
        tls=site.tls != "off",
        error_pages=compile_error_pages(settings, site, None, sources.contents),
    )


def _https_port(settings: Settings) -> int:
    """Return the port that redirects lead to: 443 if it is one of several."""
    ports = [address.port for address in settings.listen.https]
    return _HTTPS_PORT if _HTTPS_PORT in ports else ports[0]
