"""What a program does with requests, row by row, for `pyproxy check`."""

from dataclasses import dataclass

from proxy.policy import (
    access,
    basic_auth,
    cache_headers,
    compression,
    forward_auth,
    intercept,
    maintenance,
    rate_limit,
)
from proxy.policy.body_limit import spell_size
from proxy.routing.program import Program
from proxy.routing.route import Route
from proxy.routing.sites import Site

_POLICIES = {
    maintenance.NAME: "maintenance",
    access.NAME: "by address",
    rate_limit.NAME: "rate limit",
    basic_auth.NAME: "password",
    forward_auth.NAME: "forward auth",
    intercept.NAME: "own error pages",
    cache_headers.NAME: "cache headers",
    compression.NAME: "compression",
}
"""In words. What is not here stands in a column of its own."""


@dataclass(frozen=True, slots=True)
class Row:
    """One route, in words.

    Attributes:
        site: The hosts of its site; the default site is marked.
        path: As written; a regular expression is led by "~".
        methods: "any", or the methods it takes.
        conditions: Headers the request must carry, "" for none.
        action: "proxy django", "redirect 308 /new/", "respond 204".
        policies: What is asked of requests, or done to answers, beside that.
        limits: The body's, and the times of a hop.
        headers: The lines set on every answer over TLS.
    """

    site: str
    path: str
    methods: str
    conditions: str
    action: str
    policies: str
    limits: str
    headers: tuple[str, ...]


def describe(program: Program) -> list[Row]:
    """Return a row for each route; within a site those that are tried first come first."""
    return [
        _row(_hosts(program, site), route)
        for site in program.all_sites()
        for route in site.routes.routes
    ]


def _hosts(program: Program, site: Site) -> str:
    # No host is the empty string, so that only the default site is found by it.
    marks = ["(default)"] if program.sites.find("") is site else []
    return " ".join([*site.hosts, *marks])


def _row(site: str, route: Route) -> Row:
    return Row(
        site=site,
        path=route.label.partition(" ")[2] if route.methods else route.label,
        methods=", ".join(sorted(route.methods)) if route.methods else "any",
        conditions=", ".join(f"{name}: {value}" for name, value in route.headers),
        action=route.action,
        policies=", ".join(_POLICIES[part.name] for part in route.parts if part.name in _POLICIES),
        limits=_limits(route),
        headers=tuple(route.edit.block.decode("latin-1").split("\r\n")[:-1]),
    )


def _limits(route: Route) -> str:
    limits = [f"body {spell_size(route.body_limit) if route.body_limit else 'unlimited'}"]
    if route.proxy is not None:
        limits.append(f"response {route.proxy.response_timeout:g} s")
    return ", ".join(limits)
