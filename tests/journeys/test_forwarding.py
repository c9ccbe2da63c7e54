"""Who the client is, as upstreams are told: direct, behind trusted proxies, by PROXY protocol."""

import contextlib
import re
import socket
import struct
import subprocess
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from tests.journeys.clients.asking import PATIENCE, Answer, Client, Seen, ask, trusting
from tests.journeys.running import RunningProxy, StartProxy, eventually, free_port
from tests.journeys.upstreams.server import Upstream, Upstreams

SPOOFED = {
    "X-Forwarded-For": "203.0.113.9",
    "X-Forwarded-Proto": "https",
    "X-Forwarded-Host": "evil.example",
    "X-Forwarded-Port": "4444",
    "X-Real-IP": "203.0.113.9",
    "Forwarded": "for=203.0.113.9;proto=https",
    "CF-Connecting-IP": "203.0.113.9",
    "X-Request-ID": "chosen-by-the-client",
}
V2 = b"\r\n\r\n\x00\r\nQUIT\n"


def config(upstream: Upstream, **top: str) -> str:
    lines = [f"{key}: {value}\n" for key, value in top.items()]
    site = f'routes: [{{path: /, proxy: "{upstream.url}"}}]'
    return "".join(
        [
            *lines,
            "sites:\n",
            f"  - {{hosts: [localhost], redirect_http: off, {site}}}\n",
        ]
    )


@pytest.fixture
def mirror(upstreams: Upstreams) -> Upstream:
    return upstreams()


def secure(proxy: RunningProxy, prelude: bytes = b"", **fields: str) -> Answer:
    named = {name.replace("_", "-"): value for name, value in fields.items()}
    return ask(proxy.https_port, tls=trusting(proxy.ca_file), fields=named, prelude=prelude)


def plain(
    proxy: RunningProxy, fields: Mapping[str, str] | None = None, *, source: str = ""
) -> Seen:
    answer = ask(proxy.http_port, fields=fields, source=source)
    assert answer.status == 200, answer.text
    return answer.seen()


# Without anybody in between.


def test_an_upstream_is_told_who_asks(
    start_proxy: StartProxy, tmp_path: Path, mirror: Upstream
) -> None:
    proxy = start_proxy(config(mirror), tmp_path)
    host = f"localhost:{proxy.https_port}"
    seen = secure(proxy, Host=host).seen()
    assert seen.get("host") == host
    assert seen.get("x-forwarded-for") == seen.get("x-real-ip") == "127.0.0.1"
    assert seen.get("x-forwarded-proto") == "https"
    assert seen.get("x-forwarded-host") == host
    assert seen.get("x-forwarded-port") == str(proxy.https_port)
    assert seen.all("forwarded") == []
    assert len(seen.get("x-request-id")) >= 16
    seen = plain(proxy)
    assert (seen.get("x-forwarded-proto"), seen.get("x-forwarded-port")) == ("http", "80")


def test_nobody_is_believed_by_default(
    start_proxy: StartProxy, tmp_path: Path, mirror: Upstream
) -> None:
    proxy = start_proxy(config(mirror, forwarded_header="on"), tmp_path)
    seen = plain(proxy, SPOOFED)
    assert seen.get("x-forwarded-for") == seen.get("x-real-ip") == "127.0.0.1"
    assert seen.get("x-forwarded-proto") == "http"
    assert seen.get("x-forwarded-host") == "localhost"
    assert seen.get("x-forwarded-port") == "80"
    assert seen.get("forwarded") == 'for=127.0.0.1;host="localhost";proto=http'
    assert seen.get("x-request-id") != SPOOFED["X-Request-ID"]
    assert "203.0.113.9" not in str(seen.what)


def test_twins_of_forwarding_fields_do_not_get_through(
    start_proxy: StartProxy, tmp_path: Path, mirror: Upstream
) -> None:
    """WSGI servers read X_Forwarded_For and X-Forwarded-For as one (HTTP_X_FORWARDED_FOR)."""
    proxy = start_proxy(config(mirror), tmp_path)
    twins = {"X_Forwarded_For": "203.0.113.9", "X_Real_IP": "203.0.113.9", "Proxy": "http://evil/"}
    seen = plain(proxy, twins)
    names = {name for name, _ in seen.what["fields"]}
    assert not {name for name in names if "_" in name or name == "proxy"}
    assert "203.0.113.9" not in str(seen.what)


OTHERS = {
    "X-Forwarded-Ssl": "on",
    "X-Forwarded-User": "root",
    "X-Client-IP": "203.0.113.9",
    "True-Client-IP": "203.0.113.9",
    "X-Original-URL": "/admin/",
    "X-Url-Scheme": "https",
    "Client-Cert": ":MIIB:",
}


def test_what_else_proxies_say_is_for_trusted_ones_to_say(
    start_proxy: StartProxy, tmp_path: Path, mirror: Upstream
) -> None:
    proxy = start_proxy(config(mirror, trusted_proxies="[127.0.0.1]"), tmp_path)
    for fields in (OTHERS, {**OTHERS, "X_Odd": "read by the fallback"}):
        seen = plain(proxy, fields, source="127.0.0.7")
        assert [name for name in OTHERS if seen.all(name.lower())] == []
        seen = plain(proxy, fields, source="127.0.0.1")
        assert {name: seen.get(name.lower()) for name in OTHERS} == OTHERS


# Trusted proxies.


def test_the_right_most_address_that_is_not_trusted_is_the_client(
    start_proxy: StartProxy, tmp_path: Path, mirror: Upstream
) -> None:
    proxy = start_proxy(
        config(
            mirror,
            trusted_proxies="[127.0.0.1, 10.0.0.0/8]",
            log="{access: {to: ./access.log, format: '$remote_addr $realip_remote_addr'}}",
            user="null",
        ),
        tmp_path,
    )
    chain = "203.0.113.9, 198.51.100.7, 10.1.2.3"
    seen = plain(proxy, {**SPOOFED, "X-Forwarded-For": chain, "CF-Connecting-IP": "10.9.9.9"})
    assert seen.get("x-real-ip") == "198.51.100.7"
    assert seen.get("x-forwarded-for") == "198.51.100.7, 10.1.2.3, 127.0.0.1"
    assert seen.get("x-forwarded-proto") == "https"
    assert seen.get("x-forwarded-host") == "evil.example", "a trusted proxy says so"
    assert seen.get("x-forwarded-port") == "4444"
    assert seen.get("x-request-id") == SPOOFED["X-Request-ID"]
    log = tmp_path / "access.log"
    eventually(lambda: "198.51.100.7 127.0.0.1" in log.read_text())


def test_a_site_without_tls_behind_a_proxy_that_has_it(
    start_proxy: StartProxy, tmp_path: Path, mirror: Upstream
) -> None:
    text = config(mirror, trusted_proxies="[127.0.0.1]")
    proxy = start_proxy(text.replace("redirect_http: off", "tls: off"), tmp_path)
    assert plain(proxy, SPOOFED).get("x-forwarded-proto") == "https"


def test_a_stranger_is_not_believed_where_others_are(
    start_proxy: StartProxy, tmp_path: Path, mirror: Upstream
) -> None:
    proxy = start_proxy(config(mirror, trusted_proxies="[127.0.0.1]"), tmp_path)
    seen = plain(proxy, SPOOFED, source="127.0.0.7")
    assert seen.get("x-forwarded-for") == seen.get("x-real-ip") == "127.0.0.7"
    assert seen.get("x-forwarded-proto") == "http"
    assert seen.get("x-request-id") != SPOOFED["X-Request-ID"]
    assert plain(proxy, SPOOFED, source="127.0.0.1").get("x-real-ip") == "203.0.113.9"


def test_cloudflare_says_who_connected(
    start_proxy: StartProxy, tmp_path: Path, mirror: Upstream
) -> None:
    proxy = start_proxy(config(mirror, trusted_proxies="[cloudflare, loopback]"), tmp_path)
    assert plain(proxy, {"CF-Connecting-IP": "198.51.100.7"}).get("x-real-ip") == "198.51.100.7"
    both = {"CF-Connecting-IP": "198.51.100.7", "X-Forwarded-For": "203.0.113.9, 198.51.100.7"}
    assert plain(proxy, both).get("x-real-ip") == "198.51.100.7"
    # 104.16.0.1 is Cloudflare's own: what stands left of it came by way of Cloudflare.
    chain = {"X-Forwarded-For": "198.51.100.7, 104.16.0.1"}
    assert plain(proxy, chain).get("x-real-ip") == "198.51.100.7"
    version6 = {"CF-Connecting-IP": "2001:db8::1"}
    assert plain(proxy, version6).get("x-real-ip") == "2001:db8::1"


def test_clients_of_one_trusted_connection_are_told_apart(
    start_proxy: StartProxy, tmp_path: Path, mirror: Upstream
) -> None:
    proxy = start_proxy(config(mirror, trusted_proxies="[loopback]"), tmp_path)
    with Client(proxy.http_port) as client:
        for number in (*range(1, 5), *range(1, 5)):
            fields = {"X-Forwarded-For": f"203.0.113.{number}"}
            assert client.ask(fields=fields).seen().get("x-real-ip") == f"203.0.113.{number}"
        identifiers = {client.ask().seen().get("x-request-id") for _ in range(5)}
        assert len(identifiers) == 5


def test_a_request_id_that_could_harm_is_not_kept(
    start_proxy: StartProxy, tmp_path: Path, mirror: Upstream
) -> None:
    proxy = start_proxy(config(mirror, trusted_proxies="[loopback]"), tmp_path)
    assert plain(proxy, {"X-Request-ID": "ok-1.2"}).get("x-request-id") == "ok-1.2"
    for bad in ('a"b', "x" * 200, "<script>", "a b"):
        assert plain(proxy, {"X-Request-ID": bad}).get("x-request-id") != bad


# PROXY protocol.


def version2(source: str, port: int, *, command: int = 1) -> bytes:
    addresses = socket.inet_aton(source) + socket.inet_aton("192.0.2.1")
    addresses += struct.pack("!HH", port, 443)
    return V2 + bytes([0x20 | command, 0x11]) + struct.pack("!H", len(addresses)) + addresses


PROXIED = {"trusted_proxies": "[127.0.0.1]", "proxy_protocol": "accept"}


@pytest.mark.parametrize(
    "header",
    [b"PROXY TCP4 198.51.100.7 192.0.2.1 5555 443\r\n", version2("198.51.100.7", 5555)],
    ids=["v1", "v2"],
)
def test_proxy_protocol_says_who_connected(
    start_proxy: StartProxy, tmp_path: Path, mirror: Upstream, header: bytes
) -> None:
    proxy = start_proxy(config(mirror, **PROXIED), tmp_path)
    for seen in (
        secure(proxy, header, X_Forwarded_For="203.0.113.9").seen(),
        ask(proxy.http_port, prelude=header, fields={"X-Forwarded-For": "203.0.113.9"}).seen(),
    ):
        assert seen.get("x-forwarded-for") == seen.get("x-real-ip") == "198.51.100.7"
    for byte_by_byte in (True, False):
        with socket.create_connection(("127.0.0.1", proxy.http_port), PATIENCE) as sock:
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            whole = header + b"GET / HTTP/1.0\r\nHost: localhost\r\n\r\n"
            for at in range(0, len(whole), 1 if byte_by_byte else len(whole)):
                sock.sendall(whole[at : at + (1 if byte_by_byte else len(whole))])
            answer = b""
            while piece := sock.recv(65536):
                answer += piece
        assert b'"198.51.100.7"' in answer


def test_a_health_check_by_proxy_protocol(
    start_proxy: StartProxy, tmp_path: Path, mirror: Upstream
) -> None:
    proxy = start_proxy(config(mirror, **PROXIED), tmp_path)
    for header in (b"PROXY UNKNOWN\r\n", V2 + b"\x20\x00\x00\x00"):
        seen = ask(proxy.http_port, prelude=header).seen()
        assert seen.get("x-real-ip") == "127.0.0.1"


@pytest.mark.parametrize(
    "start",
    [
        b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n",
        b"PROXY TCP4 1.2.3 192.0.2.1 5555 443\r\n",
        b"PROXY TCP4 198.51.100.7 192.0.2.1 99999 443\r\n",
        b"PROXY " + b"x" * 200,
        V2 + b"\x31\x11\x00\x0c" + bytes(12),
    ],
)
def test_what_is_no_proxy_protocol_is_hung_up_on(
    start_proxy: StartProxy, tmp_path: Path, mirror: Upstream, start: bytes
) -> None:
    proxy = start_proxy(config(mirror, **PROXIED), tmp_path)
    with socket.create_connection(("127.0.0.1", proxy.http_port), PATIENCE) as sock:
        sock.sendall(start)
        with contextlib.suppress(ConnectionResetError):
            assert sock.recv(1000) == b""
    eventually(lambda: "PROXY protocol from 127.0.0.1: " in proxy.log())
    assert mirror.requests == []


def test_only_trusted_peers_may_speak_proxy_protocol(
    start_proxy: StartProxy, tmp_path: Path, mirror: Upstream
) -> None:
    proxy = start_proxy(config(mirror, **PROXIED), tmp_path)
    header = version2("198.51.100.7", 5555)
    with pytest.raises((ConnectionError, OSError)):
        ask(proxy.http_port, prelude=header, source="127.0.0.7")
    eventually(lambda: "from 127.0.0.7 without PROXY protocol refused" in proxy.log())
    assert mirror.requests == []
    assert ask(proxy.http_port, prelude=header).status == 200


def test_a_header_that_does_not_come_is_not_waited_for(
    start_proxy: StartProxy, tmp_path: Path, mirror: Upstream
) -> None:
    proxy = start_proxy(config(mirror, timeouts="{request_header: 300ms}", **PROXIED), tmp_path)
    with socket.create_connection(("127.0.0.1", proxy.https_port), PATIENCE) as sock:
        sock.sendall(b"PROXY TCP4")
        with contextlib.suppress(ConnectionResetError):
            assert sock.recv(1000) == b""


HAPROXY = """
defaults
  mode tcp
  timeout connect 10s
  timeout client 30s
  timeout server 30s
listen tls
  bind 127.0.0.1:{secure}
  server proxy 127.0.0.1:{https} source 127.0.0.5 {send}
listen plain
  bind 127.0.0.1:{plain}
  server proxy 127.0.0.1:{http} source 127.0.0.5 {send}
"""


@pytest.fixture
def haproxies() -> Iterator[list[subprocess.Popen[bytes]]]:
    started: list[subprocess.Popen[bytes]] = []
    yield started
    for process in started:
        process.terminate()
        process.wait(PATIENCE)


def listens(port: int) -> bool:
    with socket.socket() as sock:
        return sock.connect_ex(("127.0.0.1", port)) == 0


@pytest.mark.needs("haproxy")
@pytest.mark.parametrize("send", ["send-proxy", "send-proxy-v2"])
def test_behind_haproxy(
    start_proxy: StartProxy,
    tmp_path: Path,
    mirror: Upstream,
    haproxies: list[subprocess.Popen[bytes]],
    send: str,
) -> None:
    proxied = {**PROXIED, "trusted_proxies": "[127.0.0.5]"}
    proxy = start_proxy(config(mirror, **proxied), tmp_path)
    ports = {"secure": free_port(), "plain": free_port()}
    text = HAPROXY.format(https=proxy.https_port, http=proxy.http_port, send=send, **ports)
    (tmp_path / "haproxy.cfg").write_text(text)
    haproxies.append(subprocess.Popen(["haproxy", "-db", "-f", str(tmp_path / "haproxy.cfg")]))
    eventually(lambda: listens(ports["plain"]))
    trusted = trusting(proxy.ca_file)
    seen = ask(ports["secure"], tls=trusted, source="127.0.0.9", fields=SPOOFED).seen()
    assert seen.get("x-forwarded-for") == seen.get("x-real-ip") == "127.0.0.9"
    assert seen.get("x-forwarded-proto") == "https"
    seen = ask(ports["plain"], source="127.0.0.9").seen()
    assert seen.get("x-real-ip") == "127.0.0.9"
    eventually(lambda: re.search(r"^127\.0\.0\.9 - - ", proxy.output(), re.MULTILINE))
