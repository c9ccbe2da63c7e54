import ipaddress

import pytest
from hypothesis import given, strategies as st

from proxy.policy.forward_auth import forward_auth
from proxy.settings.access import AuthUrl, BasicAuth, ForwardAuth, auth_url
from proxy.settings.addresses import ServerAddress
from proxy.settings.models import Route
from proxy.settings.problem import WrongValueError
from tests.settings.loading import lines, only, problems, route, settings
from tests.settings.test_users import ARGON2, BCRYPT


def one(text: str) -> Route:
    return settings(route(f"{{path: /, proxy: app, {text}}}")).sites[0].routes[0]


def wrong(text: str) -> str:
    return only(route(f"{{path: /, proxy: app, {text}}}"))


def test_networks() -> None:
    found = one('allow: [10.0.0.0/8, "2001:db8::/32", 192.0.2.7], deny: all')
    assert found.allow == (
        ipaddress.ip_network("10.0.0.0/8"),
        ipaddress.ip_network("2001:db8::/32"),
        ipaddress.ip_network("192.0.2.7/32"),
    )
    assert found.deny == ("all",)
    assert one("allow: off").allow == ()
    assert one("allow: 10.0.0.0/8").allow == (ipaddress.ip_network("10.0.0.0/8"),)


@pytest.mark.parametrize("value", ["none", "never", "[]"])
@pytest.mark.parametrize("key", ["allow", "deny"])
def test_a_list_of_nothing_is_ambiguous(key: str, value: str) -> None:
    line = wrong(f"{key}: {value}")
    assert (
        f"{key}: expected a network such as 10.0.0.0/8, an address, or all; `off` takes the "
        "site's away, `deny: all` shuts all out"
    ) in line


@pytest.mark.parametrize(
    ("text", "part"),
    [
        ("allow: [10.0.0.1/8]", "allow[0]: it has bits set to the right of its mask, found"),
        ("allow: [10.0.0.1/8]", 'did you mean "10.0.0.0/8"?'),
        ("deny: [everybody]", "deny[0]: expected a network"),
        ("deny: {}", "deny[0]: expected a network"),
    ],
)  # fmt: skip
def test_what_is_no_network(text: str, part: str) -> None:
    assert part in wrong(text).replace("deny: expected", "deny[0]: expected")


def test_basic_auth() -> None:
    found = one(f"basic_auth: {{users: {{alice: '{ARGON2}', bob: '{BCRYPT}'}}}}").basic_auth
    assert isinstance(found, BasicAuth)
    assert found.users == {"alice": ARGON2, "bob": BCRYPT}
    assert found.realm == "Restricted"
    found = one("basic_auth: {realm: Staff only, users_file: htpasswd}").basic_auth
    assert isinstance(found, BasicAuth)
    assert (found.realm, found.users_file, found.users) == ("Staff only", "/srv/htpasswd", {})


@pytest.mark.parametrize(
    ("text", "part"),
    [
        ("{}", "basic_auth: nobody could get in: give `users`, or a `users_file`"),
        ("{users: {}}", "nobody could get in"),
        ("{realm: x}", "nobody could get in"),
        ("{users: {alice: hunter2}}", "users.alice: this is not a hash by argon2id"),
        ("{users: [alice]}", "users: expected a table of keys"),
        ("{users: {'a:b': 'x'}}", "users.a:b: a user's name has no colon"),
        ("{user: {alice: x}}", "did you mean `users`?"),
        ("{users_file: x, realm: 'a\"b'}", "realm: expected printable ASCII without quotes"),
    ],
)
def test_mistakes_in_basic_auth(text: str, part: str) -> None:
    assert any(
        part in line for line in lines(route(f"{{path: /, proxy: app, basic_auth: {text}}}"))
    )


@pytest.mark.parametrize(
    "text",
    [
        "{users: {alice: hunter2}}",
        "{users: {alice: [hunter2]}, user: x}",
        "{user: {alice: hunter2}}",
        "{users: {alice: $argon2id$v=19$m=65536,t=3,p=4$hunter2$hunter2}}",
        "{users: {alice: '$2b$12$hunter2'}, realm: 3, reallm: x}",
        "{users: hunter2}",
        "alice:hunter2",
        "{users: {alice: !x hunter2}}",
        "{users: {alice: '${NOPE}', bob: hunter2}}",
        "[hunter2]",
        "{users: {realm: hunter2}}",
        "{realm: [x], users_file: {a: hunter2}}",
        "{users: &x {alice: hunter2}, user: *x}",
    ],
)
def test_no_mistake_shows_a_password(text: str) -> None:
    found = problems(route(f"{{path: /, proxy: app, qqqqq: 1, basic_auth: {text}}}"))
    assert len(found) > 1
    assert "hunter2" not in "\n".join(map(str, found))


def test_hashes_are_in_no_repr() -> None:
    made = one(f"basic_auth: {{users: {{alice: '{ARGON2}'}}}}")
    assert "argon2" not in repr(made)


@pytest.mark.parametrize(
    ("text", "server", "target"),
    [
        ("http://auth:9091/verify", ServerAddress("http", "auth", 9091), "/verify"),
        ("https://auth.example/", ServerAddress("https", "auth.example", 443), "/"),
        ("http://[::1]:80/a?rd=https://x/", ServerAddress("http", "::1", 80), "/a?rd=https://x/"),
        ("unix:/run/a.sock:/verify", ServerAddress("unix", socket="/run/a.sock"), "/verify"),
    ],
)
def test_who_is_asked(text: str, server: ServerAddress, target: str) -> None:
    found = auth_url(text)
    assert found == AuthUrl(server, target)
    assert auth_url(str(found)) == found


@pytest.mark.parametrize(
    ("text", "suggestion"),
    [
        ("http://auth:9091", "http://auth:9091/"), ("unix:/run/a.sock", "unix:/run/a.sock:/"),
        ("auth:9091/x", ""), ("ftp://a/x", ""), ("h2c://a/x", ""), ("http://u:secret@a/x", ""),
        ("http://a/x y", ""), ("http://a/x#y", ""), ("http://a?x", ""), ("http:///x", ""),
        ("http://a:0/x", ""), ("unix:a.sock:/x", ""), (3, ""), (None, ""), ("http://a/é", ""),
    ],
)  # fmt: skip
def test_who_cannot_be_asked(text: object, suggestion: str) -> None:
    with pytest.raises(WrongValueError) as caught:
        auth_url(text)
    assert caught.value.suggestion == suggestion
    assert "secret" not in caught.value.reason


@given(st.one_of(st.text(), st.text("unixhtps:/.[]0123456789@*-_?")))
def test_any_text_is_an_address_or_refused(text: str) -> None:
    try:
        found = auth_url(text)
    except WrongValueError:
        return
    assert auth_url(str(found)) == found


def test_forward_auth() -> None:
    found = one(
        "forward_auth: {url: 'http://auth/x', copy_headers: [Remote-User, X-Forwarded-User]}"
    ).forward_auth
    assert isinstance(found, ForwardAuth)
    assert (found.copy_headers, found.timeout) == (("Remote-User", "X-Forwarded-User"), 5)
    part = forward_auth("pool", "auth", found.url.target, found.copy_headers, found.timeout)
    assert part.gate is not None


@pytest.mark.parametrize(
    "name",
    ["Host", "Connection", "Content-Length", "Transfer-Encoding", "TE", "X-Forwarded-For",
     "x-forwarded-proto", "X-Forwarded-Host", "X-Forwarded-Port", "X-Real-IP", "Forwarded",
     "X-Request-ID", "Via", "Proxy", "Proxy-Authorization", "HTTP2-Settings", "Trailer"],
)  # fmt: skip
def test_headers_that_no_answer_of_another_server_may_set(name: str) -> None:
    line = wrong(f"forward_auth: {{url: 'http://a/x', copy_headers: [{name}]}}")
    assert "copy_headers[0]: the proxy itself writes this header" in line
    with pytest.raises(ValueError, match="the proxy itself"):
        forward_auth("pool", "a", "/x", [name], 1)


@pytest.mark.parametrize(
    ("text", "part"),
    [
        ("{}", "forward_auth.url: the key `url` is missing"),
        ("{url: 'http://a/x', timeout: 0}", "a time of nothing"),
        ("{url: 'http://a/x', copy_headers: ['a b']}", "not a header name"),
        ("{url: 'http://a/x', copy_headers: [[x]]}", "expected a header name"),
        ("{address: x, url: 'http://a/x'}", "allowed here: url, copy_headers, timeout"),
        ("http://a/x", 'expected off or a table of keys, found "http://a/x"'),
    ],
)  # fmt: skip
def test_mistakes_in_forward_auth(text: str, part: str) -> None:
    assert part in wrong(f"forward_auth: {text}")
