import pytest

from proxy.errors import UpstreamError
from proxy.exchange.answer import Answer
from proxy.exchange.exchange import Exchange
from proxy.exchange.verdict import Subrequest, Verdict
from proxy.message.edit import FieldEdit
from proxy.message.fields import field_values
from proxy.message.head import ResponseHead
from proxy.policy.forward_auth import ANSWER_LIMIT, forward_auth
from proxy.policy.part import Part
from tests.policy.asking import asking, gate_of

QUESTION = (
    b"X-Forwarded-Method: GET\r\nX-Forwarded-Uri: /a?b\r\n"
    b"X-Original-Method: GET\r\nX-Original-URL: https://site.example/a?b\r\n"
)


def part(*copied: str) -> Part:
    return forward_auth("http://auth:9091", "auth:9091", "/verify?x=1", copied, 3.0)


def asked(exchange: Exchange, *copied: str) -> Subrequest:
    verdict = gate_of(part(*copied))(exchange)
    assert isinstance(verdict, Subrequest)
    return verdict


def decided(
    exchange: Exchange, status: int, block: bytes = b"", body: bytes = b"", copied: str = ""
) -> Verdict:
    """What becomes of an exchange by an answer of the server's."""
    return asked(exchange, *copied.split()).then(ResponseHead(status, "Some", block), body)


def answered(verdict: Verdict) -> Answer:
    assert isinstance(verdict, Answer)
    return verdict


# The question.


def test_it_is_a_get_with_the_clients_fields_and_what_is_asked_about() -> None:
    exchange = asking("/a?b")
    exchange.head.block = b"Accept: */*\r\nCookie: a=1\r\nAuthorization: Basic eA==\r\n"
    ask = asked(exchange)
    assert (ask.pool, ask.timeout, ask.limit) == ("http://auth:9091", 3.0, ANSWER_LIMIT)
    head = ask.head
    assert (head.method, head.target, head.authority) == ("GET", "/verify?x=1", "auth:9091")
    assert head.block == exchange.head.block + QUESTION
    assert (head.has_body, head.upgrade, head.expect_continue) == (False, "", False)


def test_it_tells_the_method_scheme_and_host_that_are_asked_for() -> None:
    exchange = asking("/up/", host="other.example:8443", method="POST", scheme="http")
    exchange.head.content_length = 5
    exchange.head.expect_continue = True
    head = asked(exchange).head
    assert head.method == "GET"
    assert head.block == (
        b"X-Forwarded-Method: POST\r\nX-Forwarded-Uri: /up/\r\n"
        b"X-Original-Method: POST\r\nX-Original-URL: http://other.example:8443/up/\r\n"
    )
    assert (head.has_body, head.expect_continue) == (False, False)


@pytest.mark.parametrize("target", ["/%61dmin/?x=%0d%0aX:%20y", "/a//b", "/a;b=c?d=/../"])
def test_the_target_is_told_as_it_was_sent(target: str) -> None:
    assert f"X-Forwarded-Uri: {target}\r\n".encode() in asked(asking(target)).head.block


def test_slashes_at_the_beginning_are_told_as_they_are_forwarded() -> None:
    block = asked(asking("//evil.example/a?//b")).head.block
    assert b"X-Forwarded-Uri: /evil.example/a?//b\r\n" in block
    assert b"X-Original-URL: https://site.example/evil.example/a?//b\r\n" in block


def test_without_a_host_no_url_is_made_up() -> None:
    block = asked(asking("/", host="")).head.block
    assert b"X-Original-URL" not in block
    assert b"X-Forwarded-Uri: /\r\n" in block


def test_what_the_client_says_is_asked_about_is_left_out() -> None:
    exchange = asking("/a?b")
    exchange.head.block = (
        b"x-original-method: HEAD\r\nX-ORIGINAL-METHOD:HEAD\r\nX-Original-URI: /public\r\n"
        b"X-Auth-Request-Redirect: //evil\r\nAccept: */*\r\n"
    )
    assert asked(exchange).head.block == b"Accept: */*\r\n" + QUESTION


def test_what_belongs_to_the_body_and_conditions_is_left_out() -> None:
    exchange = asking("/a?b")
    exchange.head.block = (
        b"Content-Type: text/plain\r\nContent-Encoding: gzip\r\nRange: bytes=0-1\r\n"
        b'If-None-Match: "a"\r\nIf-Modified-Since: x\r\nIf-Range: "a"\r\nTrailer: X\r\n'
        b"Origin: https://site.example\r\n"
    )
    assert asked(exchange).head.block == b"Origin: https://site.example\r\n" + QUESTION


def test_what_the_server_is_to_say_the_client_does_not_tell_it() -> None:
    exchange = asking("/a?b")
    exchange.head.block = b"REMOTE-USER: root\r\nAuthorization: Bearer x\r\nCookie: a=1\r\n"
    head = asked(exchange, "Remote-User", "Authorization", "Cookie").head
    assert head.block == b"Authorization: Bearer x\r\nCookie: a=1\r\n" + QUESTION


def test_a_trusted_proxys_word_of_the_client_goes_on_but_not_of_what_is_asked_about() -> None:
    exchange = asking("/a?b")
    exchange.head.forwarding = (
        b"x-forwarded-host: public.example\r\nx-forwarded-uri: /public\r\n"
        b"x-original-url: https://x/public\r\nx-forwarded-method: HEAD\r\n"
        b"x-forwarded-user: root\r\nx-forwarded-ssl: on\r\n"
    )
    assert asked(exchange).head.forwarding == b""  # nobody trusts this one
    exchange.client.trusted = True
    head = asked(exchange, "X-Forwarded-User").head
    assert head.forwarding == b"x-forwarded-host: public.example\r\nx-forwarded-ssl: on\r\n"
    assert b"X-Original-URL: https://public.example/a?b\r\n" in head.block


# A yes.


@pytest.mark.parametrize("status", [200, 202, 204, 299])
def test_2xx_lets_in(status: int) -> None:
    exchange = asking("/")
    edit = exchange.edit
    block = b"Remote-User: alice\r\nSet-Cookie: a=1\r\n"
    assert decided(exchange, status, block, b"page") is None
    assert (exchange.added, exchange.user) == (b"", "")
    assert exchange.edit is edit


def test_the_named_fields_are_taken_over() -> None:
    exchange = asking("/")
    exchange.added = b"X-Before: 1\r\n"
    block = (
        b"Date: x\r\nremote-user:  alice\r\nX-Remote-User: eve\r\nRemote-Users: eve\r\n"
        b"Remote-Groups: a\r\nX: Remote-Groups: c\r\nREMOTE-GROUPS: b\r\nRemote-Name:  \r\n"
    )
    copied = "Remote-User Remote-Groups Remote-Name Remote-Email"
    assert decided(exchange, 200, block, copied=copied) is None
    assert exchange.added == (
        b"X-Before: 1\r\nremote-user:  alice\r\nRemote-Groups: a\r\nREMOTE-GROUPS: b\r\n"
    )
    assert exchange.user == "alice"


def test_none_of_the_named_fields_leaves_nothing() -> None:
    exchange = asking("/")
    exchange.user = "from before"
    assert decided(exchange, 200, b"Server: x\r\n", copied="Remote-User") is None
    assert (exchange.added, exchange.user) == (b"", "from before")


def test_the_clients_own_are_always_removed() -> None:
    edit = part("Remote-User", "X-Forwarded-User", "Set-Cookie").request_edit
    assert edit is not None
    assert edit.removes == {"remote-user", "x-forwarded-user"}
    assert edit.apply(b"REMOTE-user: eve\r\nRemote-Users: x\r\n") == b"Remote-Users: x\r\n"
    assert edit.block == b""
    assert part().request_edit is None
    assert part("Set-Cookie").request_edit is None


@pytest.mark.parametrize(
    ("copied", "user"),
    [
        ("Remote-Email Remote-User", "alice"),
        ("Remote-Email", "a@example.com"),
        ("X-Auth-Request-Email X-Auth-Request-User", "oauth"),
        ("Remote-Groups", ""),
    ],
)
def test_the_user_is_the_plainest_name_that_is_copied(copied: str, user: str) -> None:
    exchange = asking("/")
    block = (
        b"Remote-Email: a@example.com\r\nRemote-User: alice\r\nRemote-Groups: g\r\n"
        b"X-Auth-Request-Email: o@example.com\r\nX-Auth-Request-User: oauth\r\n"
    )
    assert decided(exchange, 200, block, copied=copied) is None
    assert exchange.user == user


def test_cookies_of_a_yes_go_to_the_client_where_that_is_asked_for() -> None:
    exchange = asking("/")
    exchange.edit = FieldEdit(["server"], b"X-Own: 1\r\n")
    block = b"set-cookie: a=1; Path=/\r\nSet-Cookie: b=2\r\nRemote-User: alice\r\n"
    assert decided(exchange, 200, block, copied="Set-Cookie") is None
    assert exchange.edit.apply(b"Server: x\r\nSet-Cookie: app=1\r\n") == (
        b"Set-Cookie: app=1\r\nX-Own: 1\r\nSet-Cookie: a=1; Path=/\r\nSet-Cookie: b=2\r\n"
        b"Cache-Control: private\r\n"
    )
    assert exchange.added == b""


def test_an_answer_with_a_clients_cookie_is_kept_by_no_shared_cache() -> None:
    exchange = asking("/")
    assert decided(exchange, 200, b"Set-Cookie: session=alice\r\n", copied="Set-Cookie") is None
    public = b"Cache-Control: public, max-age=9\r\nExpires: Thu, 01 Jan 2099 00:00:00 GMT\r\n"
    said = exchange.edit.apply(public)
    assert field_values(said, "cache-control") == ["public, max-age=9", "private"]
    assert field_values(said, "expires") == []


def test_cookies_that_the_route_takes_out_stay_out() -> None:
    exchange = asking("/")
    exchange.edit = edit = FieldEdit(["set-cookie"])
    assert decided(exchange, 200, b"Set-Cookie: a=1\r\n", copied="Set-Cookie") is None
    assert exchange.edit is edit


def test_without_cookies_the_edit_stays_the_one_that_heads_are_remembered_for() -> None:
    exchange = asking("/")
    edit = exchange.edit
    assert decided(exchange, 200, b"Server: x\r\n", copied="Set-Cookie") is None
    assert exchange.edit is edit


# A no.


@pytest.mark.parametrize("status", [300, 302, 303, 307, 400, 401, 403, 404, 418, 429, 499])
def test_other_answers_are_the_clients(status: int) -> None:
    exchange = asking("/")
    block = b"Location: login?rd=/\r\nSet-Cookie: a=1\r\nCache-Control: private\r\n"
    answer = answered(decided(exchange, status, block, b"who?", "Remote-User"))
    assert (answer.head.status, answer.head.reason, answer.head.block) == (status, "Some", block)
    assert (answer.head.content_length, answer.body, answer.close) == (4, b"who?", False)
    assert (exchange.added, exchange.user) == (b"", "")


def test_a_no_is_stored_by_nobody_unless_the_server_allows_it() -> None:
    block = b'WWW-Authenticate: Basic realm="x"\r\n'
    answer = answered(decided(asking("/"), 401, block))
    assert answer.head.block == block + b"Cache-Control: no-store\r\n"
    assert answer.head.content_length == 0


# Neither.


@pytest.mark.parametrize(("status", "becomes"), [(304, 502), (500, 502), (502, 502), (504, 502),
                                                 (503, 503), (599, 502), (999, 502)])  # fmt: skip
def test_an_answer_that_says_nothing_lets_nobody_in(status: int, becomes: int) -> None:
    exchange = asking("/")
    with pytest.raises(UpstreamError) as caught:
        decided(exchange, status, b"Remote-User: alice\r\n", b"Traceback", "Remote-User")
    assert caught.value.status == becomes
    assert caught.value.public == caught.value.fields.decode() == ""
    assert caught.value.detail == f"http://auth:9091: the authentication server answered {status}"
    assert (exchange.added, exchange.user) == (b"", "")


def test_503_says_when_to_come_again() -> None:
    with pytest.raises(UpstreamError) as caught:
        decided(asking("/"), 503, b"retry-after: 12\r\n")
    assert caught.value.fields == b"Retry-After: 12\r\n"


@pytest.mark.parametrize(
    "name", ["Host", "content-length", "X-Real-IP", "Forwarded", "Via", "Connection"]
)
def test_what_the_proxy_writes_nobody_else_does(name: str) -> None:
    with pytest.raises(ValueError, match=name.lower()):
        part("Remote-User", name)
