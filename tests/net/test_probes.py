import asyncio
import logging
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from random import Random

import pytest
import trustme

from proxy.net import probes
from proxy.net.probes import Target, ask, host_of, pause, run_probes
from proxy.net.resolver import Callback, Resolver, Watch
from proxy.net.tls_contexts import client_context
from proxy.state.health import SIZE, HealthBoard
from proxy.upstream.health import HealthState, Verdict
from proxy.upstream.peer import address_text
from proxy.upstream.plan import HealthPlan, PoolPlan, ServerPlan, TlsClientPlan

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
CA = trustme.CA()


def health(timeout: float = 10.0, interval: float = 0.01, host: str = "") -> HealthPlan:
    return HealthPlan("/healthz?deep=1", interval, timeout, rise=2, fall=3, expect=200, host=host)


def plan_of(port: int, scheme: str = "http", host: str = "127.0.0.1") -> ServerPlan:
    return ServerPlan(f"{scheme}://{host}:{port}", scheme, host, port)


class App:
    """A server that answers every request with the same bytes.

    Attributes:
        answer: What it sends; None for silence.
        heads: The requests it got.
    """

    def __init__(self) -> None:
        self.answer: bytes | None = OK
        self.heads: list[bytes] = []
        self.port = 0
        self._quiet = asyncio.Event()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            self.heads.append(await reader.readuntil(b"\r\n\r\n"))
            if self.answer is None:
                await self._quiet.wait()
            else:
                writer.write(self.answer)
                await writer.drain()
        except (OSError, asyncio.IncompleteReadError):
            pass  # the prober had read enough
        finally:
            writer.transport.abort() if self.answer is None else writer.close()

    def release(self) -> None:
        self._quiet.set()


@asynccontextmanager
async def serving(
    host: str = "127.0.0.1", tls: ssl.SSLContext | None = None, path: str = ""
) -> AsyncIterator[App]:
    app = App()
    if path:
        server = await asyncio.start_unix_server(app.serve, path)
    else:
        server = await asyncio.start_server(app.serve, host, 0, ssl=tls)
        app.port = server.sockets[0].getsockname()[1]
    try:
        yield app
    finally:
        app.release()
        server.close()
        await server.wait_closed()


@pytest.fixture
async def app() -> AsyncIterator[App]:
    async with serving() as app:
        yield app


def target(app: App, timeout: float = 10.0) -> Target:
    return Target(plan_of(app.port), ("127.0.0.1", app.port), health(timeout))


# One question.


async def test_a_good_answer(app: App) -> None:
    assert await ask(target(app)) == ""
    lines = app.heads[0].decode().split("\r\n")
    assert lines[0] == "GET /healthz?deep=1 HTTP/1.1"
    assert f"Host: 127.0.0.1:{app.port}" in lines
    assert "Connection: close" in lines


async def test_the_host_that_is_configured_is_sent(app: App) -> None:
    where = ("127.0.0.1", app.port)
    assert await ask(Target(plan_of(app.port), where, health(host="app.example"))) == ""
    assert b"\r\nHost: app.example\r\n" in app.heads[0]


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (b"HTTP/1.1 500 Oh\r\nContent-Length: 0\r\n\r\n", "status 500 instead of 200"),
        (b"HTTP/1.1 301 Moved\r\nLocation: /\r\n\r\n", "status 301 instead of 200"),
        (b"HTTP/1.1 204 No\r\n\r\n", "status 204 instead of 200"),
        (b"", "closed without an answer"),
        (b"HTTP/1.1 200 OK\r\nContent-", "broken answer: "),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nok", "broken answer: "),
        (b"SSH-2.0-OpenSSH_9.2\r\n", "broken answer: "),
        (bytes(range(256)) * 10, "broken answer: "),
        (b"HTTP/1.1 200 OK\r\nX: " + b"x" * 200_000, "broken answer: "),
        (b"HTTP/1.1 103 Early Hints\r\n\r\n" * 10_000, "no end of interim answers"),
    ],
    ids=lambda value: value[:24] if isinstance(value, str) else "",
)
async def test_bad_answers(app: App, answer: bytes, reason: str) -> None:
    app.answer = answer
    assert (await ask(target(app))).startswith(reason)


@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.1 100 Continue\r\n\r\n" + OK,
        b"HTTP/1.0 200 OK\r\n\r\nup to the end",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 90000000\r\n\r\n" + b"x" * 1_000_000,
    ],
    ids=["interim", "http/1.0", "chunked", "huge"],
)
async def test_good_answers_of_all_shapes(app: App, answer: bytes) -> None:
    app.answer = answer
    assert await ask(target(app)) == ""


async def test_no_more_than_the_limit_is_read(app: App, monkeypatch: pytest.MonkeyPatch) -> None:
    taken: list[int] = []
    read = asyncio.StreamReader.read

    async def counted(self: asyncio.StreamReader, most: int = -1) -> bytes:
        data = await read(self, most)
        taken.append(len(data))
        return data

    monkeypatch.setattr(asyncio.StreamReader, "read", counted)
    app.answer = b"HTTP/1.1 200 OK\r\nContent-Length: 90000000\r\n\r\n" + b"x" * 1_000_000
    assert await ask(target(app)) == ""
    assert probes.MOST_ANSWER <= sum(taken) < probes.MOST_ANSWER + probes.MOST_HEAD


async def test_a_silent_server_is_left_in_time(app: App) -> None:
    app.answer = None
    assert await ask(target(app, timeout=0.05)) == "no answer within 0.05 s"


async def test_a_server_that_is_not_there() -> None:
    async with serving() as app:
        pass
    assert await ask(target(app)) == "Connection refused"


async def test_a_unix_socket(tmp_path: Path) -> None:
    path = str(tmp_path / "app.sock")
    plan = ServerPlan(f"unix:{path}", "http", "", 0, unix_path=path)
    async with serving(path=path) as app:
        assert await ask(Target(plan, path, health())) == ""
    assert b"\r\nHost: localhost\r\n" in app.heads[0]
    assert await ask(Target(plan, path + "x", health())) == "No such file or directory"


@pytest.fixture
def tls() -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    CA.issue_cert("app.test").configure_cert(context)
    return context


@pytest.fixture
def ca_pem() -> str:
    return CA.cert_pem.bytes().decode("ascii")


async def test_tls_is_verified(
    tls: ssl.SSLContext, ca_pem: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.CRITICAL, "asyncio")  # the server's view of a refused certificate
    async with serving(tls=tls) as app:
        plan, where = plan_of(app.port, "https", "app.test"), ("127.0.0.1", app.port)

        async def asked(name: str, **how: object) -> str:
            context = client_context(**how)  # type: ignore[arg-type]  # one of the two
            return await ask(Target(plan, where, health(), context, name))

        assert await asked("app.test", ca_pem=ca_pem) == ""
        assert "not trusted" in await asked("app.test")
        assert "not trusted" in await asked("other.test", ca_pem=ca_pem)
        assert await asked("other.test", verify=False) == ""


async def test_a_plain_server_asked_over_tls(app: App) -> None:
    where = ("127.0.0.1", app.port)
    context = client_context(verify=False)
    asked = Target(plan_of(app.port, "https"), where, health(timeout=0.2), context, "app.test")
    app.answer = b"HTTP/1.1 400 Bad Request\r\n\r\n"
    # It waits for the end of a head that never comes.
    assert await ask(asked) == "no answer within 0.2 s"


@pytest.mark.parametrize(
    ("server", "host"),
    [
        (plan_of(80, host="app"), "app"),
        (plan_of(443, "https", "app"), "app"),
        (plan_of(443, "http", "app"), "app:443"),
        (plan_of(8000, host="::1"), "[::1]:8000"),
        (plan_of(80, host="fe80::1%eth0"), "[fe80::1]"),
    ],
)
def test_the_host_of_a_server(server: ServerPlan, host: str) -> None:
    assert host_of(server) == host


@pytest.mark.parametrize(
    ("verdict", "interval", "expected"),
    [(Verdict.UP, 10.0, 10.0), (Verdict.DOWN, 10.0, 1.0), (Verdict.DOWN, 0.5, 0.5)],
)
def test_who_is_down_is_asked_more_often(
    verdict: Verdict, interval: float, expected: float
) -> None:
    state = HealthState(2, 3, verdict)
    random = Random(1)
    pauses = [pause(state, health(interval=interval), random) for _ in range(100)]
    assert 0.9 * expected <= min(pauses) < max(pauses) <= 1.1 * expected


# Rounds.


class Board(HealthBoard):
    """A board that can be waited for."""

    def __init__(self) -> None:
        super().__init__(memoryview(bytearray(SIZE)), b"key")
        self.changed = asyncio.Event()

    def set(self, key: str, up: bool) -> bool:  # noqa: FBT001 - as in HealthBoard
        done = super().set(key, up)
        self.changed.set()
        return done

    async def until(self, key: str, verdict: bool | None) -> None:  # noqa: FBT001 - as in `set`
        async with asyncio.timeout(20):
            while self.get(key) is not verdict:
                self.changed.clear()
                await self.changed.wait()


class HandResolver(Resolver):
    """Tells what the test says."""

    def __init__(self) -> None:
        super().__init__(asyncio.get_running_loop())
        self.callbacks: dict[str, Callback] = {}

    def watch(self, host: str, port: int, callback: Callback) -> Watch:
        self.callbacks[host] = callback
        return Watch(host, port, callback)


@asynccontextmanager
async def probing(
    board: Board, *pools: PoolPlan, resolver: Resolver | None = None
) -> AsyncIterator[None]:
    by_name = {pool.name: pool for pool in pools}
    task = asyncio.create_task(run_probes(by_name, board, resolver))  # noqa: TID251 - ended below
    await asyncio.sleep(0)
    try:
        yield
    finally:
        task.cancel()
        await asyncio.wait([task])
        assert task.cancelled()
        await asyncio.sleep(0)
        assert not [each for each in asyncio.all_tasks() if each.get_name().startswith("probe ")]


def key_of(pool: str, server: ServerPlan, host: str = "") -> str:
    return HealthBoard.key(pool, server.url, address_text((host or server.host, server.port)))


async def test_a_server_goes_down_and_comes_back(
    app: App, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "pyproxy.net")
    board, server = Board(), plan_of(app.port)
    key = key_of("app", server)
    async with probing(board, PoolPlan("app", (server,), health=health())):
        await board.until(key, verdict=True)
        asked = len(app.heads)
        app.answer = b"HTTP/1.1 503 No\r\nContent-Length: 0\r\n\r\n"
        await board.until(key, verdict=False)
        assert len(app.heads) >= asked + 3
        app.answer = OK
        await board.until(key, verdict=True)
    where = f"upstream app: http://127.0.0.1:{app.port} (127.0.0.1:{app.port})"
    assert [record.getMessage() for record in caplog.records] == [
        f"{where} is down: status 503 instead of 200",
        f"{where} is up",
    ]


async def test_a_verdict_on_the_board_is_where_it_goes_on(app: App) -> None:
    board, server = Board(), plan_of(app.port)
    key = key_of("app", server)
    board.set(key, up=False)
    seen: list[bool | None] = []
    async with probing(board, PoolPlan("app", (server,), health=health())):
        while len(seen) < 2:
            board.changed.clear()
            await board.changed.wait()
            seen.append(board.get(key))
    assert seen == [False, True]  # rise: 2


async def test_only_pools_with_a_health_check_are_probed(app: App) -> None:
    board, server = Board(), plan_of(app.port)
    async with serving() as other:
        pools = (
            PoolPlan("quiet", (plan_of(other.port),)),
            PoolPlan("app", (server,), health=health()),
        )
        async with probing(board, *pools):
            await board.until(key_of("app", server), verdict=True)
        assert other.heads == []


async def test_addresses_come_and_go(app: App) -> None:
    board, names = Board(), HandResolver()
    server = plan_of(app.port, host="app.internal")
    here, there = ("127.0.0.1", app.port), ("127.0.0.2", app.port)
    here_key, there_key = key_of("app", server, here[0]), key_of("app", server, there[0])
    async with probing(board, PoolPlan("app", (server,), health=health()), resolver=names):
        tell = names.callbacks["app.internal"]
        tell((here, there))
        await board.until(here_key, verdict=True)
        await board.until(there_key, verdict=False)  # nobody listens on 127.0.0.2
        tell((here,))
        assert board.get(there_key) is None
        assert board.get(here_key) is True
        tell((there,))
        assert board.get(here_key) is None
        await board.until(there_key, verdict=False)
    tell((here,))  # after the end: nobody starts anything


async def test_verdicts_stay_until_every_name_has_resolved(app: App) -> None:
    board, names = Board(), HandResolver()
    first, second = (plan_of(app.port, host=f"{each}.internal") for each in ("a", "b"))
    board.set("a server of an earlier configuration", up=False)
    key = key_of("app", second, "127.0.0.1")
    board.set(key, up=False)
    address = (("127.0.0.1", app.port),)
    async with probing(board, PoolPlan("app", (first, second), health=health()), resolver=names):
        names.callbacks["a.internal"](address)
        assert board.get(key) is False
        names.callbacks["b.internal"](address)
        assert board.get("a server of an earlier configuration") is None
        await board.until(key, verdict=True)


async def test_a_pool_whose_authorities_are_none_is_not_probed_but_others_are(
    app: App, caplog: pytest.LogCaptureFixture
) -> None:
    board, server = Board(), plan_of(app.port)
    broken = PoolPlan(
        "broken",
        (plan_of(1, "https"),),
        health=health(),
        tls=TlsClientPlan(ca_pem="nonsense"),
    )
    async with probing(board, broken, PoolPlan("app", (server,), health=health())):
        await board.until(key_of("app", server), verdict=True)
    assert "upstream broken: no health checks" in caplog.text


async def test_tls_servers_are_probed_by_their_name(tls: ssl.SSLContext, ca_pem: str) -> None:
    async with serving(tls=tls) as app:
        board, server = Board(), plan_of(app.port, "https")
        pool = PoolPlan(
            "app",
            (server,),
            health=health(),
            tls=TlsClientPlan(ca_pem=ca_pem, server_name="app.test"),
        )
        async with probing(board, pool):
            await board.until(key_of("app", server), verdict=True)


async def test_unix_sockets_are_probed(tmp_path: Path) -> None:
    path = str(tmp_path / "app.sock")
    server = ServerPlan(f"unix:{path}", "http", "", 0, unix_path=path)
    board = Board()
    async with serving(path=path), probing(board, PoolPlan("app", (server,), health=health())):
        await board.until(HealthBoard.key("app", server.url, path), verdict=True)


async def test_first_questions_are_spread(monkeypatch: pytest.MonkeyPatch, app: App) -> None:
    waits: list[float] = []
    sleep = asyncio.sleep

    async def noted(seconds: float) -> None:
        waits.append(seconds)
        await asyncio.Event().wait()

    names, board = HandResolver(), Board()
    pool = PoolPlan("app", (plan_of(app.port, host="a"),), health=health(interval=60.0))
    async with probing(board, pool, resolver=names):
        monkeypatch.setattr(asyncio, "sleep", noted)
        names.callbacks["a"](tuple((f"127.0.0.{last}", app.port) for last in range(1, 50)))
        await sleep(0)
        monkeypatch.setattr(asyncio, "sleep", sleep)
    assert len(waits) == len(set(waits)) == 49
    assert 0 <= min(waits) < max(waits) <= probes.DOWN_INTERVAL
