"""A site's routes to its table: which candidates stand on a path, and what each of them does."""

import re
from collections.abc import Iterable, Mapping

from proxy.compiler.chain import Chain, Chains
from proxy.compiler.error_pages import compile_error_pages
from proxy.compiler.files import files_plan
from proxy.compiler.policies import policy_parts
from proxy.compiler.pools import pool_name
from proxy.compiler.sources import Scope, Sources
from proxy.policy.body_limit import body_limit
from proxy.policy.part import Part
from proxy.policy.redirect import add_slash, redirect
from proxy.policy.request_headers import request_headers
from proxy.policy.respond import respond
from proxy.policy.response_headers import response_headers
from proxy.routing.route import ProxyPlan, Route
from proxy.routing.table import RouteTable
from proxy.settings.models import Route as RouteSettings, Settings, Site as SiteSettings


class RouteCompiler:
    """Compiles the routes of one site."""

    __slots__ = ("_chains", "_settings", "_site", "_sources")

    def __init__(
        self, settings: Settings, site: SiteSettings, chains: Chains, sources: Sources
    ) -> None:
        self._settings = settings
        self._sources = sources
        self._site = site
        self._chains = chains

    def table(self) -> RouteTable:
        """Return the table of the site's routes.

        Regular expressions are tried in an order that is theirs alone: longer ones first, then by
        the alphabet. A dot in them stands for an encoded line feed, too: with `/admin/%0a/x` a
        client would else get past the rules for `^/admin/.*$`.
        """
        exact: dict[str, list[RouteSettings]] = {}
        prefixes: dict[str, list[RouteSettings]] = {}
        regexes: dict[str, list[RouteSettings]] = {}
        for route in sorted(self._site.routes, key=_rank):
            if route.path is None:
                regexes.setdefault(route.path_regex or "", []).append(route)
            elif route.path.endswith("/"):
                prefixes.setdefault(route.path, []).append(route)
            else:
                exact.setdefault(route.path, []).append(route)
        return RouteTable(
            {path: self._group(group) for path, group in _longest_first(exact)},
            {path: self._group(group) for path, group in _longest_first(prefixes)},
            tuple(
                (re.compile(regex, re.DOTALL).search, self._group(group))
                for regex, group in _longest_first(regexes)
            ),
            self._slash(),
        )

    def headers(self, route: RouteSettings | None = None) -> Part:
        """Return the part for the answers of a route, or of the site where none is known."""
        return response_headers(self._settings.headers_of(self._site, route))

    def default_host(self) -> str:
        """Return the site's host for clients that name none, "" where it has only patterns."""
        return next((host for host in self._site.hosts if not host.startswith("*")), "")

    def _group(self, routes: Iterable[RouteSettings]) -> tuple[Route, ...]:
        return tuple(map(self._route, routes))

    def _route(self, route: RouteSettings) -> Route:
        label = _label(route)
        limit = self._settings.limits.body if route.limits.body is None else route.limits.body
        set_fields, host = _without_host(route.request_headers)
        scope = Scope(self._settings, self._site, route, label, self._sources)
        parts = [self.headers(route), *policy_parts(scope), *self._handlers(route)]
        if limit:
            parts.append(body_limit(limit, label))
        if set_fields:
            parts.append(request_headers(set_fields))
        chain = self._chains.chain(parts)
        return Route(
            label=label,
            methods=_methods(route),
            headers=tuple((name.lower(), value) for name, value in route.headers.items()),
            gates=chain.gates,
            proxy=self._proxy(route, chain, host),
            files=files_plan(route),
            edit=chain.edit,
            edit_plain=chain.edit_plain,
            body_limit=limit,
            shapes=chain.shapes,
            encode=chain.encode,
            parts=chain.parts,
            error_pages=compile_error_pages(
                self._settings, self._site, route, self._sources.contents
            ),
            action=_action(route),
        )

    def _handlers(self, route: RouteSettings) -> Iterable[Part]:
        """Yield the gates that serve in place of a hop."""
        if route.redirect is not None:
            yield redirect(route.redirect.to, route.redirect.status, self.default_host())
        if route.respond is not None:
            fixed = route.respond
            yield respond(fixed.status, fixed.body, fixed.content_type)

    def _proxy(self, route: RouteSettings, chain: Chain, host: str) -> ProxyPlan | None:
        upstream = self._settings.upstream_of(route)
        if upstream is None:
            return None
        own, common = route.timeouts, upstream.timeouts
        return ProxyPlan(
            pool=pool_name(route),
            request_edit=chain.request_edit,
            host=host,
            strip=route.strip,
            forwarded=self._settings.forwarded_header,
            connect_timeout=common.connect if own.connect is None else own.connect,
            response_timeout=common.response if own.response is None else own.response,
            idle_timeout=common.idle if own.idle is None else own.idle,
            websocket_idle=route.websocket.idle_timeout,
            websocket_ping=route.websocket.ping_interval,
            websocket_max_message=route.websocket.max_message,
        )

    def _slash(self) -> Route:
        chain = self._chains.chain([self.headers(), add_slash()])
        return Route(
            label="add slash",
            gates=chain.gates,
            edit=chain.edit,
            edit_plain=chain.edit_plain,
            action="redirect to the path with a slash",
        )


def _rank(route: RouteSettings) -> tuple[int, bool, str]:
    """Sort more conditions first; HEAD asked for by name before HEAD that comes with GET."""
    return -route.constraints, "HEAD" not in (route.methods or ()), _label(route)


def _longest_first(
    groups: dict[str, list[RouteSettings]],
) -> list[tuple[str, list[RouteSettings]]]:
    return sorted(groups.items(), key=lambda item: (-len(item[0]), item[0]))


def _label(route: RouteSettings) -> str:
    path = route.path if route.path is not None else f"~{route.path_regex}"
    return f"{','.join(route.methods)} {path}" if route.methods else path


def _methods(route: RouteSettings) -> frozenset[str] | None:
    """Return the methods; who serves GET serves HEAD (RFC 9110, 9.3.2)."""
    if route.methods is None:
        return None
    return frozenset(route.methods) | ({"HEAD"} if "GET" in route.methods else set())


def _without_host(values: Mapping[str, str | None]) -> tuple[dict[str, str | None], str]:
    """Return the fields to set without Host, and the value of Host or ""."""
    rest = {name: value for name, value in values.items() if name.lower() != "host"}
    host = next((value for name, value in values.items() if name.lower() == "host"), None)
    return rest, host or ""


def _action(route: RouteSettings) -> str:
    if route.redirect is not None:
        return f"redirect {route.redirect.status} {route.redirect.to}"
    if route.respond is not None:
        return f"respond {route.respond.status}"
    if route.files is not None:
        return f"files {route.files.root}"
    return f"proxy {pool_name(route)}"
