"""Servers of HTTP/2 that nobody here wrote, and clients of HTTP/1.1 before them."""

import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import grpc
import httpx
import pytest
import trustme

from tests.conftest import SEARCH
from tests.journeys.clients.curl import curl
from tests.journeys.clients.raw import tls_context
from tests.journeys.http2_upstreams.grpc_service import OPTIONS, SERVICE, GrpcServer
from tests.journeys.running import RunningProxy, StartProxy, eventually, free_port

SITE = """
user: null
upstreams:
  app:
    servers: {server}
    hold: off
{more}
sites:
  - hosts: [localhost]
    routes:
      - {{path: /, proxy: app}}
"""
BIG = bytes(range(256)) * 40_000  # 10 MB


class Nghttpd:
    """nghttp2's server for files."""

    def __init__(self, folder: Path, *options: str, port: int = 0) -> None:
        self.root = folder / "www"
        self.root.mkdir(exist_ok=True)
        (self.root / "hello.txt").write_bytes(b"hello\n")
        (self.root / "big.bin").write_bytes(BIG)
        self.port = port or free_port()
        command = shutil.which("nghttpd", path=SEARCH)
        assert command is not None
        words = [command, "-a", "127.0.0.1", "-d", str(self.root), *options]
        keys = [word for word in words if word.endswith(".pem")]
        words = [word for word in words if word not in keys]
        self._process = subprocess.Popen(
            [*words, str(self.port), *keys],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        eventually(self._listens)

    def _listens(self) -> bool:
        hexed = f"0100007F:{self.port:04X}"
        table = Path("/proc/net/tcp").read_text().splitlines()[1:]
        return any(line.split()[1] == hexed and line.split()[3] == "0A" for line in table)

    def close(self) -> None:
        self._process.terminate()
        self._process.wait(10)


@pytest.fixture
def nghttpd(tmp_path: Path) -> Iterator[Nghttpd]:
    made = Nghttpd(tmp_path, "--no-tls")
    yield made
    made.close()


def config(server: str, more: str = "") -> str:
    return SITE.format(server=server, more=more)


def errors_of(proxy: RunningProxy) -> str:
    return "\n".join(line for line in proxy.log().splitlines() if " ERROR " in line)


@pytest.mark.needs("nghttpd", "curl")
@pytest.mark.parametrize("version", ["--http1.1", "--http2"])
def test_files_of_nghttpd(
    start_proxy: StartProxy, tmp_path: Path, nghttpd: Nghttpd, version: str
) -> None:
    proxy = start_proxy(config(f"h2c://127.0.0.1:{nghttpd.port}"), tmp_path)
    found = curl(proxy, "/hello.txt", version)
    assert (found.code, found.body) == (0, b"hello\n")
    assert "200" in found.head.splitlines()[0]
    assert "server: nghttpd" in found.head.lower()
    assert curl(proxy, "/big.bin", version).body == BIG
    head = curl(proxy, "/big.bin", version, "-I")
    assert f"content-length: {len(BIG)}" in head.head.lower()
    assert "404" in curl(proxy, "/nothing", version).head.splitlines()[0]
    assert curl(proxy, "/hello.txt", version, "--data-binary", "@-", data=BIG).body == b"hello\n"
    assert not errors_of(proxy)


@pytest.mark.needs("nghttpd", "h2load")
def test_h2load_through_to_nghttpd(
    start_proxy: StartProxy, tmp_path: Path, nghttpd: Nghttpd
) -> None:
    proxy = start_proxy(config(f"h2c://127.0.0.1:{nghttpd.port}"), tmp_path)
    url = f"https://localhost:{proxy.https_port}/hello.txt"
    done = subprocess.run(
        ["h2load", "-n", "2000", "-c", "4", "-m", "20", url],
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    assert "2000 succeeded, 0 failed, 0 errored, 0 timeout" in done.stdout
    assert "status codes: 2000 2xx" in done.stdout


@pytest.mark.needs("nghttpd", "curl")
def test_nghttpd_over_tls(start_proxy: StartProxy, tmp_path: Path) -> None:
    """ALPN agrees on HTTP/2 where it is offered; nghttpd speaks nothing else."""
    authority = trustme.CA()
    issued = authority.issue_cert("127.0.0.1")
    key, chain, ca = tmp_path / "key.pem", tmp_path / "chain.pem", tmp_path / "ca.pem"
    issued.private_key_pem.write_to_path(key)
    issued.cert_chain_pems[0].write_to_path(chain)
    authority.cert_pem.write_to_path(ca)
    server = Nghttpd(tmp_path, str(key), str(chain))
    try:
        more = f"    http2: on\n    tls: {{ca_file: {ca}}}\n    health_check: {{path: /hello.txt}}"
        proxy = start_proxy(config(f"https://127.0.0.1:{server.port}", more), tmp_path)
        assert curl(proxy, "/big.bin").body == BIG
    finally:
        server.close()


@pytest.mark.needs("nghttpd", "curl")
def test_health_checks_over_h2c(start_proxy: StartProxy, tmp_path: Path, nghttpd: Nghttpd) -> None:
    checks = "    health_check: {path: /hello.txt, interval: 200ms, fall: 1, rise: 1}"
    proxy = start_proxy(config(f"h2c://127.0.0.1:{nghttpd.port}", checks), tmp_path)
    assert curl(proxy, "/hello.txt").body == b"hello\n"
    nghttpd.close()
    eventually(lambda: " is down: " in proxy.log())
    again = Nghttpd(tmp_path, "--no-tls", port=nghttpd.port)
    try:
        eventually(lambda: " is up" in proxy.log())
        assert eventually(lambda: curl(proxy, "/hello.txt").body == b"hello\n")
    finally:
        again.close()


def test_grpc_in_http1(start_proxy: StartProxy, tmp_path: Path) -> None:
    """The trailers of a call come behind the chunks of its answer."""
    server = GrpcServer()
    try:
        proxy = start_proxy(config(f"h2c://127.0.0.1:{server.port}"), tmp_path)
        message = b"\0\0\0\0\5hello"
        with httpx.Client(verify=tls_context(proxy.ca_file), trust_env=False) as client:
            answer = client.post(
                f"https://localhost:{proxy.https_port}/{SERVICE}/Unary",
                content=message,
                headers={"Content-Type": "application/grpc", "TE": "trailers"},
            )
        assert (answer.status_code, answer.content) == (200, message)
        assert answer.headers["transfer-encoding"] == "chunked"
    finally:
        server.close()


def test_a_grpc_server_that_restarts_is_found_again(
    start_proxy: StartProxy, tmp_path: Path
) -> None:
    server = GrpcServer()
    proxy = start_proxy(config(f"h2c://127.0.0.1:{server.port}"), tmp_path)
    trust = grpc.ssl_channel_credentials(proxy.ca_file.read_bytes())
    channel: Any = grpc.secure_channel(f"localhost:{proxy.https_port}", trust, options=OPTIONS)
    unary = channel.unary_unary(f"/{SERVICE}/Unary")
    try:
        assert unary(b"one", timeout=20) == b"one"
        server.close()
        with pytest.raises(grpc.RpcError) as caught:
            unary(b"two", timeout=20)
        error: Any = caught.value
        assert error.code() is grpc.StatusCode.UNAVAILABLE
        server = GrpcServer(port=server.port)
        assert unary(b"three", timeout=20) == b"three"
    finally:
        channel.close()
        server.close()
