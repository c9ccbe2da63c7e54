"""A site's or a route's `basic_auth`, with what is in its users file, to the part that asks."""

from functools import cache, lru_cache

from proxy.compiler.sources import Scope
from proxy.policy.basic_auth import basic_auth
from proxy.policy.part import Part
from proxy.policy.password_checks import PasswordChecks
from proxy.settings.users import read_users

Users = tuple[tuple[str, str], ...]
"""Names and hashes."""


def compile_basic_auth(scope: Scope) -> Part | None:
    """Return the part for a route, or None where no password is asked for.

    Users of the configuration go before those of the same name in the file.

    Raises:
        KeyError: The users file was not read.
    """
    auth = scope.settings.basic_auth_of(scope.site, scope.route)
    if auth is None:
        return None
    users: dict[str, str] = {}
    if auth.users_file is not None:
        users.update(_in_file(scope.sources.contents[auth.users_file]))
    users.update(auth.users)
    return _part(auth.realm, tuple(users.items()))


# Most routes of a site have the same users: they are read and kept once.


@lru_cache(maxsize=16)
def _in_file(content: bytes) -> Users:
    return tuple(read_users(content).items())


@lru_cache(maxsize=64)
def _part(realm: str, users: Users) -> Part:
    return basic_auth(realm, dict(users), _checks())


@cache
def _checks() -> PasswordChecks:
    """Return the one of this process, whose processors it is that are shared out.

    It outlives a reload, so that nobody's password has to be checked anew for that.
    """
    return PasswordChecks()
