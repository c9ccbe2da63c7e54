import ipaddress

import pytest

from proxy.settings.models import Redirect, Respond, Route, ServerAddress
from tests.settings.loading import lines, only, route, settings


def one(text: str) -> Route:
    return settings(route(text)).sites[0].routes[0]


def test_a_route_to_an_upstream() -> None:
    found = one("{path: /api/, proxy: app}")
    assert (found.path, found.proxy, found.strip) == ("/api/", "app", "")
    assert found.limits.body is None
    assert found.timeouts.response is None
    assert found.websocket.idle_timeout == 3600


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


def test_what_is_not_built_is_modelled() -> None:
    found = Route.model_validate(
        {
            "path": "/x/", "files": "x", "cache": "1y", "fallback": "index.html",
            "rate_limit": "login", "allow": "10.0.0.0/8", "deny": ["all"],
            "websocket": {"ping_interval": "30s", "max_message": "1MB"},
        },
        context={"folder": "/srv"},
    )  # fmt: skip
    assert (found.files, found.cache, found.rate_limit) == ("/srv/x", 31536000, ("login",))
    assert found.allow == (ipaddress.ip_network("10.0.0.0/8"),)
    assert found.deny == ("all",)
    assert Route.model_validate({"path": "/", "files": "x", "allow": None}).allow == ()
    with pytest.raises(ValueError, match="1 validation error"):
        Route.model_validate({"path": "/", "files": "x", "deny": "none"})


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
        ("{path: /}", "exactly one of proxy, redirect and respond"),
        ("{path: /, proxy: app, respond: 204}", "exactly one of proxy, redirect and respond, not"),
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
    ],
)
def test_mistakes(text: str, part: str) -> None:
    assert part in only(route(text))


def site(text: str) -> str:
    return f"sites:\n  - {{{text}, routes: [{{path: /, respond: 204}}]}}\n"


@pytest.mark.parametrize(
    ("hosts", "tls"),
    [
        ("[localhost]", "self_signed"), ("[127.0.0.1, '::1']", "self_signed"),
        ("[app.localhost, a.internal, b.test]", "self_signed"), ("localhost", "self_signed"),
    ],
)  # fmt: skip
def test_local_names_are_self_signed(hosts: str, tls: str) -> None:
    assert settings(site(f"hosts: {hosts}")).sites[0].tls == tls


def test_public_names_wait_for_acme() -> None:
    for hosts in ("[moviediary.live]", "[localhost, moviediary.live]"):
        assert "public names get their certificate by `tls: acme`" in only(site(f"hosts: {hosts}"))


def test_a_plain_site_redirects_nowhere() -> None:
    found = settings(site("hosts: [a.example], tls: off")).sites[0]
    assert (found.tls, found.redirect_http) == ("off", None)
    assert "would lead to https" in only(site("hosts: [a.example], tls: off, redirect_http: 301"))
    assert settings(site("hosts: [a.example], tls: off, redirect_http: off")).sites[0].tls == "off"


def test_redirects_from_http() -> None:
    assert settings(site("hosts: [localhost]")).sites[0].redirect_http == 301
    assert settings(site("hosts: [localhost], redirect_http: 308")).sites[0].redirect_http == 308
    assert settings(site("hosts: [localhost], redirect_http: off")).sites[0].redirect_http is None
    assert "expected 301, 308 or off" in only(site("hosts: [localhost], redirect_http: 302"))


@pytest.mark.parametrize(
    ("text", "part"),
    [
        ("default: false", "names its `hosts`"),
        ("hosts: [localhost], tls: self-signed", 'did you mean "self_signed"?'),
        ("hosts: [localhost], tls: {cert: a.pem}", "the key `key` is missing"),
        ("hosts: [localhost], tls: 3", "expected acme, self_signed, off"),
        ("hosts: [localhost], tls: [x]", "expected"),
        ("hosts: {a: b}", "expected a host name"),
        ("hosts: [localhost], headers: {Host: x}", "the proxy itself"),
        ("host: localhost, default: true, tls: off", "did you mean `hosts`?"),
    ],
)
def test_mistakes_in_sites(text: str, part: str) -> None:
    assert part in "\n".join(lines(site(text)))
