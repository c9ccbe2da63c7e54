import os
import pty
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from proxy.cli.hash_password import command
from proxy.policy.passwords import check_hash, verify

TREE = Path(__file__).parents[2]


def hashed(given: str | bytes, *words: str) -> Result:
    return CliRunner().invoke(command, list(words), input=given)


@pytest.mark.parametrize("given", ["secret\n", "secret", "secret\r\n", "secret\nmore\n"])
def test_the_first_line_of_standard_input_is_the_password(given: str) -> None:
    done = hashed(given)
    assert done.exit_code == 0
    made = done.stdout.removesuffix("\n")
    check_hash(made)
    assert made.startswith("$argon2id$v=19$m=19456,t=2,p=1$")
    assert verify(made, b"secret")
    assert "users: {NAME: 'HASH'}" in done.stderr
    assert "secret" not in done.output


def test_spaces_and_any_letter_belong_to_the_password() -> None:
    made = hashed(" pä ß€ \n").stdout.strip()
    assert verify(made, " pä ß€ ".encode())
    assert not verify(made, "pä ß€".encode())


def test_bcrypt_if_asked_for() -> None:
    made = hashed("secret\n", "--algorithm", "bcrypt").stdout.strip()
    assert made.startswith("$2b$12$")
    assert verify(made, b"secret")


@pytest.mark.parametrize(
    ("given", "words", "why"),
    [
        ("", "", "empty"),
        ("\n", "", "empty"),
        ("\nsecret\n", "", "empty"),
        (b"\xff\xfe\n", "", "UTF-8"),
        ("a\tb\n", "", "control character"),
        ("a\0b\n", "", "control character"),
        ("x" * 1025, "", "longer than 1024 bytes"),
        ("x" * 5000 + "\n", "", "longer than 1024 bytes"),
        ("x" * 73 + "\n", "--algorithm bcrypt", "72 bytes"),
    ],
)
def test_what_is_no_password_is_refused(given: str | bytes, words: str, why: str) -> None:
    done = hashed(given, *words.split())
    assert (done.exit_code, done.stdout) == (1, "")
    assert why in done.stderr


def test_the_longest_password_is_taken() -> None:
    assert verify(hashed("x" * 1024 + "\r\n").stdout.strip(), b"x" * 1024)


@pytest.mark.parametrize(
    "words", ["hunter2", "--password=hunter2", "--password hunter2", "-p hunter2", "-- hunter2"]
)
def test_a_password_as_an_argument_is_refused_and_not_repeated(words: str) -> None:
    done = hashed("secret\n", *words.split())
    assert (done.exit_code, done.stdout) == (2, "")
    assert "list of processes" in done.stderr
    assert "hunter2" not in done.stderr


def test_an_unknown_algorithm_is_wrong_usage() -> None:
    assert hashed("secret\n", "--algorithm", "md5").exit_code == 2


def on_terminal(typed: bytes) -> tuple[int, bytes, bytes]:
    """Exit code, standard output, and what is seen on the terminal."""
    ours, theirs = pty.openpty()
    try:
        # A session of its own has no /dev/tty, so that the terminal given here is asked.
        process = subprocess.Popen(
            [sys.executable, "-m", "proxy", "hash-password"],
            cwd=TREE,
            stdin=theirs,
            stdout=subprocess.PIPE,
            stderr=theirs,
            start_new_session=True,
        )
        os.close(theirs)
        seen = b""
        for line in typed.splitlines(keepends=True):
            while not seen.endswith(b": "):
                seen += os.read(ours, 1000)
            os.write(ours, line)
            seen += os.read(ours, 1000)  # the line end that stands for what is not shown
        output, _ = process.communicate(timeout=30)
        while True:
            try:
                seen += os.read(ours, 1000)
            except OSError:  # Linux's way to say that nobody has the other end open
                return process.returncode, output, seen
    finally:
        os.close(ours)


def test_on_a_terminal_it_asks_twice_and_shows_nothing() -> None:
    code, output, seen = on_terminal(b"secret\nsecret\n")
    assert code == 0
    assert verify(output.decode().strip(), b"secret")
    assert b"Password: " in seen
    assert b"Once more: " in seen
    assert b"secret" not in seen


def test_two_that_differ_are_asked_for_again() -> None:
    code, output, seen = on_terminal(b"secret\nsecrte\nsecret\nsecret\n")
    assert code == 0
    assert verify(output.decode().strip(), b"secret")
    assert seen.count(b"Once more: ") == 2
    assert b"secr" not in seen
