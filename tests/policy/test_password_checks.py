import gc
from concurrent.futures import ThreadPoolExecutor

import pytest

from proxy.errors import Fault, ProxyError
from proxy.policy import password_checks
from proxy.policy.password_checks import (
    CLIENT_CHECKS,
    MOST_CHECKS,
    MOST_REMEMBERED,
    REMEMBERED_FOR,
    Check,
    PasswordChecks,
)
from tests.policy.hashes import quick_hash

WRITTEN = quick_hash("secret")


def begun(checks: PasswordChecks, password: str, address: str = "192.0.2.1") -> Check:
    credentials = b"alice:" + password.encode()
    return checks.begin(
        checks.token(WRITTEN.encode(), credentials), WRITTEN, password.encode(), address
    )


def refused(checks: PasswordChecks, password: str, address: str = "192.0.2.1") -> ProxyError:
    with pytest.raises(ProxyError) as raised:
        begun(checks, password, address)
    return raised.value


def test_what_came_of_a_check_is_remembered_for_a_while() -> None:
    checks = PasswordChecks()
    for password, right in (("secret", True), ("guess", False)):
        check = begun(checks, password)
        assert checks.remembered(check.token, 5.0) is None
        assert check.run() is check
        checks.ended(check, 5.0)
        assert checks.remembered(check.token, 5.0 + REMEMBERED_FOR - 0.1) is right
        assert checks.remembered(check.token, 5.0 + REMEMBERED_FOR) is None


def test_tokens_tell_hash_name_and_password_apart_and_are_of_this_process_alone() -> None:
    checks = PasswordChecks()
    pairs = [(b"h", b"a:b"), (b"h", b"a:c"), (b"h", b"b:b"), (b"i", b"a:b"), (b"", b"h\0a:b")]
    tokens = {checks.token(*pair) for pair in pairs[:4]}
    assert len(tokens) == 4
    assert checks.token(b"h", b"a:b") in tokens
    assert PasswordChecks().token(b"h", b"a:b") not in tokens


def test_requests_that_bring_the_same_wait_for_one_check() -> None:
    checks = PasswordChecks()
    check = begun(checks, "secret")
    assert begun(checks, "secret", "192.0.2.9") is check
    assert check.run().right is True
    check._written = "no hash"  # would fail if it were computed again
    assert check.run().right is True
    checks.ended(check, 0.0)
    checks.ended(check, 0.0)
    assert checks.remembered(check.token, 1.0) is True
    assert begun(checks, "secret") is not check


def test_neither_name_nor_password_is_kept() -> None:
    checks = PasswordChecks()
    check = begun(checks, "secret")
    check.run()
    checks.ended(check, 0.0)
    seen: set[int] = set()
    left: list[object] = [checks, check]
    while left:
        one = left.pop()
        if id(one) in seen or isinstance(one, type):
            continue
        seen.add(id(one))
        assert one not in ("alice", "secret", b"alice", b"secret", b"alice:secret")
        if not callable(one) and len(seen) < 10_000:
            left.extend(gc.get_referents(one))
    assert len(seen) > 5
    assert "secret" not in repr(check)
    assert "secret" not in repr(check.run)


def test_two_threads_in_one_check_agree() -> None:
    with ThreadPoolExecutor(4) as threads:
        for _ in range(50):
            check = Check(b"", b"", WRITTEN, b"secret")
            found = [threads.submit(check.run) for _ in range(4)]
            assert [one.result().right for one in found] == [True] * 4


def test_a_check_that_fails_says_nothing_of_the_password(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(_written: str, _password: bytes) -> bool:
        raise ProxyError(503, Fault.PROXY, "no memory")

    monkeypatch.setattr(password_checks, "verify", fail)
    checks = PasswordChecks()
    check = begun(checks, "secret")
    with pytest.raises(ProxyError, match="no memory"):
        check.run()
    assert check.run().right is None  # for a request that waited for the same
    checks.ended(check, 0.0)
    assert checks.remembered(check.token, 1.0) is None
    again = begun(checks, "secret")
    assert again is not check
    checks.ended(check, 0.0)  # the other request's end takes nothing from the new check
    assert begun(checks, "secret") is again


# Bounds.


def test_a_client_has_its_share_of_checks() -> None:
    checks = PasswordChecks()
    held = [begun(checks, f"guess {number}") for number in range(CLIENT_CHECKS)]
    error = refused(checks, "one more")
    assert (error.status, error.fault, error.fields) == (429, Fault.CLIENT, b"Retry-After: 2\r\n")
    assert begun(checks, "guess 0") is held[0]  # the same again is no further one
    held.append(begun(checks, "one more", "192.0.2.2"))
    held[0].run()
    held.append(begun(checks, "one more still"))
    assert refused(checks, "too much").status == 429


def test_an_ipv6_client_is_its_64() -> None:
    checks = PasswordChecks()
    held = [
        begun(checks, f"guess {number}", f"2001:db8::{number:x}") for number in range(CLIENT_CHECKS)
    ]
    assert refused(checks, "more", "2001:db8::ffff").status == 429
    assert len(held) == CLIENT_CHECKS
    begun(checks, "more", "2001:db8:0:1::1")  # is taken


def test_a_worker_has_its_bound() -> None:
    checks = PasswordChecks()
    held = [begun(checks, f"guess {number}", f"192.0.2.{number}") for number in range(MOST_CHECKS)]
    error = refused(checks, "more", "198.51.100.1")
    assert (error.status, error.fault, error.fields) == (503, Fault.CLIENT, b"Retry-After: 2\r\n")
    checks.ended(held.pop().run(), 0.0)
    begun(checks, "more", "198.51.100.1")  # is taken


def test_checks_whose_clients_left_do_not_count() -> None:
    checks = PasswordChecks()
    held = [begun(checks, f"guess {number}") for number in range(CLIENT_CHECKS)]
    assert refused(checks, "more").status == 429
    held.clear()
    begun(checks, "more")  # is taken


def test_what_is_remembered_is_bounded_and_wrong_ones_drive_out_no_right_one(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(password_checks, "verify", lambda _written, password: password == b"secret")
    checks = PasswordChecks()
    right = begun(checks, "secret").run()
    checks.ended(right, 0.0)
    tokens = []
    for number in range(MOST_REMEMBERED + 10):
        check = begun(checks, f"guess {number}").run()
        checks.ended(check, 1.0)
        tokens.append(check.token)
    assert checks.remembered(right.token, 2.0) is True
    assert [checks.remembered(token, 2.0) for token in tokens[:10]] == [None] * 10  # the oldest
    assert all(checks.remembered(token, 2.0) is False for token in tokens[10:])
    assert len(checks._wrong) == MOST_REMEMBERED
