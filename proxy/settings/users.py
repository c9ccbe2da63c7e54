"""Names and password hashes, as `basic_auth` has them in the file or in a file of its own."""

import re

from proxy.policy.passwords import check_hash
from proxy.settings.problem import WrongValueError

USERS_LIMIT = 10_000
"""Lines of a users file."""

_NAME = re.compile(r"[^\x00-\x1f\x7f:]{1,255}")


def user_name(value: object) -> str:
    """Return a name that may stand before a password (RFC 7617, 2: it holds no colon).

    Raises:
        WrongValueError: It may not.
    """
    if not isinstance(value, str) or not _NAME.fullmatch(value):
        raise WrongValueError("a user's name has no colon and no control character")
    return value


def password_hash(value: object) -> str:
    """Return a hash that passwords can be checked by; which ones can, `policy.passwords` says.

    Raises:
        WrongValueError: It is something else, a password itself perhaps.
    """
    if not isinstance(value, str):
        raise WrongValueError("expected a hash; `pyproxy hash-password` makes one")
    try:
        check_hash(value)
    except ValueError as error:
        raise WrongValueError(f"this is {error}") from None
    return value


def read_users(data: bytes) -> dict[str, str]:
    """Return names and hashes of a users file, `name:hash` a line, as `htpasswd -B` writes it.

    Empty lines and those that begin with # are passed over.

    Raises:
        WrongValueError: A line is something else; the text names it by its number alone.
    """
    try:
        text = data.decode()
    except UnicodeDecodeError:
        raise WrongValueError("not UTF-8 text") from None
    found: dict[str, str] = {}
    for number, line in enumerate(text.split("\n"), start=1):
        entry = line.strip()
        if not entry or entry.startswith("#"):
            continue
        name, colon, written = entry.partition(":")
        if not colon:
            raise WrongValueError(f"line {number}: expected name:hash")
        try:
            found[user_name(name)] = password_hash(written)
        except WrongValueError as error:
            raise WrongValueError(f"line {number}: {error.reason}") from None
        if len(found) > USERS_LIMIT:
            raise WrongValueError(f"more than {USERS_LIMIT} users")
    if not found:
        raise WrongValueError("there is no user in it")
    return found
