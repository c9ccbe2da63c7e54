"""Which route serves a request: decided by look-up, never by the order in the file."""

from collections.abc import Callable

from proxy.message.head import RequestHead
from proxy.routing.route import Route


class RouteTable:
    """Finds the route for a request: the most particular one wins.

    Exact before prefix before regular expression; longer before shorter; a route with methods or
    headers before one without.
    """

    __slots__ = ("_exact", "_lengths", "_prefixes", "_regexes", "routes")

    def __init__(
        self,
        exact: dict[str, tuple[Route, ...]],
        prefixes: dict[str, tuple[Route, ...]],
        regexes: tuple[tuple[Callable[[str], object], tuple[Route, ...]], ...] = (),
    ) -> None:
        """Take candidates by path, each tuple with the most particular first."""
        self._exact = exact
        self._prefixes = prefixes
        self._lengths = tuple(sorted({len(path) for path in prefixes}, reverse=True))
        self._regexes = regexes
        self.routes = tuple(
            route
            for group in (*exact.values(), *prefixes.values(), *(found for _, found in regexes))
            for route in group
        )

    def find(self, head: RequestHead) -> Route | None:
        """Return the route for a request, or None."""
        raise NotImplementedError
