"""What one client, or many, cannot do: take all connections, all memory, all time."""

import asyncio
import contextlib
import json
import os
import resource
import signal
import socket
import ssl
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.journeys.clients.asking import PATIENCE, Client, Load, ask, trusting
from tests.journeys.running import RunningProxy, StartProxy, eventually, is_alive
from tests.journeys.upstreams.server import Gate, Request, Upstream, Upstreams

HELLO = "{path: /, respond: {body: hello}}"
REQUEST = b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n"


def config(*routes: str, **top: str) -> str:
    lines = "".join(f"{key}: {value}\n" for key, value in top.items())
    listed = ", ".join(routes or (HELLO,))
    return f"{lines}sites:\n  - {{hosts: [localhost], redirect_http: off, routes: [{listed}]}}\n"


def to(upstream: Upstream, more: str = "") -> str:
    return f'{{path: /, proxy: "{upstream.url}"{more}}}'


def connect(port: int, source: str = "127.0.0.1") -> socket.socket:
    return socket.create_connection(("127.0.0.1", port), PATIENCE, source_address=(source, 0))


def drained(sock: socket.socket) -> bytes:
    """All that still comes; a reset is an end as well."""
    received = b""
    with contextlib.suppress(ConnectionResetError):
        while piece := sock.recv(65536):
            received += piece
    return received


def status_line(sock: socket.socket) -> str:
    return drained(sock).partition(b"\r\n")[0].decode()


def status(proxy: RunningProxy) -> dict[str, Any]:
    done = proxy.command("status", "--json")
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def ready(proxy: RunningProxy) -> set[int]:
    return {each["pid"] for each in status(proxy)["workers"] if each["state"] == "ready"}


def kill(proxy: RunningProxy) -> None:
    """Kill the one worker, and return when another is ready."""
    (worker,) = ready(proxy)
    os.kill(worker, signal.SIGKILL)
    eventually(lambda: not is_alive(worker))
    eventually(lambda: ready(proxy))


def open_connections(proxy: RunningProxy) -> int:
    return sum(each["figures"]["connections"] for each in status(proxy)["workers"])


@pytest.fixture
def crowd() -> Iterator[contextlib.ExitStack]:
    """Closes the connections that a test leaves open."""
    with contextlib.ExitStack() as stack:
        yield stack


# How many.


def test_connections_of_one_address(
    start_proxy: StartProxy, tmp_path: Path, crowd: contextlib.ExitStack
) -> None:
    proxy = start_proxy(config(limits="{connections_per_ip: 20}", workers="2"), tmp_path)
    port = proxy.http_port
    held = [crowd.enter_context(Client(port)) for _ in range(20)]
    assert [each.ask().text for each in held] == ["hello"] * 20
    for _ in range(2):
        extra = crowd.enter_context(connect(port))
        extra.sendall(REQUEST)
        assert status_line(extra) == "HTTP/1.1 429 Too Many Requests"
    assert ask(port, source="127.0.0.2").text == "hello", "others are not harmed"
    assert [each.ask().text for each in held] == ["hello"] * 20
    for client in held:
        client.close()
    eventually(lambda: open_connections(proxy) == 0)
    assert ask(port).text == "hello"
    eventually(lambda: status(proxy)["totals"]["connections_refused"] >= 2)


def test_far_too_many_connections_are_not_even_answered(
    start_proxy: StartProxy, tmp_path: Path, crowd: contextlib.ExitStack
) -> None:
    proxy = start_proxy(config(limits="{connections_per_ip: 20}"), tmp_path)
    port = proxy.http_port
    held = [crowd.enter_context(Client(port)) for _ in range(20)]
    assert [each.ask().text for each in held] == ["hello"] * 20
    told = [crowd.enter_context(connect(port)) for _ in range(3)]  # a tenth and one more: answered
    beyond = [crowd.enter_context(connect(port)) for _ in range(5)]
    assert [drained(each) for each in beyond] == [b""] * 5
    for each in told:
        each.sendall(REQUEST)
        assert status_line(each) == "HTTP/1.1 429 Too Many Requests"


def test_connections_in_all(
    start_proxy: StartProxy, tmp_path: Path, crowd: contextlib.ExitStack
) -> None:
    proxy = start_proxy(config(limits="{connections: 20}"), tmp_path)
    port = proxy.http_port
    held = [crowd.enter_context(Client(port, source=f"127.0.1.{n}")) for n in range(1, 21)]
    assert [each.ask().text for each in held] == ["hello"] * 20
    extra = crowd.enter_context(connect(port))
    extra.sendall(REQUEST)
    assert status_line(extra) == "HTTP/1.1 503 Service Unavailable"
    for each in held:
        each.close()
    eventually(lambda: open_connections(proxy) == 0)
    assert ask(port).text == "hello"


def test_a_killed_worker_takes_its_count_along(start_proxy: StartProxy, tmp_path: Path) -> None:
    proxy = start_proxy(config(limits="{connections_per_ip: 5}"), tmp_path)
    for _ in range(4):
        with contextlib.ExitStack() as held:
            clients = [held.enter_context(Client(proxy.http_port)) for _ in range(5)]
            assert [each.ask().text for each in clients] == ["hello"] * 5
            kill(proxy)


def test_heads_have_limits(start_proxy: StartProxy, tmp_path: Path) -> None:
    limits = "{header_size: 4KB, headers: 20, target: 1KB}"
    proxy = start_proxy(config(limits=limits), tmp_path)
    port = proxy.http_port
    few = {"X-A": "a" * 3000}
    assert ask(port, fields=few).status == 200
    assert ask(port, fields={"X-A": "a" * 5000}).status == 431
    assert ask(port, fields={f"X-{number}": "a" for number in range(30)}).status == 431
    assert ask(port, "/" + "a" * 1000).status == 200
    assert ask(port, "/" + "a" * 2000).status == 414
    with connect(port) as endless:
        endless.sendall(b"GET / HTTP/1.1\r\nHost: localhost\r\nX-A: ")
        with contextlib.suppress(OSError):
            for _ in range(200):
                endless.sendall(b"a" * 1000)
        received = drained(endless)
    assert received.startswith(b"HTTP/1.1 431 ") or not received
    with connect(port) as endless:
        with contextlib.suppress(OSError):
            for _ in range(200):
                endless.sendall(b"a" * 1000)
        received = drained(endless)
    assert received[:13] in (b"HTTP/1.1 400 ", b"HTTP/1.1 414 ", b"HTTP/1.1 431 ", b"")


def test_bodies_have_a_limit_that_is_named(
    start_proxy: StartProxy, tmp_path: Path, upstreams: Upstreams
) -> None:
    app = upstreams()
    small = f'{{path: /small, proxy: "{app.url}", limits: {{body: 10KB}}}}'
    proxy = start_proxy(config(to(app), small, limits="{body: 1MB}"), tmp_path)
    port = proxy.http_port
    assert ask(port, method="POST", body=b"x" * 100_000).status == 200
    done = ask(port, "/small", method="POST", body=b"x" * 100_000)
    assert done.status == 413
    assert "10 KB" in done.text
    with connect(port) as sock:
        sock.sendall(
            b"POST /small HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n"
        )
        with contextlib.suppress(OSError):
            for _ in range(20):
                sock.sendall(b"1000\r\n" + b"x" * 4096 + b"\r\n")
        assert status_line(sock).startswith("HTTP/1.1 413 ")
    assert [request.target for request in app.requests] == ["/"]


# How long.


def test_a_head_that_drips(start_proxy: StartProxy, tmp_path: Path) -> None:
    proxy = start_proxy(config(timeouts="{request_header: 1s}"), tmp_path)
    with connect(proxy.http_port) as slow, connect(proxy.http_port) as silent:
        over = threading.Event()

        def drip() -> None:
            with contextlib.suppress(OSError):
                slow.sendall(b"GET / HTTP/1.1\r\nHost: localhost\r\n")
                while not over.is_set():
                    slow.sendall(b"X-A: a\r\n")
                    time.sleep(0.1)

        dripping = threading.Thread(target=drip)
        dripping.start()
        assert drained(slow).startswith(b"HTTP/1.1 408 ")
        over.set()
        dripping.join()
        assert drained(silent) == b""
    assert ask(proxy.http_port).text == "hello"


def test_a_body_that_stalls(start_proxy: StartProxy, tmp_path: Path, upstreams: Upstreams) -> None:
    app = upstreams()
    proxy = start_proxy(config(to(app), timeouts="{body_idle: 1s}"), tmp_path)
    with connect(proxy.http_port) as sock:
        sock.sendall(b"POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100\r\n\r\nfew")
        assert drained(sock).startswith(b"HTTP/1.1 408 ")
    assert app.requests == []


def test_a_slow_body_that_goes_on_is_legal(
    start_proxy: StartProxy, tmp_path: Path, upstreams: Upstreams
) -> None:
    app = upstreams()
    timeouts = "{body_idle: 2s, request_header: 1s}"
    proxy = start_proxy(config(to(app), timeouts=timeouts), tmp_path)
    with connect(proxy.http_port) as sock:
        sock.sendall(b"POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 20\r\n\r\n")
        for _ in range(20):
            time.sleep(0.2)
            sock.sendall(b"x")
        assert sock.recv(65536).startswith(b"HTTP/1.1 200 ")
    assert app.requests[0].body == b"x" * 20


def test_an_idle_connection_ends(start_proxy: StartProxy, tmp_path: Path) -> None:
    proxy = start_proxy(config(timeouts="{keep_alive: 1s}"), tmp_path)
    with Client(proxy.https_port, tls=trusting(proxy.ca_file)) as client:
        assert client.ask().text == "hello"
        assert client.sock.recv(1000) == b"", "in order: close_notify came first"


def test_a_client_that_takes_nothing(
    start_proxy: StartProxy, tmp_path: Path, upstreams: Upstreams
) -> None:
    async def endless(_request: Request, client: asyncio.StreamWriter) -> None:
        client.write(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\n")
        while not client.is_closing():
            client.write(b"x" * 65536)
            await client.drain()

    app = upstreams(endless)
    proxy = start_proxy(config(to(app), timeouts="{write_idle: 1s}"), tmp_path)
    with connect(proxy.http_port) as sock:
        sock.sendall(REQUEST)
        assert sock.recv(1000)
        eventually(lambda: open_connections(proxy) == 0)
    eventually(
        lambda: all(
            each["active"] == 0
            for pool in status(proxy)["workers"][0]["figures"]["upstreams"].values()
            for each in pool
        )
    )


# All of what a process may have.

FEW = ("sh", "-c", 'ulimit -n 200 && exec "$@"', "sh")


def test_a_worker_out_of_descriptors_sheds_load_and_recovers(
    start_proxy: StartProxy, tmp_path: Path, crowd: contextlib.ExitStack, upstreams: Upstreams
) -> None:
    gate = Gate("still here")
    app = upstreams(gate)
    limits = "{connections: 100000, connections_per_ip: 0}"
    slow = f'{{path: /slow, proxy: "{app.url}"}}'
    proxy = start_proxy(config(HELLO, slow, limits=limits), tmp_path, prefix=FEW)
    port = proxy.http_port
    running = crowd.enter_context(connect(port))
    running.sendall(b"GET /slow HTTP/1.1\r\nHost: localhost\r\n\r\n")
    assert gate.asked.wait(PATIENCE)
    for _ in range(400):
        crowd.enter_context(connect(port))
    eventually(lambda: status(proxy)["totals"]["connections_refused"] > 100)
    assert open_connections(proxy) > 50
    shed = crowd.enter_context(connect(port))
    with contextlib.suppress(OSError):
        shed.sendall(REQUEST)
    assert drained(shed) == b""
    gate.may_answer.set()
    assert b"still here" in running.recv(65536), "what ran goes on"
    (worker,) = status(proxy)["workers"]
    crowd.close()
    eventually(lambda: open_connections(proxy) == 0)
    assert ask(port).text == "hello"
    assert ask(proxy.https_port, tls=trusting(proxy.ca_file)).text == "hello"
    assert status(proxy)["workers"][0]["pid"] == worker["pid"]
    assert "Traceback" not in proxy.log()


def test_upstreams_that_need_more_descriptors_than_there_are(
    start_proxy: StartProxy, tmp_path: Path, crowd: contextlib.ExitStack, upstreams: Upstreams
) -> None:
    gate = Gate("served")
    app = upstreams(gate)
    proxy = start_proxy(config(to(app), limits="{connections_per_ip: 0}"), tmp_path, prefix=FEW)
    clients = [crowd.enter_context(connect(proxy.http_port)) for _ in range(120)]
    eventually(lambda: open_connections(proxy) == 120)
    for each in clients:
        each.sendall(REQUEST)
    assert gate.asked.wait(PATIENCE)
    time.sleep(0.5)
    gate.may_answer.set()
    answers = [each.recv(65536) for each in clients]
    assert {answer[:13] for answer in answers} <= {b"HTTP/1.1 200 ", b"HTTP/1.1 503 "}
    assert sum(b"served" in answer for answer in answers) >= 60
    crowd.close()
    eventually(lambda: open_connections(proxy) == 0)
    assert ask(proxy.http_port).text == "served"
    assert "Traceback" not in proxy.log()


IDLE = 2000


def test_two_thousand_idle_connections_while_others_are_served(
    start_proxy: StartProxy, tmp_path: Path, crowd: contextlib.ExitStack
) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    need = IDLE + 200
    if hard != resource.RLIM_INFINITY and hard < need:
        pytest.skip(f"at most {hard} files may be open here")
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, need), hard))
    crowd.callback(resource.setrlimit, resource.RLIMIT_NOFILE, (soft, hard))
    limits = "{connections_per_ip: 0}"
    proxy = start_proxy(config(limits=limits, workers="2"), tmp_path)
    context = trusting(proxy.ca_file)
    context.verify_mode = ssl.CERT_REQUIRED
    idle = [crowd.enter_context(Client(proxy.https_port, tls=context)) for _ in range(IDLE)]
    eventually(lambda: open_connections(proxy) == IDLE)
    with Load(lambda: Client(proxy.https_port, tls=context)) as load:
        load.wait_for(500)
    assert load.failures == []
    assert [each.ask().text for each in idle[::20]] == ["hello"] * (IDLE // 20)
    for each in idle:
        each.close()
    eventually(lambda: open_connections(proxy) == 0)
