r"""Names and passwords that a browser asks for (RFC 7617).

Whoever brings none, or wrong ones, or cannot write them, gets 401 and a challenge, and always the
same. A name that nobody has costs what a name costs that somebody has: the password is checked by
the hash of somebody, the same one for the same name, and nothing is made of the result.

The Authorization field was for the proxy and is not forwarded. The name is, as X-Forwarded-User,
which clients cannot send: it is cut out of all they send, and here also of what trusted proxies do.

A preflight of CORS brings no credentials (Fetch, 4.8) and gets 401 like any other request: where
other origins are to use a route by scripts, its OPTIONS needs a route of its own.
"""

import re
from binascii import Error as Base64Error, a2b_base64
from collections.abc import Mapping
from functools import partial

from proxy.errors import Fault, ProxyError
from proxy.exchange.exchange import Exchange
from proxy.exchange.verdict import Verdict, Work
from proxy.message.edit import FieldEdit, either_case
from proxy.policy.part import Part, field_line
from proxy.policy.password_checks import Check, PasswordChecks

NAME = "basic_auth"

_PUBLIC = "A name and a password are needed here."

_find = re.compile(rf"\n{either_case('authorization')}:[ \t]*([^\r\n]*)".encode()).findall
_basic = re.compile(rf"{either_case('basic')} +([A-Za-z0-9+/]+={{0,2}})[ \t]*".encode()).fullmatch
_control = re.compile(rb"[\x00-\x1f\x7f]").search


def basic_auth(realm: str, users: Mapping[str, str], checks: PasswordChecks) -> Part:
    """Return the part that lets in who knows a password.

    Args:
        realm: What browsers show.
        users: Hashes that `passwords.check_hash` takes, by name: at least one.
        checks: The worker's.

    Raises:
        ValueError: There is no user, or the realm cannot stand in a field.
    """
    if not users:
        raise ValueError("nobody could get in")
    return Part(
        NAME,
        gate=_Guard(realm, users, checks).ask,
        request_edit=FieldEdit(["authorization", "x-forwarded-user"]),
    )


class _User:
    """One who may come in; or, without a name, a hash to spend time on for one who may not."""

    __slots__ = ("added", "name", "token_hash", "written")

    def __init__(self, name: str, written: str) -> None:
        self.name = name
        self.written = written
        self.token_hash = written.encode("ascii")
        self.added = b"X-Forwarded-User: " + name.encode() + b"\r\n"


class _Guard:
    __slots__ = ("_challenge", "_checks", "_strangers", "_users")

    def __init__(self, realm: str, users: Mapping[str, str], checks: PasswordChecks) -> None:
        quoted = re.sub(r'(["\\])', r"\\\1", realm)  # RFC 9110, 5.6.4
        self._challenge = field_line("WWW-Authenticate", f'Basic realm="{quoted}", charset="UTF-8"')
        self._checks = checks
        self._users = {name.encode(): _User(name, written) for name, written in users.items()}
        self._strangers = [_User("", written) for written in users.values()]

    def ask(self, exchange: Exchange) -> Verdict:
        """Let an exchange pass whose password is known to be right, or have it checked."""
        credentials = _credentials(exchange.head.block)
        name, colon, password = credentials.partition(b":")
        if not colon:
            raise self._refusal("no credentials, or none that can be read")
        user = self._users.get(name) or self._stranger(name)
        checks = self._checks
        token = checks.token(user.token_hash, credentials)
        right = checks.remembered(token, exchange.started)
        if right is None:
            if _control(credentials):  # RFC 7617, 2; and bcrypt takes no NUL
                raise self._refusal("credentials with a control character")
            check = checks.begin(token, user.written, password, exchange.address)
            return Work(check.run, partial(self._checked, exchange, user))
        self._decide(exchange, user, right=right)
        return None

    def _stranger(self, name: bytes) -> _User:
        number = int.from_bytes(self._checks.token(b"", name), "big")
        return self._strangers[number % len(self._strangers)]

    def _checked(self, exchange: Exchange, user: _User, check: Check) -> None:
        self._checks.ended(check, exchange.started)
        if check.right is None:  # it failed for another request, which has told of it
            raise ProxyError(503, Fault.CLIENT, "a password could not be checked")
        self._decide(exchange, user, right=check.right)

    def _decide(self, exchange: Exchange, user: _User, *, right: bool) -> None:
        # Also of a stranger the password may be right: that of whose hash it was checked by.
        if not right or not user.name:
            raise self._refusal("wrong name or password")
        exchange.user = user.name
        exchange.added += user.added

    def _refusal(self, detail: str) -> ProxyError:
        return ProxyError(401, Fault.CLIENT, detail, public=_PUBLIC, fields=self._challenge)


def _credentials(block: bytes) -> bytes:
    """Return "name:password" as it came, b"" where there is none or it cannot be read."""
    values = _find(b"\n" + block)
    if len(values) != 1:
        return b""
    found = _basic(values[0])
    if found is None or len(found[1]) % 4:  # a2b_base64 passes over too much padding in 3.11
        return b""
    try:
        return a2b_base64(found[1], strict_mode=True)
    except Base64Error:
        return b""
