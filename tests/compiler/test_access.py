import pytest

from proxy.compiler.access import compile_access
from proxy.errors import ProxyError
from proxy.policy.part import Part
from tests.compiler.compiling import answer_of, found, site_of
from tests.compiler.scopes import scope_of
from tests.fakes.exchanges import looked_at
from tests.policy.asking import gate_of


def admits(part: Part | None, address: str) -> bool:
    assert part is not None
    try:
        gate_of(part)(looked_at(address))
    except ProxyError:
        return False
    return True


def test_without_rules_there_is_no_part() -> None:
    assert compile_access(scope_of("proxy: app")) is None
    assert compile_access(scope_of("proxy: app\ndeny: off", "deny: all")) is None


@pytest.mark.parametrize(
    ("route", "site"),
    [
        ("allow: [10.0.0.0/8]\ndeny: all", ""),
        ("allow: 10.0.0.0/8", ""),
        ("respond: {body: hello}", "allow: [10.0.0.0/8]"),
        ("allow: 10.0.0.0/8", "allow: 192.0.2.0/24"),
        ("allow: 10.0.0.0/8", "deny: all"),
    ],
)
def test_a_site_and_a_route_say_who_gets_in(route: str, site: str) -> None:
    part = compile_access(
        scope_of(f"proxy: app\n{route}" if "respond" not in route else route, site)
    )
    assert admits(part, "10.1.2.3")
    assert not admits(part, "192.0.2.1")
    assert not admits(part, "")


def test_deny_alone_lets_the_rest_in() -> None:
    part = compile_access(scope_of("proxy: app\ndeny: 10.0.0.0/8"))
    assert admits(part, "192.0.2.1")
    assert not admits(part, "10.1.2.3")


def test_routes_with_the_same_rules_share_them() -> None:
    one = compile_access(scope_of("proxy: app\nallow: 10.0.0.0/8"))
    assert one is compile_access(scope_of("respond: {body: x}\nallow: 10.0.0.0/8"))
    assert one is not compile_access(scope_of("respond: {body: x}\ndeny: 10.0.0.0/8"))


def test_it_is_asked_before_the_handler() -> None:
    program = site_of(
        "{path: /x/, deny: all, respond: {body: secret}}, {path: /, respond: {body: open}}"
    )
    with pytest.raises(ProxyError) as raised:
        answer_of(found(program, "/x/"), "/x/")
    assert raised.value.status == 403
    assert answer_of(found(program, "/")).body == b"open"
