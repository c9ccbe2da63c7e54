"""Logs as an operator has them: complete, whole, without secrets, and never in the way."""

import contextlib
import json
import os
import re
import signal
import socket
import ssl
from pathlib import Path
from typing import Any

import pytest

from tests.journeys.clients.asking import PATIENCE, Client, Load, ask, trusting
from tests.journeys.running import RunningProxy, StartProxy, eventually, free_port
from tests.journeys.upstreams.server import Upstreams, hang_up

COMBINED = re.compile(
    r"127\.0\.0\.1 - - \[\d{2}/[A-Z][a-z]{2}/\d{4}:\d{2}:\d{2}:\d{2} [+-]\d{4}\] "
    r'"GET /[^" ]* HTTP/1\.1" \d{3} \d+ "[^"]*" "[^"]*"'
)
SECRET = "c2VjcmV0-hunter2"
FILES = "{{access: {{to: ./access.log, format: {}}}, error: {{to: ./error.log, level: debug}}}}"


def config(*routes: str, access: str = "combined", **top: str) -> str:
    top = {"log": FILES.format(access), "user": "null", **top}
    lines = "".join(f"{key}: {value}\n" for key, value in top.items())
    listed = ", ".join(routes or ("{path: /, respond: {body: hello}}",))
    return f"{lines}sites:\n  - {{hosts: [localhost], redirect_http: off, routes: [{listed}]}}\n"


def lines_of(path: Path) -> list[str]:
    return path.read_text().splitlines()


def await_lines(path: Path, number: int) -> list[str]:
    """Return a log's lines when there are so many."""
    eventually(lambda: len(lines_of(path)) >= number)
    return lines_of(path)


def raw(port: int, request: bytes) -> bytes:
    """Send bytes as they are and return all that comes."""
    received = b""
    with socket.create_connection(("127.0.0.1", port), PATIENCE) as sock:
        sock.sendall(request)
        with contextlib.suppress(ConnectionResetError):
            while piece := sock.recv(65536):
                received += piece
    return received


# Formats.


def test_combined_is_the_default(start_proxy: StartProxy, tmp_path: Path) -> None:
    text = config(log="{}").replace("log: {}\n", "")
    proxy = start_proxy(text, tmp_path)
    fields = {"Referer": "https://example.com/", "User-Agent": "journey/1"}
    for number in range(5):
        assert ask(proxy.http_port, f"/{number}?a=b", fields=fields).text == "hello"
    eventually(lambda: len(proxy.output().splitlines()) == 5)
    lines = proxy.output().splitlines()
    assert all(COMBINED.fullmatch(line) for line in lines), lines
    assert '"GET /3?a=b HTTP/1.1" 200 5 "https://example.com/" "journey/1"' in lines[3]


def test_json_tells_the_whole_way(
    start_proxy: StartProxy, tmp_path: Path, upstreams: Upstreams
) -> None:
    app = upstreams()
    route = f'{{path: /app/, proxy: "{app.url}"}}'
    proxy = start_proxy(config(route, access="json"), tmp_path)
    done = ask(
        proxy.https_port, "/app/x?y=1", method="POST", body=b"12345",
        tls=trusting(proxy.ca_file), fields={"User-Agent": 'a "quoted" one'},
    )  # fmt: skip
    assert ask(proxy.https_port, "/none", tls=trusting(proxy.ca_file)).status == 404
    first, second = (json.loads(line) for line in await_lines(tmp_path / "access.log", 2))
    assert first["request_id"] == done.seen().get("x-request-id")
    expected = {
        "client": "127.0.0.1", "method": "POST", "target": "/app/x?y=1", "status": 200,
        "scheme": "https", "host": "localhost", "bytes_received": 5, "upstream": app.url,
        "tries": 1, "route": "/app/", "tls_version": "TLSv1.3", "user_agent": 'a "quoted" one',
        "bytes_sent": len(done.body), "error": "", "version": "HTTP/1.1",
    }  # fmt: skip
    assert {key: first[key] for key in expected} == expected
    assert 0 <= first["upstream_connect_time"] <= first["duration"]
    assert 0 <= first["upstream_response_time"] <= first["duration"]
    assert (second["status"], second["upstream"], second["tries"]) == (404, "", 0)


def test_a_format_of_ones_own(start_proxy: StartProxy, tmp_path: Path) -> None:
    access = "'$remote_addr|$status|$request_uri|$${http_x_tenant}|$ssl_protocol|100%'"
    proxy = start_proxy(config(access=access), tmp_path)
    ask(proxy.http_port, "/a%20b", fields={"X-Tenant": "one|two"})
    (line,) = await_lines(tmp_path / "access.log", 1)
    assert line == "127.0.0.1|200|/a%20b|one|two|-|100%"


def test_the_log_can_be_off(start_proxy: StartProxy, tmp_path: Path) -> None:
    proxy = start_proxy(config(log="{access: off, error: {to: ./error.log}}"), tmp_path)
    assert ask(proxy.http_port).text == "hello"
    assert proxy.stop() == 0
    assert proxy.output() == ""


def test_every_request_has_its_line_at_the_end(start_proxy: StartProxy, tmp_path: Path) -> None:
    proxy = start_proxy(config(workers="2"), tmp_path)
    for _ in range(25):
        ask(proxy.http_port)
    assert proxy.stop() == 0
    assert len(lines_of(tmp_path / "access.log")) == 25


# Rotation.


def test_rotation_loses_nothing(start_proxy: StartProxy, tmp_path: Path) -> None:
    proxy = start_proxy(config(workers="2"), tmp_path)
    access = tmp_path / "access.log"
    with Load(lambda: Client(proxy.http_port)) as load:
        for number in range(3):
            load.wait_for(50)
            access.rename(tmp_path / f"access.log.{number}")
            proxy.process.send_signal(signal.SIGUSR1)
            eventually(access.exists)
        load.wait_for(50)
    assert load.failures == []
    assert proxy.stop() == 0
    parts = [access, *(tmp_path / f"access.log.{number}" for number in range(3))]
    lines = [line for part in parts for line in lines_of(part)]
    assert len(lines) == load.answers
    assert all(COMBINED.fullmatch(line) for line in lines)
    assert access.stat().st_mode & 0o007 == 0, "clients' addresses are not for everybody"


# What may not be in them.


@pytest.mark.parametrize("access", ["combined", "json"])
def test_nobody_forges_a_line(start_proxy: StartProxy, tmp_path: Path, access: str) -> None:
    proxy = start_proxy(config(access=access), tmp_path)
    forged = '127.0.0.9 - - [21/Nov/2026:11:00:00 +0000] "GET /forged HTTP/1.1" 200 5 "-" "-"'
    host = b"Host: localhost\r\nConnection: close\r\n"
    attempts = [
        b"GET /%0d%0aforged HTTP/1.1\r\n" + host + b"\r\n",
        b'GET /"%20200%205%20"forged HTTP/1.1\r\n' + host + b"\r\n",
        b'GET /x" 200 0 "-" "forged HTTP/1.1\r\n' + host + b"\r\n",
        b"GET / HTTP/1.1\r\n" + host + b'User-Agent: a" "b\\" forged\r\n\r\n',
        b"GET / HTTP/1.1\r\n" + host + b"Referer: a\rforged\r\n\r\n",
        b"GET / HTTP/1.1\r\n" + host + b"Referer: a\n" + forged.encode() + b"\r\n\r\n",
        b"GET / HTTP/1.1\r\n" + host + b"Referer: \x1b[31mred\x00\x85\xe2\x80\xa8forged\r\n\r\n",
        b"GET / HTTP/1.1\r\n" + host + b'User-Agent: {"status":200}\\u000aforged\r\n\r\n',
        b'"\\forged\x1b[2J / HTTP/1.1\r\n' + host + b"\r\n",
        b"\x00\x01\x02forged\r\n\r\n",
    ]
    for attempt in attempts:
        assert raw(proxy.http_port, attempt).startswith(b"HTTP/1.1 ")
    log = tmp_path / "access.log"
    assert proxy.stop() == 0
    content = log.read_bytes()
    assert content.count(b"\n") == len(attempts)
    assert not re.search(rb"[\x00-\x09\x0b-\x1f\x7f-\xff]", content), "plain ASCII, whole lines"
    for line in content.decode().splitlines():
        if access == "json":
            found: dict[str, Any] = json.loads(line)
            assert found["client"] == "127.0.0.1"
        else:
            assert line.startswith("127.0.0.1 - - ["), line
            assert re.fullmatch(r'[^"]*"[^"]*" \d{3} \d+ "[^"]*" "[^"]*"', line), line
    errors = (tmp_path / "error.log").read_bytes()
    assert not re.search(rb"[\x00-\x09\x0b-\x1f\x7f]", errors)
    assert not any(line.startswith(b"127.0.0.9") for line in errors.splitlines())


@pytest.mark.parametrize(
    "access",
    [
        "combined",
        "json",
        "'$request $http_authorization $http_cookie $http_proxy_authorization $remote_user'",
    ],
)
def test_no_credential_is_written_anywhere(
    start_proxy: StartProxy, tmp_path: Path, upstreams: Upstreams, access: str
) -> None:
    good, bad = upstreams(), upstreams(hang_up)
    routes = (
        f'{{path: /good, proxy: "{good.url}"}}',
        f'{{path: /bad, proxy: "{bad.url}"}}',
        "{path: /none/, respond: 404}",
    )
    proxy = start_proxy(config(*routes, access=access), tmp_path)
    fields = {
        "Authorization": f"Bearer {SECRET}",
        "Cookie": f"sessionid={SECRET}",
        "Proxy-Authorization": f"Basic {SECRET}",
    }
    assert ask(proxy.http_port, "/good", fields=fields).seen().get("authorization").endswith(SECRET)
    for path in ("/bad", "/none/", "/nowhere"):
        ask(proxy.http_port, path, fields=fields)
    ask(proxy.http_port, "/good", fields={**fields, "X-Big": "x" * 40_000})
    credentials = f"Authorization: Bearer {SECRET}\r\nCookie: a={SECRET}\r\n".encode()
    raw(proxy.http_port, b"GET /good HTTP/1.1\r\n" + credentials + b"Host : localhost\r\n\r\n")
    raw(proxy.http_port, b"GET /good HTTP/1.1\r\nHost: a b\r\n" + credentials + b"\r\n")
    raw(proxy.https_port, b"GET /good HTTP/1.1\r\n" + credentials + b"\r\n")
    assert proxy.stop() == 0
    for log in (tmp_path / "access.log", tmp_path / "error.log"):
        content = log.read_text()
        assert content
        assert SECRET not in content
    assert SECRET not in proxy.log() + proxy.output()


def test_failed_handshakes_are_in_the_error_log(start_proxy: StartProxy, tmp_path: Path) -> None:
    proxy = start_proxy(config(), tmp_path)
    with pytest.raises(ssl.SSLError):
        ask(proxy.https_port, tls=trusting(proxy.ca_file), name="elsewhere.test")
    log = tmp_path / "error.log"
    told = "TLS handshake failed: client 127.0.0.1, name elsewhere.test: no site has"
    eventually(lambda: told in log.read_text())
    assert "elsewhere" not in (tmp_path / "access.log").read_text()


def test_a_failure_upstream_is_in_both_logs(start_proxy: StartProxy, tmp_path: Path) -> None:
    url = f"http://127.0.0.1:{free_port()}"
    upstream = f'\n  app: {{servers: ["{url}"], hold: off}}'
    text = config("{path: /, proxy: app}", access="json", upstreams=upstream)
    proxy = start_proxy(text, tmp_path)
    assert ask(proxy.http_port).status == 502
    (line,) = await_lines(tmp_path / "access.log", 1)
    found = json.loads(line)
    assert (found["status"], found["upstream"]) == (502, url)
    assert "refused" in found["error"]
    eventually(lambda: found["request_id"] in (tmp_path / "error.log").read_text())


# What may happen to whoever reads them.

REDIRECTED = ("sh", "-c", 'exec "$0" "$@" >"$OUTPUT"')


def to_pipe(start_proxy: StartProxy, tmp_path: Path, reader: list[int], **top: str) -> RunningProxy:
    """Start a proxy whose standard output is a pipe, of which `reader` gets the other end."""
    fifo = tmp_path / "output"
    os.mkfifo(fifo)
    reader.append(os.open(fifo, os.O_RDONLY | os.O_NONBLOCK))
    text = config(log="{access: {to: stdout}}", **top)
    return start_proxy(text, tmp_path, environment={"OUTPUT": str(fifo)}, prefix=REDIRECTED)


def test_a_reader_that_stops_stops_nobody(start_proxy: StartProxy, tmp_path: Path) -> None:
    reader: list[int] = []
    proxy = to_pipe(start_proxy, tmp_path, reader)
    long = "/" + "x" * 4000
    with Load(lambda: Client(proxy.http_port), lambda client: client.ask(long)) as load:
        load.wait_for(300)  # more than 1 MB, where a pipe takes 64 KB
    assert load.failures == []
    received = b""

    def has_all() -> bool:
        nonlocal received
        with contextlib.suppress(BlockingIOError):
            while piece := os.read(reader[0], 1 << 20):
                received += piece
        return received.count(b"\n") == load.answers

    eventually(has_all)
    lines = received.decode().splitlines()
    assert all(COMBINED.fullmatch(line) for line in lines), "none is torn"
    os.close(reader[0])


def test_the_end_does_not_wait_for_a_reader_that_stopped(
    start_proxy: StartProxy, tmp_path: Path
) -> None:
    reader: list[int] = []
    proxy = to_pipe(start_proxy, tmp_path, reader)
    with Load(lambda: Client(proxy.http_port), lambda client: client.ask("/" + "x" * 4000)) as load:
        load.wait_for(100)
    assert proxy.stop() == 0
    os.close(reader[0])


def test_a_reader_that_went_away_stops_nobody(start_proxy: StartProxy, tmp_path: Path) -> None:
    reader: list[int] = []
    proxy = to_pipe(start_proxy, tmp_path, reader, workers="2")
    assert ask(proxy.http_port).text == "hello"
    os.close(reader[0])
    with Load(lambda: Client(proxy.http_port)) as load:
        load.wait_for(500)
    assert load.failures == []
    assert proxy.command("health").returncode == 0
    assert proxy.stop() == 0
    assert "cannot write to stdout: Broken pipe" in proxy.log()
