"""Active health: the keeper asks every server how it does, and all workers read the verdicts.

Each address of each server has a task that asks, waits and asks again. A question is a GET on a
connection of its own, so that it also tells whether the server still takes connections. What an
answer means is `upstream.health`'s business; the verdicts go to the board in shared memory.

A server that is down is asked every second (or as often as configured, if that is more often):
requests may be held for it, and should not wait for the rest of a long interval.
"""

import asyncio
import logging
import os
import ssl
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from random import Random
from typing import Any

import h11

from proxy.errors import BadResponseError
from proxy.message.authority import host_field
from proxy.net import tasks
from proxy.net.http2_probe import judge_http2
from proxy.net.resolver import Resolver
from proxy.net.tls_contexts import TlsConfigurationError, client_context, explain
from proxy.state.health import HealthBoard
from proxy.upstream.health import HealthState, Verdict
from proxy.upstream.peer import Address, address_text
from proxy.upstream.plan import HealthPlan, PoolPlan, ServerPlan

DOWN_INTERVAL = 1.0
"""Seconds between questions to a server that is down, where the plan does not say fewer."""

JITTER = 0.2
"""The part of an interval by which questions are spread."""

MOST_HEAD = 16 * 1024
MOST_ANSWER = 64 * 1024
"""Bytes of an answer that are read. A longer one with the right head is a good answer."""


_log = logging.getLogger("pyproxy.net")
_random = Random()  # noqa: S311 - spreads load, guards nothing


@dataclass(frozen=True, slots=True)
class Target:
    """Whom to ask what.

    Attributes:
        server: The server as configured.
        address: One of its addresses.
        health: The question and the answer that is expected.
        tls: Context to connect with; None without TLS.
        server_name: The name to verify and to send as SNI; "" without TLS.
    """

    server: ServerPlan
    address: Address
    health: HealthPlan
    tls: ssl.SSLContext | None = None
    server_name: str = ""


async def run_probes(
    pools: Mapping[str, PoolPlan], board: HealthBoard, resolver: Resolver | None = None
) -> None:
    """Probe the servers of all pools that have a health check, until cancelled.

    Verdicts that the board has already are where it goes on from.

    Args:
        pools: By name.
        board: Where the verdicts go. Whoever is not probed any more is taken down from it.
        resolver: Looks the servers' names up; one of its own by default.
    """
    names = resolver or Resolver(asyncio.get_running_loop())
    rounds = _Rounds(board)
    try:
        for pool in pools.values():
            rounds.add(pool, names)
        await asyncio.Event().wait()
    finally:
        rounds.close()
        if resolver is None:
            names.close()


class _Rounds:
    """The tasks that probe: one for each address of each server."""

    def __init__(self, board: HealthBoard) -> None:
        self._board = board
        # For each server of each pool, by the keys of the board; None until its name resolved.
        self._tasks: dict[tuple[str, ServerPlan], dict[str, asyncio.Task[None]] | None] = {}

    def add(self, pool: PoolPlan, names: Resolver) -> None:
        """Begin to probe a pool's servers, as soon as they have addresses."""
        if pool.health is None:
            return
        tls = None
        if any(server.scheme == "https" for server in pool.servers):
            try:
                alpn = ("h2", "http/1.1") if pool.http2 else ("http/1.1",)
                tls = client_context(verify=pool.tls.verify, ca_pem=pool.tls.ca_pem, alpn=alpn)
            except TlsConfigurationError as error:
                _log.error("upstream %s: no health checks: %s", pool.name, error)
                return
        # All servers first, then their addresses: some are told while `watch` runs.
        self._tasks.update({(pool.name, server): None for server in pool.servers})
        for server in pool.servers:
            changed = partial(self._changed, pool, pool.health, tls, server)
            if server.unix_path:
                changed([server.unix_path])
            else:
                names.watch(server.host, server.port, changed)

    def close(self) -> None:
        """End all tasks."""
        for running in self._tasks.values():
            for task in (running or {}).values():
                task.cancel()
        self._tasks.clear()

    def _changed(
        self,
        pool: PoolPlan,
        health: HealthPlan,
        tls: ssl.SSLContext | None,
        server: ServerPlan,
        addresses: Sequence[Address],
    ) -> None:
        """Begin with the addresses that are new and end with those that are gone."""
        if (pool.name, server) not in self._tasks:
            return  # closed
        before = self._tasks[pool.name, server] or {}
        after = {}
        for address in addresses:
            key = self._board.key(pool.name, server.url, address_text(address))
            if key in before:
                after[key] = before.pop(key)
                continue
            secure = server.scheme == "https"
            target = Target(
                server,
                address,
                health,
                tls if secure else None,
                (pool.tls.server_name or server.host) if secure else "",
            )
            after[key] = tasks.start(_ask_on(target, key, pool.name, self._board), f"probe {key}")
        for task in before.values():
            task.cancel()
        self._tasks[pool.name, server] = after
        self._take_down()

    def _take_down(self) -> None:
        """Clear the board of those nobody probes, once it is known who they are."""
        running = list(self._tasks.values())
        known = [each for each in running if each is not None]
        if len(known) == len(running):
            self._board.keep_only([key for each in known for key in each])


async def _ask_on(target: Target, key: str, pool: str, board: HealthBoard) -> None:
    """Ask one address at intervals, for ever."""
    loop = asyncio.get_running_loop()
    health = target.health
    verdict = Verdict.DOWN if board.get(key) is False else Verdict.UP
    state = HealthState(health.rise, health.fall, verdict)
    where = f"{target.server.url} ({address_text(target.address)})"
    await asyncio.sleep(_random.random() * min(health.interval, DOWN_INTERVAL))
    while True:
        started = loop.time()
        reason = await ask(target)
        if state.record(good=not reason):
            if state.up:
                _log.info("upstream %s: %s is up", pool, where)
            else:
                _log.warning("upstream %s: %s is down: %s", pool, where, reason)
        board.set(key, state.up)
        await asyncio.sleep(max(0.0, started + pause(state, health, _random) - loop.time()))


def pause(state: HealthState, health: HealthPlan, random: Random) -> float:
    """Return the seconds from one question to the next."""
    interval = health.interval if state.up else min(health.interval, DOWN_INTERVAL)
    return interval * (1 - JITTER / 2 + random.random() * JITTER)


async def ask(target: Target) -> str:
    """Ask once, over a fresh connection. Return "" for a good answer, else what is wrong."""
    try:
        async with asyncio.timeout(target.health.timeout):
            return await _converse(target)
    except TimeoutError:
        return f"no answer within {target.health.timeout:g} s"
    except ssl.SSLError as error:
        return f"TLS: {explain(error)}"
    except OSError as error:
        return os.strerror(error.errno) if error.errno else str(error) or type(error).__name__
    except (h11.RemoteProtocolError, BadResponseError) as error:
        return f"broken answer: {error}"


async def _converse(target: Target) -> str:
    secure: dict[str, Any] = {}
    if target.tls is not None:
        secure = {"ssl": target.tls, "server_hostname": target.server_name}
    if isinstance(target.address, str):
        reader, writer = await asyncio.open_unix_connection(target.address, **secure)
    else:
        reader, writer = await asyncio.open_connection(*target.address, **secure)
    try:
        if _speaks_http2(target, writer):
            return await judge_http2(
                reader,
                writer,
                _question(target),
                secure=target.tls is not None,
                expect=target.health.expect,
                most=MOST_ANSWER,
            )
        http = h11.Connection(h11.CLIENT, max_incomplete_event_size=MOST_HEAD)
        request = h11.Request(
            method="GET",
            target=target.health.path,
            headers=[*_fields(target), ("Connection", "close")],
        )
        writer.write((http.send(request) or b"") + (http.send(h11.EndOfMessage()) or b""))
        return await _judge(reader, http, target.health.expect)
    finally:
        writer.transport.abort()


def _fields(target: Target) -> list[tuple[str, str]]:
    return [
        ("Host", target.health.host or host_of(target.server)),
        ("User-Agent", "pyproxy health check"),
        ("Accept", "*/*"),
    ]


def _question(target: Target) -> bytes:
    lines = "".join(f"{name}: {value}\r\n" for name, value in _fields(target))
    return f"GET {target.health.path} HTTP/1.1\r\n{lines}\r\n".encode("ascii")


def _speaks_http2(target: Target, writer: asyncio.StreamWriter) -> bool:
    tls: ssl.SSLObject | None = writer.get_extra_info("ssl_object")
    if tls is None:
        return target.server.scheme == "h2c"
    return tls.selected_alpn_protocol() == "h2"


async def _judge(reader: asyncio.StreamReader, http: h11.Connection, expect: int) -> str:
    """Read an answer to its end, or to as much of it as is needed."""
    taken = 0
    status = 0
    while True:
        event = http.next_event()
        if isinstance(event, h11.Response):
            status = event.status_code
            if status != expect:
                return f"status {status} instead of {expect}"
        elif isinstance(event, h11.EndOfMessage):
            return ""
        elif event is h11.NEED_DATA:
            if taken >= MOST_ANSWER:
                return "" if status else "no end of interim answers"
            data = await reader.read(MOST_HEAD)
            if not data and not taken:
                return "closed without an answer"
            taken += len(data)
            http.receive_data(data)


def host_of(server: ServerPlan) -> str:
    """Return the Host field for a server."""
    if server.unix_path:
        return "localhost"
    return host_field(server.scheme, server.host, server.port)
