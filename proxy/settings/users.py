"""Names and password hashes, as `basic_auth` has them in the file or in a file of its own."""

import re

from proxy.settings.problem import WrongValueError

USERS_LIMIT = 10_000
"""Lines of a users file."""

_NAME = re.compile(r"[^\x00-\x1f\x7f:]{1,255}")
_ARGON2 = re.compile(
    r"\$argon2(?:id|i|d)\$v=[0-9]{1,3}\$m=[0-9]{1,9},t=[0-9]{1,6},p=[0-9]{1,4}"
    r"\$[A-Za-z0-9+/]{8,128}\$[A-Za-z0-9+/]{8,256}",
    re.ASCII,
)
_BCRYPT = re.compile(r"\$2[aby]\$(?:0[4-9]|[12][0-9]|3[01])\$[./A-Za-z0-9]{53}", re.ASCII)
_MADE_BY = "`pyproxy hash-password` makes one"


def user_name(value: object) -> str:
    """Return a name that may stand before a password (RFC 7617, 2: it holds no colon).

    Raises:
        WrongValueError: It may not.
    """
    if not isinstance(value, str) or not _NAME.fullmatch(value):
        raise WrongValueError("a user's name has no colon and no control character")
    return value


def password_hash(value: object) -> str:
    """Return an argon2 or bcrypt hash.

    Raises:
        WrongValueError: It is something else, a password itself perhaps.
    """
    if isinstance(value, str):
        if _ARGON2.fullmatch(value) or _BCRYPT.fullmatch(value):
            return value
        if value.startswith(("$argon2", "$2")):
            raise WrongValueError(f"this hash is cut short: in {{ }} it needs quotes; {_MADE_BY}")
        if value.startswith(("$apr1$", "{SHA}", "{SSHA}", "$1$", "$5$", "$6$")):
            raise WrongValueError(f"this kind of hash is too easily guessed; {_MADE_BY}")
    raise WrongValueError(f"expected a hash by argon2 or bcrypt, never a password; {_MADE_BY}")


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
