"""Servers that share the work, fail, come back, refuse, and are hard to reach."""

import asyncio
import json
import socket
import ssl
import threading
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import trustme

from tests.journeys.clients.asking import PATIENCE, Answer, Client, Load, ask
from tests.journeys.running import RunningProxy, StartProxy, eventually, free_port, run_command
from tests.journeys.upstreams.server import (
    Gate,
    Request,
    Upstream,
    Upstreams,
    answer,
    hang_up,
    says,
)

SITE = """
sites:
  - hosts: [localhost]
    tls: off
    routes: [{path: /, proxy: app}]
"""


def config(servers: str, site: str = SITE, top: str = "", **upstream: str) -> str:
    lines = "".join(f"    {key}: {value}\n" for key, value in upstream.items())
    return f"{top}\nupstreams:\n  app:\n    servers: {servers}\n{lines}{site}"


def listed(*upstreams: Upstream) -> str:
    return "[" + ", ".join(f'"{each.url}"' for each in upstreams) + "]"


def get(proxy: RunningProxy, path: str = "/", **fields: str) -> Answer:
    return ask(proxy.http_port, path, fields=fields)


def told(proxy: RunningProxy, times: int, **fields: str) -> Counter[str]:
    """Who answers that many requests."""
    with Client(proxy.http_port) as client:
        answers = [client.ask(fields=fields) for _ in range(times)]
    assert {each.status for each in answers} == {200}, answers
    return Counter(each.text for each in answers)


def servers(proxy: RunningProxy) -> dict[str, dict[str, Any]]:
    """What the first worker says of each server."""
    done = proxy.command("status", "--json")
    assert done.returncode == 0, done.stderr
    figures = json.loads(done.stdout)["workers"][0]["figures"]
    return {each["server"]: each for each in figures["upstreams"]["app"]}


def await_log(proxy: RunningProxy, text: str) -> None:
    eventually(lambda: text in proxy.log())


class Later:
    """A request whose answer is waited for elsewhere."""

    def __init__(self, asked: Callable[[], Answer]) -> None:
        self._answers: list[Answer | Exception] = []
        self._thread = threading.Thread(target=self._run, args=(asked,))
        self._thread.start()

    def _run(self, asked: Callable[[], Answer]) -> None:
        try:
            self._answers.append(asked())
        except Exception as error:  # noqa: BLE001 - told to whoever asks for the answer
            self._answers.append(error)

    @property
    def done(self) -> bool:
        return not self._thread.is_alive()

    def answer(self) -> Answer:
        self._thread.join(PATIENCE)
        (found,) = self._answers
        if isinstance(found, Exception):
            raise found
        return found


# Sharing the work.


def test_weights(start_proxy: StartProxy, tmp_path: Path, upstreams: Upstreams) -> None:
    one, two = upstreams(says("one")), upstreams(says("two"))
    both = f'["{one.url}", {{url: "{two.url}", weight: 3}}]'
    proxy = start_proxy(config(both), tmp_path)
    counts = told(proxy, 40)
    assert abs(counts["two"] - 30) <= 1, counts
    assert one.connections + two.connections <= 3, "connections are kept"


def test_the_least_busy_server(
    start_proxy: StartProxy, tmp_path: Path, upstreams: Upstreams
) -> None:
    gate = Gate("one")
    one, two = upstreams(gate), upstreams(gate)
    proxy = start_proxy(config(listed(one, two), balance="least_connections"), tmp_path)
    waiting = Later(lambda: get(proxy))
    assert gate.asked.wait(PATIENCE)
    busy, free = (one, two) if one.requests else (two, one)
    free.handler = says("free")
    assert told(proxy, 10) == {"free": 10}
    gate.may_answer.set()
    assert waiting.answer().status == 200
    assert len(busy.requests) == 1


def test_two_drawn_at_random(start_proxy: StartProxy, tmp_path: Path, upstreams: Upstreams) -> None:
    many = [upstreams(says(str(number))) for number in range(3)]
    proxy = start_proxy(config(listed(*many), balance="random_two"), tmp_path)
    assert set(told(proxy, 60)) == {"0", "1", "2"}


@pytest.mark.parametrize(
    ("balance", "field", "value"),
    [
        ("ip_hash", "X-Forwarded-For", "198.51.100.{}"),
        ('{hash: "cookie:sessionid"}', "Cookie", "a=b; sessionid=s{}; c=d"),
        ('{hash: "header:X-Tenant"}', "X-Tenant", "tenant-{}"),
    ],
)
def test_alike_requests_go_to_one_server(
    start_proxy: StartProxy,
    tmp_path: Path,
    upstreams: Upstreams,
    balance: str,
    field: str,
    value: str,
) -> None:
    many = [upstreams(says(str(number))) for number in range(3)]
    top = "workers: 2\ntrusted_proxies: [loopback]"
    proxy = start_proxy(config(listed(*many), top=top, balance=balance), tmp_path)
    chosen: dict[int, str] = {}
    for number in range(24):
        (chosen[number],) = told(proxy, 4, **{field: value.format(number)})
    assert set(chosen.values()) == {"0", "1", "2"}
    many[0].kill()
    for number, before in chosen.items():
        (now,) = told(proxy, 1, **{field: value.format(number)})
        assert now != "0"
        assert before in ("0", now), "only those of the server that is gone move"


def test_a_backup_serves_only_while_the_others_fail(
    start_proxy: StartProxy, tmp_path: Path, upstreams: Upstreams
) -> None:
    one, two, spare = (upstreams(says(name)) for name in ("one", "two", "spare"))
    text = f'["{one.url}", "{two.url}", {{url: "{spare.url}", backup: true}}]'
    proxy = start_proxy(config(text, max_fails="1", fail_timeout="300ms"), tmp_path)
    assert set(told(proxy, 10)) == {"one", "two"}
    one.kill()
    assert set(told(proxy, 10)) == {"two"}
    two.kill()
    assert set(told(proxy, 10)) == {"spare"}
    one.start()
    eventually(lambda: get(proxy).text == "one")
    eventually(lambda: set(told(proxy, 6)) == {"one"})


# Health.


def test_a_sick_server_is_left_out_until_it_is_well(
    start_proxy: StartProxy, tmp_path: Path, upstreams: Upstreams
) -> None:
    sick = threading.Event()

    async def one_or_ill(request: Request, client: asyncio.StreamWriter) -> None:
        ill = sick.is_set() and request.target == "/healthz"
        client.write(answer("one", "500 Internal Server Error" if ill else "200 OK"))

    one, two = upstreams(one_or_ill), upstreams(says("two"))
    check = "{path: /healthz, interval: 100ms, rise: 2, fall: 2, host: app.example}"
    proxy = start_proxy(config(listed(one, two), health_check=check), tmp_path)
    eventually(lambda: "/healthz" in one.targets())
    asked = next(each for each in one.requests if each.target == "/healthz")
    assert (asked.method, asked.get("host")) == ("GET", "app.example")
    assert set(told(proxy, 10)) == {"one", "two"}
    sick.set()
    eventually(lambda: servers(proxy)[one.url]["down"])
    assert told(proxy, 10) == {"two": 10}
    shown = proxy.command("status").stdout
    assert f"{one.url}" in shown
    assert "down" in shown
    sick.clear()
    eventually(lambda: not servers(proxy)[one.url]["down"])
    assert set(told(proxy, 10)) == {"one", "two"}


def test_a_server_that_fails_is_left_out_for_a_while(
    start_proxy: StartProxy, tmp_path: Path, upstreams: Upstreams
) -> None:
    one, two = upstreams(hang_up), upstreams(says("two"))
    proxy = start_proxy(config(listed(one, two), max_fails="2", fail_timeout="2s"), tmp_path)
    assert told(proxy, 20) == {"two": 20}, "each was tried again on the other"
    assert len(one.requests) == 2
    one.handler = says("one")
    eventually(lambda: set(told(proxy, 4)) == {"one", "two"})


# Trying again.


@pytest.mark.parametrize("method", ["GET", "HEAD", "PUT", "DELETE"])
def test_what_may_be_repeated_is(
    start_proxy: StartProxy, tmp_path: Path, upstreams: Upstreams, method: str
) -> None:
    bad, good = upstreams(hang_up), upstreams()
    text = f'["{bad.url}", {{url: "{good.url}", backup: true}}]'
    proxy = start_proxy(config(text), tmp_path)
    body = b"whole" if method == "PUT" else None
    assert ask(proxy.http_port, method=method, body=body).status == 200
    assert [request.body for request in good.requests] == [body or b""]
    assert len(bad.requests) == 1


def test_a_post_is_not_repeated(
    start_proxy: StartProxy, tmp_path: Path, upstreams: Upstreams
) -> None:
    bad, good = upstreams(hang_up), upstreams(says("good"))
    text = f'["{bad.url}", {{url: "{good.url}", backup: true}}]'
    proxy = start_proxy(config(text), tmp_path)
    assert ask(proxy.http_port, method="POST", body=b"pay").status == 502
    assert (len(bad.requests), len(good.requests)) == (1, 0)
    promised = {"Idempotency-Key": '"8e03978e"'}
    done = ask(proxy.http_port, method="POST", body=b"pay", fields=promised)
    assert (done.status, done.text) == (200, "good")


def test_a_post_that_reached_nobody_goes_elsewhere(
    start_proxy: StartProxy, tmp_path: Path, upstreams: Upstreams
) -> None:
    dead, good = upstreams(says("dead")), upstreams()
    dead.kill()
    text = f'["{dead.url}", {{url: "{good.url}", backup: true}}]'
    proxy = start_proxy(config(text), tmp_path)
    done = ask(proxy.http_port, method="POST", body=b"pay")
    assert done.status == 200
    assert [request.body for request in good.requests] == [b"pay"]


def test_retries_have_an_end(start_proxy: StartProxy, tmp_path: Path, upstreams: Upstreams) -> None:
    many = [upstreams(hang_up) for _ in range(4)]
    proxy = start_proxy(config(listed(*many), retries="2", hold="off"), tmp_path)
    done = get(proxy)
    assert done.status == 502
    assert sum(len(each.requests) for each in many) == 3


def test_an_answer_that_has_begun_is_not_tried_again(
    start_proxy: StartProxy, tmp_path: Path, upstreams: Upstreams
) -> None:
    async def half(_request: Request, client: asyncio.StreamWriter) -> None:
        client.write(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf")
        await client.drain()
        client.close()

    bad, good = upstreams(half), upstreams(says("good"))
    text = f'["{bad.url}", {{url: "{good.url}", backup: true}}]'
    proxy = start_proxy(config(text, buffering="off"), tmp_path)
    with socket.create_connection(("127.0.0.1", proxy.http_port), PATIENCE) as sock:
        sock.sendall(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
        received = b""
        try:
            while piece := sock.recv(65536):
                received += piece
        except ConnectionResetError:
            pass
    assert received.endswith(b"half"), "cut short, and nothing of another answer"
    assert good.requests == []


# Holding and queueing.


def test_a_restarted_upstream_fails_no_get(
    start_proxy: StartProxy, tmp_path: Path, upstreams: Upstreams
) -> None:
    app = upstreams(says("up"))
    proxy = start_proxy(config(listed(app), top="workers: 2"), tmp_path)
    with Load(lambda: Client(proxy.http_port)) as load:
        for down in (0.0, 0.5, 1.0):
            load.wait_for(100)
            app.kill()
            time.sleep(down)
            app.start()
        load.wait_for(100)
    assert load.failures == []


def test_one_of_two_servers_restarts(
    start_proxy: StartProxy, tmp_path: Path, upstreams: Upstreams
) -> None:
    one, two = upstreams(says("one")), upstreams(says("two"))
    proxy = start_proxy(config(listed(one, two), fail_timeout="500ms"), tmp_path)
    with Load(lambda: Client(proxy.http_port)) as load:
        for each in (one, two, one):
            load.wait_for(100)
            each.kill()
            load.wait_for(100)
            each.start()
            time.sleep(0.6)
    assert load.failures == []


def test_a_post_is_held_too(start_proxy: StartProxy, tmp_path: Path, upstreams: Upstreams) -> None:
    app = upstreams()
    app.kill()
    proxy = start_proxy(config(listed(app), hold="30s"), tmp_path)
    waiting = Later(lambda: ask(proxy.http_port, method="POST", body=b"order"))
    time.sleep(0.5)
    assert not waiting.done
    app.start()
    assert waiting.answer().status == 200
    assert [request.body for request in app.requests] == [b"order"]


def test_holding_has_an_end(start_proxy: StartProxy, tmp_path: Path, upstreams: Upstreams) -> None:
    app = upstreams(says("up"))
    app.kill()
    proxy = start_proxy(config(listed(app), hold="500ms"), tmp_path)
    done = get(proxy)
    assert done.status == 503
    assert done.get("x-request-id") or "Request" in done.text
    await_log(proxy, "Connection refused")
    app.start()
    eventually(lambda: get(proxy).status == 200)


def test_a_full_server_has_a_queue(
    start_proxy: StartProxy, tmp_path: Path, upstreams: Upstreams
) -> None:
    gate = Gate("slow")
    app = upstreams(gate)
    proxy = start_proxy(config(listed(app), max_connections="1", queue_timeout="20s"), tmp_path)
    first = Later(lambda: get(proxy, "/first"))
    assert gate.asked.wait(PATIENCE)
    others = [Later(lambda: get(proxy, "/other")) for _ in range(5)]
    time.sleep(0.3)
    assert app.targets() == ["/first"]
    gate.may_answer.set()
    assert [each.answer().text for each in (first, *others)] == ["slow"] * 6
    assert app.connections == 1


def test_a_queue_has_an_end(start_proxy: StartProxy, tmp_path: Path, upstreams: Upstreams) -> None:
    gate = Gate("slow")
    app = upstreams(gate)
    proxy = start_proxy(config(listed(app), max_connections="1", queue_timeout="300ms"), tmp_path)
    first = Later(lambda: get(proxy))
    assert gate.asked.wait(PATIENCE)
    assert get(proxy).status == 503
    await_log(proxy, "every server is busy")
    gate.may_answer.set()
    assert first.answer().text == "slow"
    assert get(proxy).text == "slow"


def test_who_leaves_the_queue_makes_room(
    start_proxy: StartProxy, tmp_path: Path, upstreams: Upstreams
) -> None:
    gate = Gate("slow")
    app = upstreams(gate)
    proxy = start_proxy(config(listed(app), max_connections="1", queue_timeout="20s"), tmp_path)
    first = Later(lambda: get(proxy, "/first"))
    assert gate.asked.wait(PATIENCE)
    for _ in range(3):
        with socket.create_connection(("127.0.0.1", proxy.http_port), PATIENCE) as sock:
            sock.sendall(b"GET /gone HTTP/1.1\r\nHost: localhost\r\n\r\n")
            time.sleep(0.1)
    last = Later(lambda: get(proxy, "/last"))
    time.sleep(0.2)
    gate.may_answer.set()
    assert first.answer().text == last.answer().text == "slow"
    assert app.targets() == ["/first", "/last"]


# Time.


def test_an_upstream_that_says_nothing(
    start_proxy: StartProxy, tmp_path: Path, upstreams: Upstreams
) -> None:
    gate = Gate()
    app = upstreams(gate)
    proxy = start_proxy(config(listed(app), timeouts="{response: 500ms}", retries="0"), tmp_path)
    assert get(proxy).status == 504
    gate.may_answer.set()
    app.handler = says("again")
    assert get(proxy).text == "again"


def test_a_route_has_its_own_patience(
    start_proxy: StartProxy, tmp_path: Path, upstreams: Upstreams
) -> None:
    site = SITE.replace(
        "{path: /, proxy: app}",
        "{path: /, proxy: app}, {path: /quick, proxy: app, timeouts: {response: 300ms}}",
    )
    gate = Gate()
    app = upstreams(gate)
    proxy = start_proxy(config(listed(app), site, retries="0"), tmp_path)
    waiting = Later(lambda: get(proxy))
    assert get(proxy, "/quick").status == 504
    assert not waiting.done
    gate.may_answer.set()
    assert waiting.answer().text == "late"


def test_a_route_has_its_own_patience_to_connect(start_proxy: StartProxy, tmp_path: Path) -> None:
    site = SITE.replace("proxy: app}", "proxy: app, timeouts: {connect: 300ms}}")
    with socket.socket() as deaf, socket.socket() as one, socket.socket() as two:
        deaf.bind(("127.0.0.1", 0))
        deaf.listen(0)
        for filler in (one, two):  # a full queue: the kernel answers no further SYN
            filler.settimeout(0)
            filler.connect_ex(deaf.getsockname())
        text = f'["http://127.0.0.1:{deaf.getsockname()[1]}"]'
        timeouts = "{connect: 5m}"
        proxy = start_proxy(config(text, site, timeouts=timeouts, hold="off"), tmp_path)
        assert get(proxy).status in (503, 504)
        await_log(proxy, "connecting timed out")


@pytest.mark.parametrize("method", ["GET", "POST"])
def test_servers_that_soon_close_idle_connections(
    start_proxy: StartProxy, tmp_path: Path, upstreams: Upstreams, method: str
) -> None:
    """As gunicorn (2 s) and uvicorn (5 s) do; here within the second, and for GET at once."""
    app = upstreams(idle=1.1 if method == "POST" else 0.03)
    proxy = start_proxy(config(listed(app)), tmp_path)
    body = b"order" if method == "POST" else None
    pause = 1.09 if method == "POST" else 0.03

    def once(client: Client) -> Answer:
        return client.ask(method=method, body=body)

    with Load(lambda: Client(proxy.http_port), once, clients=8, pause=pause) as load:
        load.wait_for(40 if method == "POST" else 300)
    assert load.failures == []
    if method == "POST":
        assert all(request.body == b"order" for request in app.requests)


def test_what_a_server_says_of_its_patience_is_heard(
    start_proxy: StartProxy, tmp_path: Path, upstreams: Upstreams
) -> None:
    async def short(_request: Request, client: asyncio.StreamWriter) -> None:
        client.write(answer("x", "200 OK", "Keep-Alive: timeout=1"))

    app = upstreams(short)
    proxy = start_proxy(config(listed(app)), tmp_path)
    told(proxy, 3)
    assert app.connections == 3, "each is closed before the server may close it"


def test_no_connection_is_kept_where_none_shall_be(
    start_proxy: StartProxy, tmp_path: Path, upstreams: Upstreams
) -> None:
    app = upstreams(says("x"))
    proxy = start_proxy(config(listed(app), keep_alive="off"), tmp_path)
    told(proxy, 3)
    assert app.connections == 3


# Hard to reach.


def test_a_name_that_does_not_resolve_keeps_nothing_from_starting(
    start_proxy: StartProxy, tmp_path: Path, upstreams: Upstreams
) -> None:
    app = upstreams(says("up"))
    site = SITE.replace("routes: [", f'routes: [{{path: /other/, proxy: "{app.url}"}}, ')
    proxy = start_proxy(config('["http://no-such-host.invalid:8000"]', site, hold="off"), tmp_path)
    assert get(proxy, "/other/").text == "up"
    assert get(proxy).status in (502, 503)
    await_log(proxy, "no-such-host.invalid does not resolve")


@pytest.mark.parametrize("host", ["127.0.0.1", "::1"])
def test_all_addresses_of_a_name_are_tried(
    start_proxy: StartProxy, tmp_path: Path, upstreams: Upstreams, host: str
) -> None:
    if host not in {each[4][0] for each in socket.getaddrinfo("localhost", 80)}:
        pytest.skip(f"localhost is not {host} here")
    app = upstreams(says("up"), host=host)
    proxy = start_proxy(config(f'["http://localhost:{app.port}"]'), tmp_path)
    assert told(proxy, 6) == {"up": 6}


def test_an_upstream_of_ipv6(start_proxy: StartProxy, tmp_path: Path, upstreams: Upstreams) -> None:
    app = upstreams(says("six"), host="::1")
    assert app.url.startswith("http://[::1]:")
    proxy = start_proxy(config(listed(app)), tmp_path)
    assert told(proxy, 3) == {"six": 3}


def test_a_unix_socket_that_comes_and_goes(
    start_proxy: StartProxy, tmp_path: Path, upstreams: Upstreams
) -> None:
    path = tmp_path / "app.sock"
    proxy = start_proxy(config(f'["unix:{path}"]', hold="300ms", top="user: null"), tmp_path)
    assert get(proxy).status == 503
    app = upstreams(unix=str(path))
    seen = get(proxy).seen()
    assert seen.get("host") == "localhost"
    app.kill()
    path.unlink(missing_ok=True)
    waiting = Later(lambda: get(proxy))
    app.start()
    assert waiting.answer().status in (200, 503)
    assert get(proxy).status == 200


# Upstreams by TLS.


def secured(ca: trustme.CA, *names: str) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    ca.issue_cert(*names).configure_cert(context)
    return context


@pytest.fixture
def ca(tmp_path: Path) -> trustme.CA:
    made = trustme.CA()
    made.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    return made


def test_an_https_upstream_is_verified(
    start_proxy: StartProxy, tmp_path: Path, upstreams: Upstreams, ca: trustme.CA
) -> None:
    app = upstreams(says("secret"), tls=secured(ca, "127.0.0.1"))
    proxy = start_proxy(config(listed(app), tls="{ca_file: ./ca.pem}"), tmp_path)
    assert told(proxy, 5) == {"secret": 5}
    assert app.connections == 1
    named = upstreams(says("named"), tls=secured(ca, "app.internal"))
    tls = "{ca_file: ./ca.pem, server_name: app.internal}"
    assert proxy.reload(config(listed(named), tls=tls)).returncode == 0
    assert told(proxy, 3) == {"named": 3}
    trustme.CA().cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    assert proxy.reload().returncode == 0
    assert get(proxy).status == 502, "what is in the file has changed, and nothing else"


@pytest.mark.parametrize("wrong", ["name", "authority", "no file"])
def test_an_https_upstream_that_cannot_be_verified_gets_nothing(
    start_proxy: StartProxy, tmp_path: Path, upstreams: Upstreams, ca: trustme.CA, wrong: str
) -> None:
    name = "other.internal" if wrong == "name" else "127.0.0.1"
    signer = trustme.CA() if wrong == "authority" else ca
    app = upstreams(says("secret"), tls=secured(signer, name))
    tls = {} if wrong == "no file" else {"tls": "{ca_file: ./ca.pem}"}
    proxy = start_proxy(config(listed(app), **tls), tmp_path)
    done = get(proxy)
    assert done.status == 502
    assert "certificate" not in done.text
    await_log(proxy, "certificate not trusted")
    assert app.requests == []
    unverified = config(listed(app), tls="{verify: false}")
    assert proxy.reload(unverified).returncode == 0
    assert get(proxy).text == "secret"


def test_a_ca_file_that_is_not_there_is_found_by_check(tmp_path: Path) -> None:
    path = tmp_path / "proxy.yaml"
    tls = "{ca_file: ./nothing.pem}"
    path.write_text(config('["https://app.internal"]', tls=tls).lstrip())
    done = run_command("check", "--config", str(path), environment={})
    assert done.returncode == 78, done.stdout
    assert "proxy.yaml:4:" in done.stderr
    assert "nothing.pem" in done.stderr


def test_nobody_listens_and_nobody_ever_did(start_proxy: StartProxy, tmp_path: Path) -> None:
    text = f'["http://127.0.0.1:{free_port()}"]'
    proxy = start_proxy(config(text, hold="off"), tmp_path)
    assert get(proxy).status in (502, 503)
    await_log(proxy, "Connection refused")
