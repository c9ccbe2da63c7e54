"""One route of a configuration, as the compilers of policies see it."""

from collections.abc import Mapping
from textwrap import indent

from proxy.compiler.sources import Scope, Sources
from tests.compiler.compiling import settings


def scope_of(
    route: str, site: str = "", file: str = "", contents: Mapping[str, bytes] | None = None
) -> Scope:
    """Return the scope of a route at /x/, each level given as lines of YAML."""
    text = (
        f"upstreams: {{app: {{servers: [http://app:8000]}}}}\n{file}\n"
        f"sites:\n  - hosts: [localhost]\n{indent(site, '    ')}\n    routes:\n"
        f"      - path: /x/\n{indent(route, '        ')}\n"
    )
    where = settings(text)
    (only,) = where.sites
    return Scope(where, only, only.routes[0], "/x/", Sources(contents=contents or {}))
