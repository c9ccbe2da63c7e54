import re

import pytest
from hypothesis import given, strategies as st

from proxy.message.head import RequestHead
from proxy.message.target import normalise_path
from proxy.routing.route import Route
from proxy.routing.table import RouteTable

SLASH = Route("slash")


def route(label: str, *methods: str, **headers: str) -> Route:
    named = tuple((name.replace("_", "-"), value) for name, value in headers.items())
    return Route(label, methods=frozenset(methods) or None, headers=named)


TABLE = RouteTable(
    exact={"/favicon.ico": (route("icon"),), "/hook": (route("hook", "POST"),)},
    prefixes={
        "/": (route("root"),),
        "/auth/login/": (route("login", "POST"),),
        "/static/": (route("static"),),
        "/static/old/": (route("old"),),
        "/api/": (
            route("beta POST", "POST", x_beta="1"),
            route("beta", x_beta="1"),
            route("api"),
        ),
    },
    regexes=((re.compile(r"\.php$").search, (route("php"),)),),
    slash=SLASH,
)
BARE = RouteTable(
    exact={"/only": (route("only", "GET", "HEAD", x_a="1"), route("also", "PUT"))},
    prefixes={
        "/app/": (route("app"),),
        "/post/": (route("post", "POST"),),
    },
    regexes=(
        (re.compile(r"^/u/[0-9]+$").search, (route("user", "GET"),)),
        (re.compile(r"^/u/").search, (route("users"),)),
    ),
    slash=SLASH,
)


def asking(target: str, method: str = "GET", block: bytes = b"") -> RequestHead:
    head = RequestHead(method, target, "HTTP/1.1")
    head.path = normalise_path(target)
    head.block = block
    return head


def label(table: RouteTable, head: RequestHead) -> str | None:
    found = table.find(head)
    return None if found is None else found.label


@pytest.mark.parametrize(
    ("target", "expected"),
    [
        ("/", "root"),
        ("/anything", "root"),
        ("/favicon.ico", "icon"),
        ("/favicon.ico/", "root"),
        ("/static", "root"),
        ("/static/", "static"),
        ("/static/a/b.css", "static"),
        ("/staticx/", "root"),
        ("/static/old/", "old"),
        ("/static/old", "static"),
        ("/static/%6Fld/a", "old"),
        ("/static//old%2Fa", "old"),
        ("/index.php", "root"),
    ],
)
def test_most_particular_path_wins(target: str, expected: str) -> None:
    assert label(TABLE, asking(target)) == expected


def test_methods_and_headers_come_first_where_they_fit() -> None:
    assert label(TABLE, asking("/api/", "POST", b"X-Beta: 1\r\n")) == "beta POST"
    assert label(TABLE, asking("/api/", "GET", b"a: b\r\nx-beta:  1 \r\n")) == "beta"
    assert label(TABLE, asking("/api/", "POST", b"X-Beta: 10\r\n")) == "api"
    assert label(TABLE, asking("/api/", "POST", b"Not-X-Beta: 1\r\n")) == "api"


def test_another_method_falls_to_a_less_particular_route() -> None:
    assert label(TABLE, asking("/auth/login/", "POST")) == "login"
    assert label(TABLE, asking("/auth/login/", "GET")) == "root"
    assert label(TABLE, asking("/hook", "GET")) == "root"


def test_methods_are_case_sensitive() -> None:
    assert label(TABLE, asking("/hook", "post")) == "root"


def test_regular_expressions_rank_last_and_in_order() -> None:
    assert label(BARE, asking("/u/7")) == "user"
    assert label(BARE, asking("/u/7", "PUT")) == "users"
    assert label(BARE, asking("/u/x")) == "users"
    assert label(BARE, asking("/app/u/7")) == "app"


def test_nothing_serves() -> None:
    assert label(BARE, asking("/")) is None
    assert BARE.allowed("/") == frozenset()


def test_allowed() -> None:
    assert label(BARE, asking("/only")) is None
    assert BARE.allowed("/only") == {"GET", "HEAD", "PUT"}
    assert label(BARE, asking("/post/x")) is None
    assert BARE.allowed("/post/x") == {"POST"}
    assert BARE.allowed("/app/") == frozenset()


def test_missing_slash_is_added_only_where_nothing_else_serves() -> None:
    assert BARE.find(asking("/app")) is SLASH
    assert label(BARE, asking("/post")) is None
    assert BARE.find(asking("/post", "POST")) is SLASH
    assert label(TABLE, asking("/api")) == "root"
    assert RouteTable({}, {"/app/": (route("app"),)}).find(asking("/app")) is None


def test_every_route_is_listed_once() -> None:
    assert [each.label for each in BARE.routes] == ["only", "also", "app", "post", "user", "users"]


paths = st.lists(st.sampled_from("ab"), max_size=4).map(lambda parts: "/" + "/".join(parts))


@given(st.sets(paths, max_size=6), paths)
def test_longest_prefix_wins_whatever_the_order(prefixes: set[str], path: str) -> None:
    table = RouteTable({}, {f"{each}/".replace("//", "/"): (route(each),) for each in prefixes})
    beneath = [each for each in prefixes if path.startswith(f"{each}/".replace("//", "/"))]
    assert label(table, asking(path)) == max(beneath, key=len, default=None)


def test_options_asterisk_is_for_the_route_of_everything() -> None:
    head = RequestHead("OPTIONS", "*", "HTTP/1.1")
    assert label(TABLE, head) == "root"
    assert label(BARE, head) is None
