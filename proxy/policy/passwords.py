"""Hashes of passwords: making one, checking a password by one, and which ones are taken at all.

argon2id and argon2i (RFC 9106) and bcrypt are. argon2d is not: how it uses memory depends on the
password, which others on the machine can watch. Nor is a hash that would take a worker for long:
whoever can write one into a file of users must not stop the proxy with it.

No error of this module holds a hash or a password.
"""

import re

import argon2
import bcrypt
from argon2.exceptions import Argon2Error, VerifyMismatchError

from proxy.errors import Fault, ProxyError

BCRYPT_LIMIT = 72
"""Bytes of a password that bcrypt looks at."""

_BCRYPT_COST = 12
"""2^12 rounds, about 0.2 s; OWASP asks for 10 at least."""

_ARGON2ID = argon2.PasswordHasher(time_cost=2, memory_cost=19 * 1024, parallelism=1)
"""OWASP's parameters (19 MiB, 2 passes, 1 lane), about 20 ms. RFC 9106's second recommendation has
four lanes of threads, which a worker that serves others beside has no processors for."""

_argon2 = re.compile(
    r"\$argon2(id|i|d)\$v=(?:16|19)\$m=([0-9]{1,9}),t=([0-9]{1,6}),p=([0-9]{1,4})"
    r"\$[A-Za-z0-9+/]{11,128}\$[A-Za-z0-9+/]{16,256}",
    re.ASCII,
).fullmatch
_bcrypt = re.compile(r"\$2[aby]\$([0-9]{2})\$[./A-Za-z0-9]{53}", re.ASCII).fullmatch

_MOST_MEMORY = 1 << 20  # KiB; the hashes that come of the recommendations have 7 to 64 MiB
_MOST_PASSES = 20
_MOST_LANES = 16
_MOST_WORK = 4 << 20  # KiB times passes: about 4 s
_BCRYPT_COSTS = range(4, 16)  # each doubles the time; 15 takes 2 s

_FOREIGN = {
    "$apr1$": "Apache's MD5",
    "$1$": "MD5",
    "$5$": "SHA-256 crypt",
    "$6$": "SHA-512 crypt",
    "$y$": "yescrypt",
    "$7$": "scrypt",
    "$scrypt$": "scrypt",
    "$pbkdf2": "PBKDF2",
    "$2x$": "the faulty bcrypt of 2011",
    "{SHA}": "SHA-1",
    "{SSHA}": "SHA-1",
    "{PLAIN}": "a password itself",
}
_ADVICE = "make one with `pyproxy hash-password`"


def check_hash(written: str) -> None:
    """See to it that a hash can be used.

    Raises:
        ValueError: It cannot. The text says why, and how to get one that can.
    """
    found = _argon2(written)
    if found is not None:
        _check_argon2(found[1], *map(int, found.group(2, 3, 4)))
        return
    found = _bcrypt(written)
    if found is not None:
        if int(found[1]) not in _BCRYPT_COSTS:
            raise ValueError(
                f"a bcrypt hash of cost {found[1]}: from {_BCRYPT_COSTS[0]} to {_BCRYPT_COSTS[-1]} "
                f"are taken; {_ADVICE}"
            )
        return
    for begin, name in _FOREIGN.items():
        if written.startswith(begin):
            raise ValueError(f"{name}, which is not argon2id, argon2i or bcrypt; {_ADVICE}")
    if written.startswith(("$argon2", "$2")):
        raise ValueError(
            f"an argon2 or bcrypt hash that is not whole (inside {{ }} it needs quotes); {_ADVICE}"
        )
    raise ValueError(f"not a hash by argon2id, argon2i or bcrypt; {_ADVICE}")


def _check_argon2(kind: str, memory: int, passes: int, lanes: int) -> None:
    if kind == "d":
        raise ValueError(f"argon2d, which others on the machine can watch at work; {_ADVICE}")
    if memory > _MOST_MEMORY or memory * passes > _MOST_WORK:
        raise ValueError(
            f"an argon2 hash with m={memory},t={passes}: m up to {_MOST_MEMORY}, and m times t "
            f"up to {_MOST_WORK}, are taken; {_ADVICE}"
        )
    if not 1 <= passes <= _MOST_PASSES or not 1 <= lanes <= _MOST_LANES:
        raise ValueError(
            f"an argon2 hash with t={passes},p={lanes}: t from 1 to {_MOST_PASSES}, and p from 1 "
            f"to {_MOST_LANES}, are taken; {_ADVICE}"
        )
    if memory < 8 * lanes:  # RFC 9106, 3.1
        raise ValueError(f"an argon2 hash that cannot be: m={memory} for p={lanes}; {_ADVICE}")


def verify(written: str, password: bytes) -> bool:
    """Tell whether a password fits a hash. Takes 20 to 300 ms, without the interpreter's lock.

    Both libraries compare in constant time. bcrypt looks at the first 72 bytes alone, and a hash
    does not tell whether there were more.

    Args:
        written: A hash that `check_hash` takes.
        password: Without NUL.

    Raises:
        ProxyError: It could not be found out, for want of memory.
    """
    if written.startswith("$2"):
        return bcrypt.checkpw(password[:BCRYPT_LIMIT], written.encode("ascii"))
    try:
        return _ARGON2ID.verify(written, password)
    except VerifyMismatchError:
        return False
    except Argon2Error as error:
        raise ProxyError(
            503, Fault.PROXY, f"a password could not be checked: {type(error).__name__}: {error}"
        ) from None


def argon2_hash(password: bytes) -> str:
    """Return an argon2id hash with OWASP's parameters."""
    return _ARGON2ID.hash(password)


def bcrypt_hash(password: bytes) -> str:
    """Return a bcrypt hash.

    Raises:
        ValueError: The password is longer than bcrypt looks at.
    """
    if len(password) > BCRYPT_LIMIT:
        raise ValueError(f"bcrypt looks at {BCRYPT_LIMIT} bytes alone; this password has more")
    return bcrypt.hashpw(password, bcrypt.gensalt(_BCRYPT_COST)).decode("ascii")
