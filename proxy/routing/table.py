"""Which route serves a request: decided by look-up, never by the order in the file."""

from collections.abc import Callable, Iterator

from proxy.message.fields import field_values
from proxy.message.head import RequestHead
from proxy.routing.route import Route

Search = Callable[[str], object]
"""Looks for a compiled regular expression in a path."""


class RouteTable:
    """Finds the route for a request: the most particular one that takes it.

    Exact before prefix before regular expression; longer before shorter; a route with methods or
    headers before one without. A route that does not take the request's method or headers is
    passed over, so that beside a POST-only `/login/` a GET falls to `/`.

    `/app` is not beneath `/app/`. Where no route at all serves it, and a route for `/app/` would
    take the request, the client is sent there, as nginx does; nginx does it too where a less
    particular route serves `/app`, which sends applications that redirect the other way in circles.
    """

    __slots__ = ("_exact", "_lengths", "_prefixes", "_regexes", "_slash", "routes")

    def __init__(
        self,
        exact: dict[str, tuple[Route, ...]],
        prefixes: dict[str, tuple[Route, ...]],
        regexes: tuple[tuple[Search, tuple[Route, ...]], ...] = (),
        slash: Route | None = None,
    ) -> None:
        """Take candidates by path, each tuple with the most particular first.

        Args:
            exact: By whole path.
            prefixes: By prefix, its final slash included.
            regexes: In the order in which they are tried.
            slash: The route that sends a client to its path with a slash added.
        """
        self._exact = exact
        self._prefixes = prefixes
        self._lengths = tuple(sorted({len(path) for path in prefixes}, reverse=True))
        self._regexes = regexes
        self._slash = slash
        self.routes = tuple(
            route
            for group in (*exact.values(), *prefixes.values(), *(found for _, found in regexes))
            for route in group
        )

    def find(self, head: RequestHead) -> Route | None:
        """Return the route for a request, or None. A question of the path alone: see `allowed`."""
        for group in self._candidates(head.path):
            for route in group:
                if route.methods is None and not route.headers:
                    return route
                if _takes(route, head):
                    return route
        if self._slash is not None:
            for route in self._prefixes.get(head.path + "/", ()):
                if _takes(route, head):
                    return self._slash
        return None

    def allowed(self, path: str) -> frozenset[str]:
        """Return the methods that routes for a path name, for 405 and its Allow field.

        To be asked where `find` gave None: if the result is not empty and the request's method is
        not in it, the answer is 405; otherwise 404.
        """
        found: set[str] = set()
        for group in self._candidates(path):
            for route in group:
                found.update(route.methods or ())
        return frozenset(found)

    def _candidates(self, path: str) -> Iterator[tuple[Route, ...]]:
        """Yield the groups of routes for a path, the most particular first."""
        if path == "*":  # OPTIONS asks about the server as a whole (RFC 9110, 9.3.7)
            path = "/"
        group = self._exact.get(path)
        if group is not None:
            yield group
        prefixes = self._prefixes
        size = len(path)
        for length in self._lengths:
            if length <= size:
                group = prefixes.get(path[:length])
                if group is not None:
                    yield group
        for search, group in self._regexes:
            if search(path):
                yield group


def _takes(route: Route, head: RequestHead) -> bool:
    if route.methods is not None and head.method not in route.methods:
        return False
    return all(value in field_values(head.block, name) for name, value in route.headers)
