import warnings

import argon2
import bcrypt
import pytest
from argon2.exceptions import VerificationError

from proxy.errors import ProxyError
from proxy.policy import passwords
from proxy.policy.passwords import argon2_hash, bcrypt_hash, check_hash, verify
from tests.policy.hashes import quick_hash

SALT = "c29tZXNhbHRzYWx0c2Fs"
BODY = f"${SALT}$" + "A" * 43
BCRYPT = "$2b$04$" + "a" * 53


def quick_bcrypt(password: bytes, prefix: bytes = b"2b") -> str:
    return bcrypt.hashpw(password, bcrypt.gensalt(4, prefix)).decode()


def test_what_is_made_fits_its_password_alone() -> None:
    made = argon2_hash("pässword".encode())
    assert made.startswith("$argon2id$v=19$m=19456,t=2,p=1$")
    check_hash(made)
    assert verify(made, "pässword".encode())
    assert not verify(made, b"password")
    assert argon2_hash("pässword".encode()) != made  # each has its own salt


def test_bcrypt_fits_its_password_alone() -> None:
    made = bcrypt_hash(b"password")
    assert made.startswith("$2b$12$")
    check_hash(made)
    assert verify(made, b"password")
    assert not verify(made, b"passwort")


def test_a_password_too_long_for_bcrypt_is_refused_not_cut() -> None:
    with pytest.raises(ValueError, match="72 bytes"):
        bcrypt_hash(b"x" * 73)
    with pytest.raises(ValueError, match="72 bytes"):
        bcrypt_hash("ä".encode() * 37)
    assert verify(bcrypt_hash(b"x" * 72), b"x" * 72)


def test_bcrypt_hashes_of_other_programs_fit_passwords_of_any_length() -> None:
    made = quick_bcrypt(b"x" * 72)
    assert verify(made, b"x" * 80)
    assert not verify(made, b"x" * 71)


@pytest.mark.parametrize("prefix", ["$2a$", "$2b$", "$2y$"])
def test_all_names_of_bcrypt_are_known(prefix: str) -> None:
    made = prefix + quick_bcrypt(b"secret")[4:]
    check_hash(made)
    assert verify(made, b"secret")
    assert not verify(made, b"Secret")


def test_argon2i_is_known() -> None:
    made = argon2.PasswordHasher(1, 8, 1, type=argon2.Type.I).hash("secret")
    check_hash(made)
    assert verify(made, b"secret")
    assert not verify(made, b"Secret")


@pytest.mark.parametrize(
    "written", [quick_hash("x"), BCRYPT, f"$argon2id$v=19$m=65536,t=3,p=4{BODY}"]
)
def test_usual_hashes_are_taken(written: str) -> None:
    check_hash(written)


@pytest.mark.parametrize(
    ("written", "why"),
    [
        (f"$argon2d$v=19$m=65536,t=3,p=4{BODY}", "argon2d"),
        (f"$argon2id$v=19$m=1048577,t=1,p=4{BODY}", "m up to 1048576"),
        (f"$argon2id$v=19$m=1048576,t=5,p=4{BODY}", "m times t up to"),
        (f"$argon2id$v=19$m=64,t=21,p=1{BODY}", "t=21"),
        (f"$argon2id$v=19$m=65536,t=3,p=17{BODY}", "p=17"),
        (f"$argon2id$v=19$m=65536,t=0,p=1{BODY}", "t=0"),
        (f"$argon2id$v=19$m=65536,t=3,p=0{BODY}", "p=0"),
        (f"$argon2id$v=19$m=31,t=3,p=4{BODY}", "cannot be"),
        (f"$argon2id$v=19$m=65536,t=3,p=4${SALT}", "not whole"),
        (f"$argon2id$v=19$m=65536,t=3,p=4{BODY}\n", "not whole"),
        ("$2b$16$" + "a" * 53, "cost 16"),
        ("$2b$03$" + "a" * 53, "cost 03"),
        ("$2b$31$" + "a" * 53, "cost 31"),
        ("$2b$12$" + "a" * 52, "not whole"),
        ("$2x$12$" + "a" * 53, "2011"),
        ("$apr1$x$secret", "Apache's MD5"),
        ("$1$x$secret", "MD5"),
        ("$5$x$secret", "SHA-256"),
        ("$6$x$secret", "SHA-512"),
        ("$y$x$secret", "yescrypt"),
        ("{SHA}secret", "SHA-1"),
        ("{PLAIN}secret", "a password itself"),
        ("secret", "not a hash"),
        ("", "not a hash"),
    ],
)
def test_others_are_refused_by_name_and_never_told(written: str, why: str) -> None:
    with pytest.raises(ValueError, match=why) as raised:
        check_hash(written)
    assert "secret" not in str(raised.value)
    assert SALT not in str(raised.value)
    assert "`pyproxy hash-password`" in str(raised.value)


def test_where_memory_is_wanting_it_is_not_the_password_that_is_wrong(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    class Exhausted:
        def verify(self, _written: str, _password: bytes) -> bool:
            raise VerificationError("Memory allocation error")

    monkeypatch.setattr(passwords, "_ARGON2ID", Exhausted())
    with pytest.raises(ProxyError, match="Memory allocation error") as raised:
        verify(quick_hash("x"), b"x")
    assert raised.value.status == 503


@pytest.mark.parametrize("password", [b"", b"\xff\xfe", b"x" * 30_000])
def test_no_password_makes_it_fail(password: bytes) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for written in (quick_hash("secret"), quick_bcrypt(b"secret")):
            assert not verify(written, password)
