import pytest

from proxy.settings.models import Redirect, Respond, Route, ServerAddress
from tests.settings.loading import only, route, settings


def one(text: str) -> Route:
    return settings(route(text)).sites[0].routes[0]


def test_a_route_to_an_upstream() -> None:
    found = one("{path: /api/, proxy: app}")
    assert (found.path, found.proxy, found.strip) == ("/api/", "app", "")
    assert found.limits.body is None
    assert found.timeouts.response is None
    websocket = found.websocket
    assert (websocket.idle_timeout, websocket.ping_interval, websocket.max_message) == (3600, 0, 0)


def test_a_host_for_the_upstream() -> None:
    found = one("{path: /, proxy: app, request_headers: {Host: 'App.internal:8000'}}")
    assert found.request_headers == {"Host": "App.internal:8000"}


def test_a_route_with_everything() -> None:
    found = one(
        "{path: /api/, methods: [get, POST], headers: {X-A: 1}, proxy: app, strip_prefix: true,"
        " limits: {body: 10MB}, timeouts: {response: 120s}, websocket: {idle_timeout: 2h},"
        " request_headers: {X-Env: production, Cookie: null}, response_headers: {X-P: null}}"
    )
    assert found.methods == ("GET", "POST")
    assert found.headers == {"X-A": "1"}
    assert found.strip == "/api"
    assert found.limits.body == 10 << 20
    assert found.request_headers == {"X-Env": "production", "Cookie": None}
    assert found.constraints == 2


@pytest.mark.parametrize(
    ("text", "strip"),
    [
        ("path: /api/, strip_prefix: /api/", "/api"),
        ("path: /api/v1/, strip_prefix: /api", "/api"),
        ("path: /, strip_prefix: on", ""), ("path: /x, strip_prefix: /x", "/x"),
        ("path: /api/, strip_prefix: off", ""),
    ],
)  # fmt: skip
def test_prefixes(text: str, strip: str) -> None:
    assert one(f"{{{text}, proxy: app}}").strip == strip


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ('"http://django:8000"', ServerAddress("http", "django", 8000)),
        ("https://api.example", ServerAddress("https", "api.example", 443)),
        ("unix:/run/app.sock", ServerAddress("unix", socket="/run/app.sock")),
    ],
)
def test_a_route_to_an_address(text: str, address: ServerAddress) -> None:
    assert one(f"{{path: /, proxy: {text}}}").proxy == address


@pytest.mark.parametrize(
    ("text", "prefix"),
    [
        ("path: /static/", "/static/"), ("path: /", "/"), ("path: /robots.txt", "/"),
        ("path: /a/robots.txt", "/a/"), ("path_regex: '[.]png$'", "/"),
    ],
)  # fmt: skip
def test_what_is_looked_for_beneath_a_root(text: str, prefix: str) -> None:
    assert one(f"{{{text}, files: /srv/www}}").files_prefix == prefix


def test_what_a_route_says_nothing_of_is_the_sites() -> None:
    found = one("{path: /, proxy: app}")
    for name in ("rate_limit", "allow", "deny", "basic_auth", "forward_auth", "maintenance",
                 "compress", "intercept_errors", "cache", "files", "fallback"):  # fmt: skip
        assert getattr(found, name) is None


@pytest.mark.parametrize("key", ["rate_limit", "allow", "deny", "basic_auth", "forward_auth"])
def test_a_forgotten_value_opens_no_door(key: str) -> None:
    assert only(route(f"{{path: /, proxy: app, {key}: }}")).endswith(
        f"sites[0].routes[0].{key}: expected a value; `off` takes away what the site says,"
        " found nothing"
    )


@pytest.mark.parametrize("key", ["compress", "maintenance"])
def test_nothing_is_off_where_nothing_is_guarded(key: str) -> None:
    assert getattr(one(f"{{path: /, proxy: app, {key}: }}"), key) == "off"


def test_redirects_and_fixed_answers() -> None:
    assert one("{path: /a, redirect: /b}").redirect == Redirect(to="/b", status=302)
    assert one("{path: /a, redirect: {to: /b, status: 308}}").redirect == Redirect(
        to="/b", status=308
    )
    assert one("{path: /a, respond: 204}").respond == Respond(status=204)
    found = one("{path: /a, respond: {body: pong, content_type: text/html}}").respond
    assert found == Respond(status=200, body="pong", content_type="text/html")


@pytest.mark.parametrize(
    ("text", "part"),
    [
        ("{proxy: app}", "either `path` or `path_regex`"),
        ("{path: /, path_regex: x, proxy: app}", "either `path` or `path_regex`"),
        ("{path: /}", "exactly one of proxy, redirect, respond and files"),
        (
            "{path: /, proxy: app, respond: 204}",
            "exactly one of proxy, redirect, respond and files",
        ),
        ("{path: /x/*, proxy: app}", 'did you mean "/x/"?'),
        ("{path_regex: (, proxy: app}", "not a regular expression"),
        ("{path: /, methods: [PSOT], proxy: app}", 'did you mean "POST"?'),
        ("{path: /, methods: [TRACE], proxy: app}", "always refused"),
        ("{path: /, methods: [], proxy: app}", "the list is empty"),
        ("{path: /, methods: [3], proxy: app}", "expected a method"),
        ("{path: /, proxy: django:8000}", 'did you mean "http://django:8000"?'),
        ("{path: /, proxy: 'a b'}", "a name is made of"),
        ("{path: /, proxy: [app]}", "expected"),
        ("{path: /, redirect: {to: /b, status: 300}}", "expected 301, 302, 303, 307, 308"),
        ("{path: /, redirect: {status: 301}}", "the key `to` is missing"),
        ("{path: /, respond: 100}", "at least 200"),
        ("{path: /, respond: {status: 204, body: x}}", "has no body"),
        ("{path: /, respond: {content_type: html}}", "expected a media type"),
        ("{path: /, proxy: app, response_headers: {Connection: close}}", "the proxy itself"),
        ("{path: /, proxy: app, request_headers: {Content-Length: 3}}", "the proxy itself"),
        ("{path: /, proxy: app, request_headers: {host: null}}", "cannot remove Host"),
        ("{path: /, proxy: app, request_headers: {Host: a/b}}", "no host name"),
        ('{path: /, proxy: app, request_headers: {X: "a\\r\\nb"}}', "a header is one line"),
        ("{path: /x, proxy: app, strip_prefix: true}", "ends in /"),
        ("{path: /x/, proxy: app, strip_prefix: /y}", "never be cut"),
        ("{path: /xy/, proxy: app, strip_prefix: /x}", "never be cut"),
        ("{path_regex: x, proxy: app, strip_prefix: /x}", "not a `path_regex`"),
        ("{path: /x/, respond: 204, strip_prefix: true}", "with `proxy` only"),
        ("{path: /, proxy: app, limits: {body: lots}}", "expected a size"),
        ("{path: /, proxy: app, websocket: {idle_timeout: 0}}", "a time of nothing"),
        ("{path: /, proxy: app, compression: on}", "unknown key"),
        ("just text", "expected a table of keys"),
        ("{path: /, proxy: app, fallback: a}", "`fallback` means something with `files` only"),
        ("{path: /, respond: 204, intercept_errors: on}", "with `proxy` only"),
        ("{path: /, files: /a, request_headers: {X: y}}", "`request_headers` is for upstreams"),
        ("{path: /, files: /a, timeouts: {idle: 3s}}", "`timeouts` is for upstreams"),
        ("{path: /, files: /a, websocket: {idle_timeout: 2h}}", "`websocket` is for upstreams"),
        ("{path: /, files: /a, strip_prefix: on}", "with `proxy` only"),
        ("{path: /, files: /a, intercept_errors: on}", "with `proxy` only"),
        ("{path: /, files: /a, methods: [POST]}", "`files` answers GET and HEAD only"),
        ("{path: /, proxy: app, response_headers: {Preset: strict}}", "`preset` has its place in"),
    ],
)
def test_mistakes(text: str, part: str) -> None:
    assert part in only(route(text))
