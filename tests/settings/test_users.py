import argon2
import bcrypt
import pytest
from hypothesis import given, strategies as st

from proxy.settings.problem import WrongValueError
from proxy.settings.users import USERS_LIMIT, password_hash, read_users, user_name

ARGON2 = argon2.PasswordHasher(time_cost=1, memory_cost=8, parallelism=1).hash("secret")
BCRYPT = bcrypt.hashpw(b"secret", bcrypt.gensalt(4)).decode()

NO_HASH = "this is not a hash by argon2id, argon2i or bcrypt; make one with `pyproxy hash-password`"


@pytest.mark.parametrize("written", [ARGON2, BCRYPT, BCRYPT.replace("$2b$", "$2y$")])
def test_hashes(written: str) -> None:
    assert password_hash(written) == written


@pytest.mark.parametrize(
    ("written", "part"),
    [
        ("hunter2", "this is not a hash by argon2id, argon2i or bcrypt"),
        ("", "this is not a hash by argon2id, argon2i or bcrypt"),
        (None, "expected a hash"),
        (7, "expected a hash"),
        (
            ARGON2[:-1] + "!",
            "that is not whole (inside { } it needs quotes)",
        ),
        (ARGON2.partition(",")[0], "that is not whole"),
        (BCRYPT[:-1], "that is not whole"),
        (BCRYPT + "\n", "that is not whole"),
        (BCRYPT.replace("$04$", "$31$"), "this is a bcrypt hash of cost 31"),
        (ARGON2.replace("argon2id", "argon2d"), "this is argon2d"),
        ("$apr1$salt$hash", "this is Apache's MD5"),
        ("{SHA}abc=", "this is SHA-1"),
        ("$6$salt$hash", "this is SHA-512 crypt"),
    ],
)
def test_what_is_no_hash(written: object, part: str) -> None:
    with pytest.raises(WrongValueError) as caught:
        password_hash(written)
    assert part in caught.value.reason
    assert "`pyproxy hash-password`" in caught.value.reason
    assert caught.value.suggestion == ""
    assert not written or str(written) not in caught.value.reason


def test_names() -> None:
    assert user_name("alice@example.com") == "alice@example.com"
    assert user_name("Zoë") == "Zoë"
    for wrong in ("", "a:b", "a\nb", "x" * 256, 3, None):
        with pytest.raises(WrongValueError):
            user_name(wrong)


def test_a_file_of_users() -> None:
    text = f"# staff\n\nalice:{ARGON2}\r\n  bob:{BCRYPT}  \n"
    assert read_users(text.encode()) == {"alice": ARGON2, "bob": BCRYPT}


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "there is no user in it"),
        (b"# nobody\n", "there is no user in it"),
        (b"\xff", "not UTF-8 text"),
        (b"# x\nhunter2\n", "line 2: expected name:hash"),
        (b"alice:hunter2\n", f"line 1: {NO_HASH}"),
        (f":{BCRYPT}\n".encode(), "line 1: a user's name has no colon and no control character"),
    ],
)  # fmt: skip
def test_what_is_wrong_with_a_file_is_told_by_its_line_alone(data: bytes, message: str) -> None:
    with pytest.raises(WrongValueError) as caught:
        read_users(data)
    assert caught.value.reason == message


def test_a_file_of_users_is_bounded() -> None:
    lines = "".join(f"u{number}:{BCRYPT}\n" for number in range(USERS_LIMIT + 1))
    with pytest.raises(WrongValueError, match=f"more than {USERS_LIMIT} users"):
        read_users(lines.encode())


@given(st.binary())
def test_any_file_is_read_or_refused(data: bytes) -> None:
    try:
        found = read_users(data)
    except WrongValueError:
        return
    assert all(password_hash(written) for written in found.values())
