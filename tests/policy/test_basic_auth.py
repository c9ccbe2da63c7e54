import base64
from typing import Any

import pytest

from proxy.errors import Fault, ProxyError
from proxy.exchange.exchange import Exchange
from proxy.exchange.verdict import Verdict, Work
from proxy.policy import password_checks
from proxy.policy.basic_auth import basic_auth
from proxy.policy.part import Gate
from proxy.policy.password_checks import CLIENT_CHECKS, REMEMBERED_FOR, PasswordChecks
from tests.fakes.exchanges import looked_at
from tests.policy.asking import gate_of
from tests.policy.hashes import quick_hash

USERS = {"alice": quick_hash("secret"), "jürgen": quick_hash("pä:ss"), "bob": quick_hash("bob's")}
CHALLENGE = b'WWW-Authenticate: Basic realm="Staff", charset="UTF-8"\r\n'


def guard(users: dict[str, str] | None = None, checks: PasswordChecks | None = None) -> Gate:
    return gate_of(basic_auth("Staff", users or USERS, checks or PasswordChecks()))


def basic(credentials: str | bytes) -> bytes:
    data = credentials.encode() if isinstance(credentials, str) else credentials
    return b"Authorization: Basic " + base64.b64encode(data) + b"\r\n"


def bringing(credentials: str | bytes, address: str = "192.0.2.1") -> Exchange:
    return looked_at(address, b"Accept: */*\r\n" + basic(credentials) + b"X-After: 1\r\n")


def checked(gate: Gate, exchange: Exchange) -> Verdict:
    """What the gate says in the end, after a check."""
    verdict = gate(exchange)
    assert type(verdict) is Work
    work: Work[Any] = verdict
    found: Verdict = work.then(work.call())
    return found


def refusal(gate: Gate, exchange: Exchange, *, check: bool) -> ProxyError:
    with pytest.raises(ProxyError) as raised:
        checked(gate, exchange) if check else gate(exchange)
    error = raised.value
    assert exchange.user == ""
    assert exchange.added == b""
    return error


def assert_challenged(error: ProxyError) -> None:
    assert (error.status, error.fault, error.fields) == (401, Fault.CLIENT, CHALLENGE)
    assert error.public == "A name and a password are needed here."


# Who gets in.


def test_the_right_password_lets_in_and_is_remembered() -> None:
    gate = guard()
    exchange = bringing("alice:secret")
    assert checked(gate, exchange) is None
    assert (exchange.user, exchange.added) == ("alice", b"X-Forwarded-User: alice\r\n")
    again = bringing("alice:secret")
    again.added = b"X-Before: 1\r\n"
    assert gate(again) is None
    assert (again.user, again.added) == ("alice", b"X-Before: 1\r\nX-Forwarded-User: alice\r\n")
    later = bringing("alice:secret")
    later.started = REMEMBERED_FOR + 1
    assert checked(gate, later) is None


def test_names_and_passwords_are_utf8_and_a_password_may_have_colons() -> None:
    exchange = bringing("jürgen:pä:ss")
    assert checked(guard(), exchange) is None
    assert exchange.user == "jürgen"
    assert exchange.added == b"X-Forwarded-User: j\xc3\xbcrgen\r\n"


@pytest.mark.parametrize(
    "line",
    [
        b"AUTHORIZATION: basic ",
        b"authorization:BASIC   ",
        b"Authorization: \t Basic ",
    ],
)
def test_name_and_scheme_are_of_any_case(line: bytes) -> None:
    block = line + base64.b64encode(b"alice:secret") + b" \t\r\n"
    assert checked(guard(), looked_at(block=block)) is None


def test_what_was_for_the_proxy_is_not_forwarded_nor_another_name() -> None:
    edit = basic_auth("Staff", USERS, PasswordChecks()).request_edit
    assert edit is not None
    block = b"authorization: Basic eA==\r\nAccept: */*\r\nX-FORWARDED-USER: root\r\n"
    assert edit.apply(block) == b"Accept: */*\r\n"


# Who does not.


@pytest.mark.parametrize(
    "block",
    [
        b"",
        b"Proxy-Authenticate: x\r\nX-Authorization: Basic YWxpY2U6c2VjcmV0\r\n",
        b"Authorization:\r\n",
        b"Authorization: Basic\r\n",
        b"Authorization: Basic \r\n",
        b"Authorization: BasicYWxpY2U6c2VjcmV0\r\n",
        b"Authorization: Bearer YWxpY2U6c2VjcmV0\r\n",
        b'Authorization: Digest username="alice"\r\n',
        b"Authorization: Basic YWxpY2U6c2VjcmV\r\n",  # cut short
        b"Authorization: Basic YWxpY2U6c2VjcmV0=\r\n",
        b"Authorization: Basic YWxp Y2U6c2VjcmV0\r\n",
        b"Authorization: Basic YWxpY2U6c2VjcmV0, Basic YWxpY2U6c2VjcmV0\r\n",
        b"Authorization: Basic YWxp-2U6c2VjcmV0\r\n",
        b"Authorization: Basic alice:secret\r\n",
        b"Authorization: Basic \xff\xfe\r\n",
        b"Authorization: Basic ====\r\n",
        b"Authorization: Basic " + b"A" * 30_001 + b"\r\n",
        basic("alice"),
        basic(b"\xff\xfe"),
        basic("alice:secret\0"),
        basic("ali\nce:secret"),
        basic("alice:secret\x7f"),
        basic("alice:secret") + basic("alice:secret"),
        basic("alice:secret") + b"Authorization: Bearer x\r\n",
    ],
)
def test_what_cannot_be_read_is_challenged_at_once(block: bytes) -> None:
    assert_challenged(refusal(guard(), looked_at(block=block), check=False))


@pytest.mark.parametrize(
    "credentials",
    [
        "alice:Secret", "alice:", ":", ":secret", "Alice:secret", "alice :secret", " alice:secret",
        "nobody:secret", "nobody:bob's", "alice:bob's", "alicia\u0301:secret", b"\xff:\xfe",
        "alice:" + "x" * 20_000, "x" * 20_000 + ":secret",
    ],
)  # fmt: skip
def test_wrong_ones_are_checked_and_challenged_all_alike(credentials: str | bytes) -> None:
    gate = guard()
    error = refusal(gate, bringing(credentials), check=True)
    assert_challenged(error)
    assert error.detail == "wrong name or password"
    again = refusal(gate, bringing(credentials), check=False)  # it is remembered
    assert_challenged(again)
    assert again.detail == error.detail


def test_nobody_gets_in_by_anothers_password_and_a_name_that_nobody_has() -> None:
    gate = guard({"alice": USERS["alice"]})
    for number in range(20):
        for check in (True, False):  # the second time it is remembered
            error = refusal(gate, bringing(f"nobody {number}:secret"), check=check)
            assert_challenged(error)


def test_a_name_that_nobody_has_costs_what_one_of_the_others_costs(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    spent: list[str] = []

    def verify(written: str, _password: bytes) -> bool:
        spent.append(written)
        return False

    monkeypatch.setattr(password_checks, "verify", verify)
    gate = guard()
    by_name: dict[int, str] = {}
    for number in range(60):
        for password in ("a", "b"):
            refusal(gate, bringing(f"nobody {number}:{password}"), check=True)
        assert spent[-1] == spent[-2]  # by the name alone, as it is for a real one
        by_name[number] = spent[-1]
    assert set(by_name.values()) == set(USERS.values())


def test_a_changed_hash_forgets_the_old_password() -> None:
    checks = PasswordChecks()
    old, new = guard(checks=checks), guard({"alice": quick_hash("new")}, checks)
    assert checked(old, bringing("alice:secret")) is None
    assert_challenged(refusal(new, bringing("alice:secret"), check=True))
    assert checked(new, bringing("alice:new")) is None
    gone = guard({"bob": USERS["bob"]}, checks)
    assert_challenged(refusal(gone, bringing("alice:secret"), check=True))


def test_routes_share_what_is_remembered() -> None:
    checks = PasswordChecks()
    assert checked(guard(checks=checks), bringing("alice:secret")) is None
    assert guard(checks=checks)(bringing("alice:secret")) is None


def test_a_check_that_failed_for_another_request_lets_nobody_in(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def fail(_written: str, _password: bytes) -> bool:
        raise ProxyError(503, Fault.PROXY, "no memory")

    monkeypatch.setattr(password_checks, "verify", fail)
    gate = guard()
    first, second = bringing("alice:secret"), bringing("alice:secret")
    one, two = gate(first), gate(second)
    assert isinstance(one, Work)
    assert isinstance(two, Work)
    with pytest.raises(ProxyError, match="no memory"):
        one.call()
    with pytest.raises(ProxyError, match="could not be checked") as raised:
        two.then(two.call())
    assert (raised.value.status, second.user) == (503, "")


def test_too_many_guesses_at_once_are_refused() -> None:
    gate = guard()
    verdicts = [gate(bringing(f"alice:guess {number}")) for number in range(CLIENT_CHECKS)]
    assert [type(verdict) for verdict in verdicts] == [Work] * CLIENT_CHECKS
    with pytest.raises(ProxyError) as raised:
        gate(bringing("alice:guess more"))
    assert (raised.value.status, raised.value.fields) == (429, b"Retry-After: 2\r\n")


# The challenge, and what is told.


@pytest.mark.parametrize(
    ("realm", "written"),
    [('a "b" \\c', rb'"a \"b\" \\c"'), ("Büro", '"Büro"'.encode("latin-1")), ("", b'""')],
)
def test_a_realm_is_quoted(realm: str, written: bytes) -> None:
    gate = gate_of(basic_auth(realm, USERS, PasswordChecks()))
    with pytest.raises(ProxyError) as raised:
        gate(looked_at())
    assert raised.value.fields == (
        b"WWW-Authenticate: Basic realm=" + written + b', charset="UTF-8"\r\n'
    )


@pytest.mark.parametrize("realm", ["a\r\nSet-Cookie: x", "日本"])
def test_a_realm_that_cannot_stand_in_a_field_is_refused(realm: str) -> None:
    with pytest.raises(ValueError, match=r"field|latin"):
        basic_auth(realm, USERS, PasswordChecks())


def test_without_a_user_there_is_nothing_to_ask_for() -> None:
    with pytest.raises(ValueError, match="nobody could get in"):
        basic_auth("Staff", {}, PasswordChecks())


def test_nothing_secret_is_shown() -> None:
    gate = guard()
    verdict = gate(bringing("alice:secret"))
    assert isinstance(verdict, Work)
    part = basic_auth("Staff", USERS, PasswordChecks())
    shown = f"{part!r} {gate!r} {verdict!r} {verdict.call!r} {verdict.then!r}"
    assert "secret" not in shown
    assert "argon2" not in shown
    assert base64.b64encode(b"alice:secret").decode() not in shown
