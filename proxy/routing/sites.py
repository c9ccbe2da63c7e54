"""Which site a request is for: exact host, then wildcard, then the default one."""

from dataclasses import dataclass

from proxy.exchange.error_pages import NO_PAGES, ErrorPages
from proxy.message.edit import NO_EDIT, FieldEdit
from proxy.policy.part import Gate
from proxy.routing.table import RouteTable


@dataclass(slots=True, eq=False)
class Site:
    """One site: its names and its table of routes.

    Attributes:
        label: Its first host name, for the log.
        plain_gates: Run for requests that came by http, before a route is looked for: the
            redirect to https.
        edit, edit_plain: For answers given before a route is known (404, 405, redirects).
        hosts: All its names, as written.
        tls: Whether it may be served over TLS.
        error_pages: For errors before a route is known.
    """

    label: str
    routes: RouteTable
    plain_gates: tuple[Gate, ...] = ()
    edit: FieldEdit = NO_EDIT
    edit_plain: FieldEdit = NO_EDIT
    hosts: tuple[str, ...] = ()
    tls: bool = True
    error_pages: ErrorPages = NO_PAGES


class SiteTable:
    """Finds the site for a host."""

    __slots__ = ("_default", "_exact", "_wildcards", "sites")

    def __init__(
        self, exact: dict[str, Site], wildcards: dict[str, Site], default: Site | None = None
    ) -> None:
        """Take sites by lower-case host; a wildcard's key is its part after the star (".a.b")."""
        self._exact = exact
        self._wildcards = wildcards
        self._default = default
        unique = {id(site): site for site in (*exact.values(), *wildcards.values())}
        if default is not None:
            unique[id(default)] = default
        self.sites = tuple(unique.values())

    def find(self, host: str) -> Site | None:
        """Return the site for a lower-case host without port, or None.

        A wildcard stands for one whole label: `*.a.b` is no site for `x.y.a.b` nor for `a.b`.
        """
        site = self._exact.get(host)
        if site is not None:
            return site
        if self._wildcards:
            dot = host.find(".")
            if dot > 0:
                site = self._wildcards.get(host[dot:])
                if site is not None:
                    return site
        return self._default
