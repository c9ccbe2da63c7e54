"""`pyproxy hash-password`."""

import re
import sys

import click

from proxy.cli.exits import fail
from proxy.policy.passwords import argon2_hash, bcrypt_hash

_LONGEST = 1024
_WRONG_USAGE = 2

_control = re.compile(r"[\x00-\x1f\x7f]").search


@click.command(
    name="hash-password",
    context_settings={"ignore_unknown_options": True},  # --password=… is an argument, too
)
@click.option(
    "--algorithm",
    type=click.Choice(["argon2", "bcrypt"]),
    default="argon2",
    show_default=True,
    help="argon2 is argon2id with OWASP's parameters: 19 MiB, 2 passes, 1 lane.",
)
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED, metavar="")
def command(algorithm: str, arguments: tuple[str, ...]) -> None:
    """Print the hash of a password, for basic_auth.

    The password is asked for twice; where standard input is no terminal, its first line is taken.
    """
    if arguments:
        fail(
            "pyproxy: a password is no argument: others would read it in the list of processes, "
            "and in your shell's history\n"
            "Leave it out to be asked for it, or write it to standard input.",
            _WRONG_USAGE,
        )
    password = _asked() if sys.stdin.isatty() else _read()
    try:
        data = _usable(password)
        made = argon2_hash(data) if algorithm == "argon2" else bcrypt_hash(data)
    except ValueError as error:
        fail(f"pyproxy: {error}")
    click.echo(made)
    click.echo(
        "In the configuration, between single quotes:  users: {NAME: 'HASH'}\n"
        "In a users file, a line without quotes:       NAME:HASH",
        err=True,
    )


def _asked() -> str:
    answer = click.prompt(
        "Password", hide_input=True, confirmation_prompt="Once more", err=True, type=str
    )
    return str(answer)


def _read() -> str:
    """Return the first line of standard input, without its end."""
    line = sys.stdin.buffer.readline(_LONGEST + 3)
    try:
        return line.removesuffix(b"\n").removesuffix(b"\r").decode()
    except UnicodeDecodeError:
        fail("pyproxy: the password is not UTF-8, which is what browsers send")


def _usable(password: str) -> bytes:
    """Return a password as browsers send it.

    Raises:
        ValueError: No browser could, or there is none.
    """
    if not password:
        raise ValueError("the password is empty")
    if _control(password):  # RFC 7617, 2
        raise ValueError("the password has a control character, which no browser sends")
    try:
        data = password.encode()
    except UnicodeEncodeError:
        raise ValueError("the password is not UTF-8, which is what browsers send") from None
    if len(data) > _LONGEST:
        raise ValueError(f"the password is longer than {_LONGEST} bytes")
    return data
