"""Names of upstreams, looked up again and again while the proxy runs.

Containers are recreated under the same name with another address every day, so an address is
never taken for granted for longer than `INTERVAL`, and a connect error has its name looked up at
once. `getaddrinfo` is what everything else on the machine uses (/etc/hosts, Docker's DNS, search
domains), and it tells no TTL: a fixed interval stands in for it.

Lookups are blocking calls in the loop's threads, which cannot be stopped. So one that takes long is
reported but left to end, its name is not asked for again meanwhile, and only `AT_ONCE` run at a
time: a dead DNS server costs these threads and nothing else. What was found last stays in use for
as long as nothing newer is known.

There is no standing task: a timer wakes for the name that is due next.
"""

import asyncio
import encodings.idna  # noqa: F401 - getaddrinfo wants it, and later it may be out of a worker's reach
import ipaddress
import logging
import socket
from collections.abc import Callable, Sequence
from random import Random
from typing import Any

from proxy.net import tasks

INTERVAL = 5.0
"""Seconds from one lookup of a name to the next."""

JITTER = 0.2
"""The part of the interval by which lookups are spread, so that workers do not ask in step."""

POKE_INTERVAL = 0.5
"""A name is looked up no more often than this, however often it is poked."""

SLOW = 10.0
"""A lookup that took this long counts as failed; its answer is still taken if it comes."""

AT_ONCE = 4
"""Most lookups at a time. libuv has four threads for all blocking calls of a process."""

Endpoint = tuple[str, int]
Callback = Callable[[tuple[Endpoint, ...]], None]

_log = logging.getLogger("pyproxy.net")


class Watch:
    """Somebody's interest in a name; for `Resolver.unwatch`."""

    __slots__ = ("callback", "host", "port")

    def __init__(self, host: str, port: int, callback: Callback) -> None:
        self.host = host
        self.port = port
        self.callback = callback

    def tell(self, hosts: Sequence[str]) -> None:
        """Call back with the addresses of `hosts`."""
        self.callback(tuple((host, self.port) for host in hosts))


class _Name:
    """What is known of one name.

    Attributes:
        hosts: Its addresses, sorted.
        due: When to look it up next.
        started: When the last lookup began.
        busy: True while one runs.
        poked: True if it was asked for again while one ran.
        trouble: Why the last lookup failed, "" if it did not.
    """

    __slots__ = ("busy", "due", "hosts", "poked", "started", "trouble", "watches")

    def __init__(self, now: float) -> None:
        self.hosts: tuple[str, ...] = ()
        self.due = now
        self.started = now - POKE_INTERVAL
        self.busy = False
        self.poked = False
        self.trouble = ""
        self.watches: list[Watch] = []


class Resolver:
    """Keeps the addresses of names up to date for those who watch them.

    Args:
        loop: The running event loop.
        random: Source of the jitter.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop, random: Random | None = None) -> None:
        self._loop = loop
        self._random = random or Random()  # noqa: S311 - spreads load, guards nothing
        self._names: dict[str, _Name] = {}
        self._lookups: set[asyncio.Task[None]] = set()
        self._timer: asyncio.TimerHandle | None = None
        self._closed = False

    def watch(self, host: str, port: int, callback: Callback) -> Watch:
        """Have `callback` told the addresses of `host`, now or soon, and whenever they change.

        What is already known (always, for a literal address) is told before this returns.
        An empty answer is never told: a name that stops resolving keeps its last addresses.
        """
        watch = Watch(host, port, callback)
        if is_literal(host):
            watch.tell([host])
            return watch
        name = self._names.get(host)
        if name is None:
            name = self._names[host] = _Name(self._loop.time())
            self._arm()
        name.watches.append(watch)
        if name.hosts:
            watch.tell(name.hosts)
        return watch

    def unwatch(self, watch: Watch) -> None:
        """End a watch; its callback is not called any more. A name without any is forgotten."""
        name = self._names.get(watch.host)
        if name is None or watch not in name.watches:
            return
        name.watches.remove(watch)
        if not name.watches:
            del self._names[watch.host]

    def poke(self, host: str) -> None:
        """Look a name up at once, because an address of it did not answer.

        Unknown names and literal addresses are ignored.
        """
        name = self._names.get(host)
        if name is None:
            return
        if name.busy:
            name.poked = True
            return
        name.due = min(name.due, name.started + POKE_INTERVAL)
        self._arm()

    def close(self) -> None:
        """Forget all names and abandon the lookups that run; nobody is told any more."""
        self._closed = True
        self._names.clear()
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        for task in self._lookups:
            task.cancel()

    def _arm(self) -> None:
        """Set the timer for the name that is due next."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._closed or len(self._lookups) >= AT_ONCE:
            return  # The end of a lookup arms it again.
        waiting = [name.due for name in self._names.values() if not name.busy]
        if waiting:
            self._timer = self._loop.call_at(min(waiting), self._wake)

    def _wake(self) -> None:
        now = self._loop.time()
        due = [
            (name.due, host)
            for host, name in self._names.items()
            if not name.busy and name.due <= now
        ]
        for _, host in sorted(due)[: AT_ONCE - len(self._lookups)]:
            name = self._names[host]
            name.busy = True
            name.started = now
            task = tasks.start(self._look_up(host, name), f"look up {host}")
            self._lookups.add(task)
            task.add_done_callback(self._lookup_ended)
        self._arm()

    def _lookup_ended(self, task: asyncio.Task[None]) -> None:
        self._lookups.discard(task)
        self._arm()

    async def _look_up(self, host: str, name: _Name) -> None:
        patience = self._loop.call_at(
            name.started + SLOW, self._trouble, host, name, f"no answer for {SLOW:g} s"
        )
        try:
            found = await self._loop.getaddrinfo(
                host, None, type=socket.SOCK_STREAM, flags=socket.AI_ADDRCONFIG
            )
        except (OSError, UnicodeError) as error:
            # UnicodeError: a label that is too long or empty never comes as far as DNS.
            self._trouble(host, name, getattr(error, "strerror", None) or str(error))
        else:
            self._found(host, name, sorted({_text(entry) for entry in found}))
        finally:
            patience.cancel()
            self._schedule(name)

    def _schedule(self, name: _Name) -> None:
        spread = INTERVAL * JITTER
        name.busy = False
        name.due = self._loop.time() + INTERVAL - spread / 2 + self._random.random() * spread
        if name.poked:
            name.poked = False
            name.due = name.started + POKE_INTERVAL

    def _found(self, host: str, name: _Name, hosts: list[str]) -> None:
        if not hosts:
            self._trouble(host, name, "no address")
            return
        if name.trouble:
            _log.info("name %s resolves now: %s", host, ", ".join(hosts))
            name.trouble = ""
        elif name.hosts and name.hosts != tuple(hosts):
            _log.info("name %s has changed: %s", host, ", ".join(hosts))
        if name.hosts == tuple(hosts):
            return
        name.hosts = tuple(hosts)
        for watch in tuple(name.watches):
            watch.tell(hosts)

    def _trouble(self, host: str, name: _Name, reason: str) -> None:
        """Report a failed lookup, once until it goes well again or fails for another reason."""
        if name.trouble == reason:
            return
        name.trouble = reason
        kept = f"using {', '.join(name.hosts)} on" if name.hosts else "no address to use"
        _log.warning("name %s does not resolve (%s); %s", host, reason, kept)


def is_literal(host: str) -> bool:
    """Return whether `host` is an IPv4 or IPv6 address rather than a name."""
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True


def _text(entry: tuple[Any, ...]) -> str:
    """Return the address in an answer of getaddrinfo, with the zone of a link-local one."""
    family, address = entry[0], entry[4]
    if family == socket.AF_INET6 and address[3] and "%" not in address[0]:
        return f"{address[0]}%{address[3]}"
    return str(address[0])
