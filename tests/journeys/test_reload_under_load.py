"""Reloads, killed workers and the end, while clients are being served."""

import asyncio
import contextlib
import http.client
import json
import os
import signal
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from websockets.sync.client import connect as connect_websocket
from websockets.sync.server import Server, ServerConnection, serve

from tests.journeys.clients.asking import PATIENCE, Answer, Client, Load, ask, trusting
from tests.journeys.running import RunningProxy, StartProxy, eventually, is_alive
from tests.journeys.upstreams.server import Request, Upstreams


def config(*routes: str, **top: str) -> str:
    lines = "".join(f"{key}: {value}\n" for key, value in top.items())
    return f"{lines}sites:\n  - {{hosts: [localhost], routes: [{', '.join(routes)}]}}\n"


def respond(text: str, path: str = "/") -> str:
    return f"{{path: {path}, respond: {{body: {text}}}}}"


def status(proxy: RunningProxy) -> dict[str, Any]:
    done = proxy.command("status", "--json")
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def generation(proxy: RunningProxy) -> int:
    return int(status(proxy)["configuration"]["generation"])


def await_generation(proxy: RunningProxy, number: int) -> None:
    eventually(lambda: generation(proxy) == number)


def await_replacement(proxy: RunningProxy, victim: int) -> None:
    """Return when two workers are ready, and none of them is that one."""

    def replaced() -> bool:
        ready = {each["pid"] for each in status(proxy)["workers"] if each["state"] == "ready"}
        return len(ready) == 2 and victim not in ready

    eventually(replaced)


def load_on(proxy: RunningProxy, clients: int = 4) -> Load:
    context = trusting(proxy.ca_file)
    return Load(lambda: Client(proxy.https_port, tls=context), clients=clients)


class Trickle:
    """A handler that sends a long answer piece by piece, the last when it may."""

    def __init__(self) -> None:
        self.begun = threading.Event()
        self.may_end = threading.Event()

    async def __call__(self, _request: Request, client: asyncio.StreamWriter) -> None:
        client.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nbegin\r\n")
        await client.drain()
        self.begun.set()
        await asyncio.to_thread(self.may_end.wait, PATIENCE)
        client.write(b"3\r\nend\r\n0\r\n\r\n")


class Download:
    """A request that runs in a thread."""

    def __init__(self, proxy: RunningProxy, path: str) -> None:
        self._found: list[Answer | Exception] = []
        context = trusting(proxy.ca_file)

        def run() -> None:
            try:
                self._found.append(ask(proxy.https_port, path, tls=context))
            except (OSError, http.client.HTTPException) as error:
                self._found.append(error)

        self._thread = threading.Thread(target=run)
        self._thread.start()

    def outcome(self) -> Answer | Exception:
        self._thread.join(PATIENCE)
        (found,) = self._found
        return found

    def text(self) -> str:
        found = self.outcome()
        assert isinstance(found, Answer), found
        return found.text


# Reloads.


def test_ten_reloads_fail_no_request(start_proxy: StartProxy, tmp_path: Path) -> None:
    proxy = start_proxy(config(respond("one"), workers="2"), tmp_path)
    pids = {each["pid"] for each in status(proxy)["workers"]}
    with load_on(proxy) as load:
        for number in range(2, 12):
            load.wait_for(30)
            proxy.rewrite(config(respond(f"text-{number}"), workers="2"))
            proxy.process.send_signal(signal.SIGHUP)
            await_generation(proxy, number)
        load.wait_for(30)
    assert load.failures == []
    assert {each["pid"] for each in status(proxy)["workers"]} == pids
    assert ask(proxy.https_port, tls=trusting(proxy.ca_file)).text == "text-11"


def test_signals_that_come_faster_than_reloads(start_proxy: StartProxy, tmp_path: Path) -> None:
    proxy = start_proxy(config(respond("one"), workers="2"), tmp_path)
    with load_on(proxy) as load:
        load.wait_for(30)
        proxy.rewrite(config(respond("two"), workers="2"))
        for _ in range(50):
            proxy.process.send_signal(signal.SIGHUP)
        eventually(lambda: ask(proxy.https_port, tls=trusting(proxy.ca_file)).text == "two")
        load.wait_for(30)
    assert load.failures == []


def test_a_wrong_file_disturbs_nobody(start_proxy: StartProxy, tmp_path: Path) -> None:
    proxy = start_proxy(config(respond("one")), tmp_path)
    with load_on(proxy) as load:
        load.wait_for(30)
        for wrong in (config(respond("two"), workerz="1"), "sites: [", "sites: []", "\x00"):
            assert proxy.reload(wrong).returncode == 78
        proxy.config.write_text("")
        before = proxy.log().count("the old configuration stays in force")
        proxy.process.send_signal(signal.SIGHUP)
        eventually(lambda: proxy.log().count("the old configuration stays in force") > before)
        load.wait_for(30)
    assert load.failures == []
    proxy.rewrite(config(respond("two")))
    assert generation(proxy) == 1
    assert ask(proxy.https_port, tls=trusting(proxy.ca_file)).text == "one"


def test_old_connections_get_new_routes(start_proxy: StartProxy, tmp_path: Path) -> None:
    proxy = start_proxy(config(respond("one")), tmp_path)
    with Client(proxy.https_port, tls=trusting(proxy.ca_file)) as client:
        assert client.ask("/new").text == "one"
        assert proxy.reload(config(respond("new", "/new"))).returncode == 0
        assert client.ask("/new").text == "new"
        assert client.ask("/").status == 404


def test_what_runs_survives_a_reload_that_takes_its_route_away(
    start_proxy: StartProxy, tmp_path: Path, upstreams: Upstreams
) -> None:
    trickle = Trickle()
    app = upstreams(trickle)
    routes = respond("one"), f'{{path: /slow, proxy: "{app.url}"}}'
    proxy = start_proxy(config(*routes), tmp_path)
    download = Download(proxy, "/slow")
    assert trickle.begun.wait(PATIENCE)
    for text in ("two", "three"):
        assert proxy.reload(config(respond(text))).returncode == 0
    assert ask(proxy.https_port, "/slow", tls=trusting(proxy.ca_file)).text == "three"
    trickle.may_end.set()
    assert download.text() == "beginend"


@pytest.fixture
def echo() -> Iterator[Server]:
    """A WebSocket server that says everything twice."""

    def twice(connection: ServerConnection) -> None:
        for message in connection:
            connection.send(message)
            connection.send(message)

    with serve(twice, "127.0.0.1", 0) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield server
        server.shutdown()
        thread.join(PATIENCE)


def test_a_websocket_survives_reloads(
    start_proxy: StartProxy, tmp_path: Path, echo: Server
) -> None:
    port = echo.socket.getsockname()[1]
    routes = f'{{path: /ws/, proxy: "http://127.0.0.1:{port}"}}', respond("one")
    proxy = start_proxy(config(*routes, drain_timeout="1s"), tmp_path)
    url = f"wss://localhost:{proxy.https_port}/ws/chat"
    with connect_websocket(url, ssl=trusting(proxy.ca_file), proxy=None) as websocket:
        for text in ("two", "three"):
            websocket.send(text)
            assert [websocket.recv(PATIENCE), websocket.recv(PATIENCE)] == [text, text]
            assert proxy.reload(config(respond(text), drain_timeout="1s")).returncode == 0
        websocket.send(b"\x00" * 200_000)
        assert websocket.recv(PATIENCE) == websocket.recv(PATIENCE) == b"\x00" * 200_000


# A worker that dies.


def test_a_killed_worker_takes_only_its_own_connections_along(
    start_proxy: StartProxy, tmp_path: Path
) -> None:
    proxy = start_proxy(config(respond("one"), workers="2"), tmp_path)
    context = trusting(proxy.ca_file)
    clients = [Client(proxy.https_port, tls=context) for _ in range(16)]
    assert [client.ask().text for client in clients] == ["one"] * 16
    victim, survivor = status(proxy)["workers"]
    kept = survivor["figures"]["connections"]
    assert kept + victim["figures"]["connections"] == 16
    os.kill(victim["pid"], signal.SIGKILL)
    eventually(lambda: not is_alive(victim["pid"]))
    served = 0
    for client in clients:
        with contextlib.suppress(OSError, http.client.HTTPException):
            served += client.ask().text == "one"
        client.close()
    assert served == kept
    with load_on(proxy) as load:
        load.wait_for(100)
    assert load.failures == []
    eventually(lambda: [each["state"] for each in status(proxy)["workers"]] == ["ready", "ready"])


def test_a_worker_killed_under_load_is_replaced(start_proxy: StartProxy, tmp_path: Path) -> None:
    proxy = start_proxy(config(respond("one"), workers="2"), tmp_path)
    with load_on(proxy, clients=6) as load:
        for _ in range(2):
            load.wait_for(60)
            before = len(load.failures)
            victim = status(proxy)["workers"][0]["pid"]
            os.kill(victim, signal.SIGKILL)
            load.wait_for(200)
            assert len(load.failures) - before <= 6, load.failures
            await_replacement(proxy, victim)


# The end.


def test_the_end_waits_for_what_runs_and_for_nothing_else(
    start_proxy: StartProxy, tmp_path: Path, upstreams: Upstreams
) -> None:
    trickle = Trickle()
    app = upstreams(trickle)
    routes = respond("one"), f'{{path: /slow, proxy: "{app.url}"}}'
    proxy = start_proxy(config(*routes, drain_timeout="25s"), tmp_path)
    with Client(proxy.https_port, tls=trusting(proxy.ca_file)) as idle:
        assert idle.ask().text == "one"
        download = Download(proxy, "/slow")
        assert trickle.begun.wait(PATIENCE)
        proxy.process.send_signal(signal.SIGTERM)
        assert idle.sock.recv(1000) == b"", "closed in order, and long before the end"
        assert proxy.process.poll() is None
        trickle.may_end.set()
        assert download.text() == "beginend"
    assert proxy.process.wait(PATIENCE) == 0


def test_the_end_does_not_wait_for_ever(
    start_proxy: StartProxy, tmp_path: Path, upstreams: Upstreams
) -> None:
    trickle = Trickle()
    app = upstreams(trickle)
    slow = f'{{path: /slow, proxy: "{app.url}"}}'
    proxy = start_proxy(config(slow, drain_timeout="500ms"), tmp_path)
    download = Download(proxy, "/slow")
    assert trickle.begun.wait(PATIENCE)
    assert proxy.stop() == 0
    assert isinstance(download.outcome(), Exception), "cut short, and seen to be"
    trickle.may_end.set()


def test_the_end_under_load(start_proxy: StartProxy, tmp_path: Path) -> None:
    """Whoever is in the middle of a request has its answer; what comes later is refused."""
    proxy = start_proxy(config(respond("one"), workers="2"), tmp_path)
    with load_on(proxy) as load:
        load.wait_for(50)
        assert proxy.stop() == 0
        time.sleep(0.05)
    wrong = [each for each in load.failures if "503" in each or "IncompleteRead" in each]
    assert wrong == []
