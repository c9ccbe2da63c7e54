"""What a worker spends on checking passwords: little, whoever asks, and nothing twice.

A check takes tens of milliseconds of a processor, on purpose. So what came of one is remembered
for a while, under a keyed digest of hash, name and password: neither is kept, and when a hash
changes nothing is remembered by it. A wrong password stays wrong; it has a table of its own, so
that no flood of them drives out the right ones. Requests that bring the same while it is being
checked wait for the one check.

How many checks may run and wait is bounded, and a client's share of them too, so that neither the
worker's threads nor those who mean it honestly are kept busy by one who guesses.
"""

import secrets
from hashlib import blake2b
from typing import Self
from weakref import WeakValueDictionary

from proxy.errors import Fault, ProxyError
from proxy.message.networks import client_key
from proxy.policy.passwords import verify

REMEMBERED_FOR = 600.0
"""Seconds. A browser sends the password with each request: one in some thousands waits for it."""

MOST_REMEMBERED = 4096
"""Right ones, and as many wrong ones, at about 150 bytes each."""

MOST_CHECKS = 32
"""Running and waiting in a worker. With two threads and 50 ms each the last waits for 0.8 s."""

CLIENT_CHECKS = 8
"""Of these, for one client (an IPv4 address or an IPv6 /64), with as many different passwords."""

_AGAIN = b"Retry-After: 2\r\n"


class Check:
    """One password that is being checked, for all requests that bring it just now.

    Attributes:
        token: What it is remembered under.
        client: On whose account it goes.
        over: True once nothing is computed any more.
        right: What came of it; None while that is not known, or could not be found out.
    """

    __slots__ = ("__weakref__", "_password", "_written", "client", "over", "right", "token")

    def __init__(self, token: bytes, client: bytes, written: str, password: bytes) -> None:
        self.token = token
        self.client = client
        self.over = False
        self.right: bool | None = None
        self._written = written
        self._password = password

    def run(self) -> Self:
        """Find out, unless it was found out meanwhile. To be called in a thread.

        Two threads may come here at once and then do the same: what they share is written after
        it is known, and the password is read before it is looked whether it is still needed.

        Raises:
            ProxyError: It could not be found out.
        """
        password = self._password
        if not self.over:
            try:
                self.right = verify(self._written, password)
            finally:
                self.over = True
                self._password = b""
        return self


class PasswordChecks:
    """See the module's docstring. One for a worker; all but `Check.run` is called on its loop."""

    __slots__ = ("_blank", "_right", "_running", "_wrong")

    def __init__(self) -> None:
        self._blank = blake2b(digest_size=16, key=secrets.token_bytes(32))
        self._right: dict[bytes, float] = {}
        self._wrong: dict[bytes, float] = {}
        # A check whose client left is never heard of again: it is gone when nobody holds it.
        self._running: WeakValueDictionary[bytes, Check] = WeakValueDictionary()

    def token(self, written: bytes, credentials: bytes) -> bytes:
        """Return what credentials are remembered under: no one can tell them from it.

        Args:
            written: The hash, or anything else without NUL.
            credentials: The name, a colon, the password.
        """
        digest = self._blank.copy()
        digest.update(written + b"\0" + credentials)
        return digest.digest()

    def remembered(self, token: bytes, now: float) -> bool | None:
        """Return what came of an earlier check, None where that is not known any more."""
        until = self._right.get(token)
        if until is not None and now < until:
            return True
        until = self._wrong.get(token)
        return False if until is not None and now < until else None

    def begin(self, token: bytes, written: str, password: bytes, address: str) -> Check:
        """Return the check of what is not remembered: a new one, or the one that is under way.

        Args:
            token: As `token` has it.
            written: The hash, as `passwords.check_hash` takes it.
            password: The password, without NUL.
            address: The client's.

        Raises:
            ProxyError: There are too many at work: 429 where they are this client's, else 503.
        """
        found = self._running.get(token)
        if found is not None:
            return found
        client = client_key(address)
        others = [check.client for check in list(self._running.values()) if not check.over]
        if others.count(client) >= CLIENT_CHECKS:
            raise _too_many(429, f"more than {CLIENT_CHECKS} passwords at once from {address}")
        if len(others) >= MOST_CHECKS:
            raise _too_many(503, f"more than {MOST_CHECKS} passwords at once")
        check = self._running[token] = Check(token, client, written, password)
        return check

    def ended(self, check: Check, now: float) -> None:
        """Remember what came of a check."""
        if self._running.get(check.token) is check:
            del self._running[check.token]
        if check.right is None:
            return
        table = self._right if check.right else self._wrong
        table.pop(check.token, None)  # so that the oldest always come first
        while len(table) >= MOST_REMEMBERED:
            del table[next(iter(table))]
        table[check.token] = now + REMEMBERED_FOR


def _too_many(status: int, detail: str) -> ProxyError:
    # The client's fault also where it is the crowd's: nothing for the proxy's log to fill up with.
    again = "Please try again in a moment."
    return ProxyError(status, Fault.CLIENT, detail, public=again, fields=_AGAIN)
