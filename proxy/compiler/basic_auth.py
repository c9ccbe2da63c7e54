"""A site's or a route's `basic_auth`, with what is in its users file, to the part that asks."""

from functools import cache

from proxy.compiler.kept_once import kept_once
from proxy.compiler.sources import Scope
from proxy.policy.basic_auth import basic_auth
from proxy.policy.part import Part
from proxy.policy.password_checks import PasswordChecks
from proxy.settings.users import read_users


def compile_basic_auth(scope: Scope) -> Part | None:
    """Return the part for a route, or None where no password is asked for.

    Users of the configuration go before those of the same name in the file.

    Raises:
        KeyError: The users file was not read.
    """
    auth = scope.settings.basic_auth_of(scope.site, scope.route)
    if auth is None:
        return None
    content = None if auth.users_file is None else scope.sources.contents[auth.users_file]
    return _part(auth.realm, content, tuple(auth.users.items()))


@kept_once
def _part(realm: str, content: bytes | None, own: tuple[tuple[str, str], ...]) -> Part:
    users = {} if content is None else read_users(content)
    return basic_auth(realm, {**users, **dict(own)}, _checks())


@cache
def _checks() -> PasswordChecks:
    """Return the one of this process, whose processors it is that are shared out.

    It outlives a reload, so that nobody's password has to be checked anew for that.
    """
    return PasswordChecks()
