import base64

import pytest

from proxy.compiler.basic_auth import compile_basic_auth
from proxy.errors import ProxyError
from proxy.exchange.verdict import Work
from proxy.policy.part import Part
from tests.compiler.scopes import scope_of
from tests.fakes.exchanges import looked_at
from tests.policy.asking import gate_of
from tests.policy.hashes import quick_hash

SECRET, OTHER = quick_hash("secret"), quick_hash("other")


def user_of(part: Part | None, credentials: str) -> str:
    """Whom the part lets in with these, "" for nobody."""
    assert part is not None
    block = b"Authorization: Basic " + base64.b64encode(credentials.encode()) + b"\r\n"
    exchange = looked_at(block=block)
    try:
        verdict = gate_of(part)(exchange)
        if isinstance(verdict, Work):
            verdict.then(verdict.call())
    except ProxyError:
        return ""
    return exchange.user


def test_without_users_there_is_no_part() -> None:
    assert compile_basic_auth(scope_of("proxy: app")) is None
    site = f"basic_auth: {{users: {{alice: '{SECRET}'}}}}"
    assert compile_basic_auth(scope_of("proxy: app\nbasic_auth: off", site)) is None


def test_users_of_a_route_take_the_place_of_the_sites() -> None:
    site = f"basic_auth: {{users: {{alice: '{SECRET}'}}}}"
    part = compile_basic_auth(scope_of("proxy: app", site))
    assert user_of(part, "alice:secret") == "alice"
    route = f"proxy: app\nbasic_auth: {{realm: Staff, users: {{bob: '{OTHER}'}}}}"
    part = compile_basic_auth(scope_of(route, site))
    assert user_of(part, "bob:other") == "bob"
    assert user_of(part, "alice:secret") == ""
    with pytest.raises(ProxyError) as raised:
        gate_of(part)(looked_at()) if part else None
    assert b'realm="Staff"' in raised.value.fields


def test_users_come_of_a_file_too_and_the_configurations_go_before() -> None:
    route = f"proxy: app\nbasic_auth: {{users_file: htpasswd, users: {{alice: '{OTHER}'}}}}"
    lines = f"# staff\n\nalice:{SECRET}\nbob:{SECRET}\n".encode()
    part = compile_basic_auth(scope_of(route, contents={"/srv/htpasswd": lines}))
    assert user_of(part, "bob:secret") == "bob"
    assert user_of(part, "alice:other") == "alice"
    assert user_of(part, "alice:secret") == ""


def test_a_users_file_that_was_not_read_is_no_empty_one() -> None:
    with pytest.raises(KeyError):
        compile_basic_auth(scope_of("proxy: app\nbasic_auth: {users_file: htpasswd}"))


def test_routes_with_the_same_users_share_them_and_what_is_remembered() -> None:
    auth = f"basic_auth: {{users: {{alice: '{SECRET}'}}}}"
    one = compile_basic_auth(scope_of(f"proxy: app\n{auth}"))
    assert one is compile_basic_auth(scope_of(f"respond: {{body: x}}\n{auth}"))
    assert user_of(one, "alice:secret") == "alice"
    two = compile_basic_auth(scope_of(f"respond: {{body: x}}\n{auth[:-1]}, realm: Staff}}"))
    assert two is not None
    assert two is not one
    block = b"Authorization: Basic " + base64.b64encode(b"alice:secret") + b"\r\n"
    assert gate_of(two)(looked_at(block=block)) is None
