from itertools import permutations
from urllib.parse import quote

import pytest
from hypothesis import given, strategies as st

from proxy.errors import BadRequestError
from proxy.message.target import normalise_path
from proxy.settings.paths import route_path
from proxy.settings.problem import WrongValueError
from tests.compiler.compiling import answer_of, found, route, site_of
from tests.policy.asking import asking

ROUTES = (
    "{path: /, proxy: app}",
    "{path: /api/, proxy: app}",
    "{path: /api/, methods: [POST], proxy: app}",
    "{path: /api/, methods: [POST], headers: {X-Beta: '1'}, proxy: app}",
    "{path: /api/v1, proxy: app}",
    "{path_regex: '^/u/', proxy: app}",
    "{path_regex: '^/u/[0-9]+$', proxy: app}",
)


@pytest.mark.parametrize("order", list(permutations(ROUTES))[::97])
def test_the_order_in_the_file_never_matters(order: tuple[str, ...]) -> None:
    where = site_of(", ".join(order))
    assert found(where, "/x").label == "/"
    assert found(where, "/api/v1").label == "/api/v1"
    assert found(where, "/api/v1/").label == "/api/"
    assert found(where, "/api/", "POST").label == "POST /api/"
    beta = found(where, "/api/", "POST", b"x-beta: 1\r\n")
    assert beta.headers == (("x-beta", "1"),)
    bare = site_of(", ".join(each for each in order if "regex" in each))
    assert found(bare, "/u/7").label == "~^/u/[0-9]+$"
    assert found(bare, "/u/x").label == "~^/u/"


@pytest.mark.parametrize("path", ["/admin/x", "/admin/%0a", "/admin/%0a/x", "/admin/x%0ay%0A"])
def test_a_line_feed_is_no_way_around_a_regular_expression(path: str) -> None:
    where = site_of("{path_regex: '^/admin/.*$', respond: 403}, {path_regex: '^/', proxy: app}")
    assert found(where, path).label == "~^/admin/.*$"


def test_get_covers_head_unless_head_has_a_route_of_its_own() -> None:
    where = site_of("{path: /, methods: [GET], proxy: app}")
    assert found(where, "/", "HEAD").label == "GET /"
    assert route(where, "/", "POST") is None
    where = site_of(
        "{path: /, methods: [GET], proxy: app}, {path: /, methods: [HEAD], respond: 204}"
    )
    assert found(where, "/", "HEAD").label == "HEAD /"
    assert found(where, "/", "GET").label == "GET /"


def test_plan_of_a_hop() -> None:
    where = site_of(
        "{path: /api/, proxy: app, strip_prefix: true, timeouts: {response: 120s},"
        " websocket: {idle_timeout: 5m, ping_interval: 30s, max_message: 1MB},"
        " limits: {body: 10MB},"
        " request_headers: {X-Env: production, Host: app.internal, Cookie: null}}",
        more="forwarded_header: true\n",
    )
    one = found(where, "/api/x")
    assert one.action == "proxy app"
    assert one.body_limit == 10 * 1024 * 1024
    plan = one.proxy
    assert plan is not None
    assert (plan.pool, plan.strip, plan.host, plan.forwarded) == (
        "app",
        "/api",
        "app.internal",
        True,
    )
    assert (plan.connect_timeout, plan.response_timeout, plan.idle_timeout) == (5.0, 120.0, 60.0)
    websocket = (plan.websocket_idle, plan.websocket_ping, plan.websocket_max_message)
    assert websocket == (300.0, 30.0, 1 << 20)
    assert plan.request_edit.apply(b"cookie: a\r\nB: c\r\n") == b"B: c\r\nX-Env: production\r\n"


def test_hop_to_an_address_with_the_defaults() -> None:
    where = site_of('{path: /, proxy: "http://app:8000"}')
    plan = found(where, "/").proxy
    assert plan is not None
    assert plan.pool == "http://app:8000"
    assert plan.pool in where.pools
    assert (plan.strip, plan.host, plan.forwarded, plan.websocket_idle) == ("", "", False, 3600.0)
    assert (plan.websocket_ping, plan.websocket_max_message) == (0.0, 0)
    assert plan.request_edit.apply(b"A: b\r\n") == b"A: b\r\n"


def test_limits_of_file_and_route() -> None:
    where = site_of(
        "{path: /, proxy: app}, {path: /free/, proxy: app, limits: {body: off}}",
        more="limits: {body: 1KB}\n",
    )
    assert found(where, "/").body_limit == 1024
    assert found(where, "/free/").body_limit == 0
    exchange = asking("/", "localhost", "POST")
    exchange.head.content_length = 1025
    assert all(gate(exchange) is None for gate in found(where, "/free/").gates)
    (gate,) = found(where, "/").gates
    with pytest.raises(BadRequestError):
        gate(exchange)


def test_redirects_and_fixed_answers() -> None:
    where = site_of(
        "{path: /old/, redirect: {to: 'https://{host}/new{uri}', status: 308}},"
        "{path: /up, respond: 204}"
    )
    one = found(where, "/old/a")
    assert (one.proxy, one.action) == (None, "redirect 308 https://{host}/new{uri}")
    answer = answer_of(one, "/old/a")
    assert (answer.head.status, answer.head.block) == (
        308,
        b"Location: https://localhost/new/old/a\r\n",
    )
    one = found(where, "/up")
    assert (one.action, answer_of(one).head.status) == ("respond 204", 204)


def test_missing_slash() -> None:
    where = site_of("{path: /app/, proxy: app}", more="headers: {X-A: b}\n")
    one = found(where, "/app")
    answer = answer_of(one, "/app?x")
    assert (answer.head.status, answer.head.block) == (301, b"Location: /app/?x\r\n")
    assert b"X-A: b\r\n" in one.edit.apply(answer.head.block)
    assert route(where, "/") is None


def test_answer_headers_merge_by_name_down_the_levels() -> None:
    where = site_of(
        "{path: /, proxy: app}, {path: /same/, proxy: app},"
        "{path: /a/, proxy: app,"
        " response_headers: {x-frame-options: DENY, X-Powered-By: null, X-B: '2'}}",
        more="headers: {X-B: '1', Referrer-Policy: null}\n",
    )
    upstream = b"X-Powered-By: PHP\r\nX-Frame-Options: NONE\r\nReferrer-Policy: own\r\n"
    lines = found(where, "/a/").edit.apply(upstream).decode().split("\r\n")
    assert sorted(lines[:-1]) == [
        "Referrer-Policy: own",
        "Strict-Transport-Security: max-age=63072000",
        "X-B: 2",
        "X-Content-Type-Options: nosniff",
        "x-frame-options: DENY",
    ]
    plain = found(where, "/").edit_plain.apply(upstream)
    assert b"Strict-Transport-Security" not in plain
    assert b"X-Powered-By: PHP\r\n" in plain
    assert b"X-B: 1\r\n" in plain
    assert found(where, "/").edit is found(where, "/same/").edit


@given(
    st.text(st.sampled_from("/.%25aé;\\ ") | st.characters(exclude_categories=["Cs"]), max_size=12)
)
def test_every_path_that_the_settings_take_is_one_that_requests_can_have(text: str) -> None:
    try:
        path = route_path("/" + text)
    except WrongValueError:
        return
    assert normalise_path(quote(path)) == path
