"""HTTP/2 with clients that people use: curl, nghttp and h2load of nghttp2, and httpx."""

import asyncio
import hashlib
import json
import re
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import httpx
import pytest

from tests.journeys.apps.patterned import digest, pieces
from tests.journeys.apps.running import daphne, proxying, uvicorn
from tests.journeys.clients.asking import trusting
from tests.journeys.clients.curl import curl
from tests.journeys.running import PATIENCE, RunningProxy, StartProxy, eventually
from tests.journeys.upstreams.server import Request, Upstreams, answer

MB = 1 << 20
CONFIG = """
user: null
log: {access: {format: json}}
sites:
  - hosts: [localhost]
    routes:
      - {path: /, proxy: "http://127.0.0.1:${UVICORN}"}
      - {path: /pong, respond: {body: pong}}
  - {hosts: [daphne.test], routes: [{path: /, proxy: "http://127.0.0.1:${DAPHNE}"}]}
"""
PONG = "sites: [{hosts: [localhost], routes: [{path: /, respond: {body: pong}}]}]"


@pytest.fixture(scope="module")
def proxy(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningProxy]:
    folder = tmp_path_factory.mktemp("http2")
    with ExitStack() as stack:
        ports = {
            start.__name__.upper(): stack.enter_context(start(folder)).port
            for start in (uvicorn, daphne)
        }
        yield stack.enter_context(proxying(CONFIG, folder, **ports))


def last_entry(proxy: RunningProxy, target: str) -> dict[str, object]:
    """Wait for the line of the access log about a target."""

    def look() -> dict[str, object] | None:
        entries = [json.loads(line) for line in proxy.output().splitlines()]
        return next((entry for entry in reversed(entries) if entry["target"] == target), None)

    found = eventually(look)
    assert found is not None
    return found


# curl.


@pytest.mark.needs("curl")
def test_curl_gets(proxy: RunningProxy) -> None:
    done = curl(proxy, "/echo?by=curl", "--http2")
    assert done.head.startswith("HTTP/2 200")
    assert "strict-transport-security: max-age=63072000" in done.head
    assert json.loads(done.body)["target"] == "/echo?by=curl"
    assert last_entry(proxy, "/echo?by=curl")["version"] == "HTTP/2.0"


@pytest.mark.needs("curl")
@pytest.mark.parametrize("length", [True, False])
def test_curl_posts_five_megabytes(proxy: RunningProxy, length: bool) -> None:  # noqa: FBT001 - a parameter
    data = bytes(range(256)) * (5 * MB // 256)
    how = [] if length else ["-T", "-", "-X", "POST"]
    how = how or ["--data-binary", "@-"]
    done = curl(proxy, "/upload", "--http2", *how, data=data)
    told = json.loads(done.body)
    assert (told["size"], told["sha256"]) == (5 * MB, hashlib.sha256(data).hexdigest())


@pytest.mark.needs("curl")
def test_curl_waits_to_be_told_to_continue(proxy: RunningProxy) -> None:
    options = ("--http2", "-H", "Expect: 100-continue", "--expect100-timeout", "25")
    done = curl(proxy, "/upload", *options, "--data-binary", "@-", data=b"hello")
    assert done.head.startswith("HTTP/2 100")
    assert json.loads(done.body)["size"] == 5


@pytest.mark.needs("curl")
def test_curl_and_answers_without_bodies(
    start_proxy: StartProxy, tmp_path: Path, upstreams: Upstreams
) -> None:
    async def handle(request: Request, client: asyncio.StreamWriter) -> None:
        if request.method == "HEAD":
            client.write(b"HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n")
            return
        known = request.get("if-none-match") == '"1"'
        client.write(
            b'HTTP/1.1 304 Not Modified\r\nETag: "1"\r\nContent-Length: 4\r\n\r\n'
            if known
            else answer("text", "200 OK", 'ETag: "1"')
        )

    upstream = upstreams(handle)
    text = f'sites: [{{hosts: [localhost], routes: [{{path: /, proxy: "{upstream.url}"}}]}}]'
    other = start_proxy(text, tmp_path)
    assert curl(other, "/", "--http2").body == b"text"
    done = curl(other, "/", "--http2", "-H", 'If-None-Match: "1"')
    assert (done.code, done.body) == (0, b"")
    assert done.head.startswith("HTTP/2 304")
    done = curl(other, "/", "--http2", "--head")
    assert done.code == 0
    assert "content-length: 1000000" in done.head


# nghttp2's own clients.


def load(proxy: RunningProxy, *options: str) -> tuple[dict[str, int], str]:
    """Run h2load; return how requests fared."""
    done = subprocess.run(
        ["h2load", *options, f"https://localhost:{proxy.https_port}/pong"],
        capture_output=True,
        text=True,
        timeout=3 * PATIENCE,
        check=True,
    )
    found = re.search(r"^requests: (.*)$", done.stdout, re.MULTILINE)
    assert found is not None, done.stdout
    pairs = re.findall(r"(\d+) (\w+)", found[1])
    return {name: int(count) for count, name in pairs}, done.stdout


@pytest.mark.needs("h2load")
def test_h2load_misses_nothing(proxy: RunningProxy) -> None:
    fared, said = load(proxy, "-n", "5000", "-c", "10", "-m", "100")
    assert (fared["succeeded"], fared["failed"]) == (5000, 0)
    assert "5000 2xx" in said


@pytest.mark.needs("h2load")
def test_reloads_under_h2load(start_proxy: StartProxy, tmp_path: Path) -> None:
    proxy = start_proxy(PONG, tmp_path)
    process = subprocess.Popen(
        ["h2load", "-n", "30000", "-c", "8", "-m", "16",
         f"https://localhost:{proxy.https_port}/"],
        stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    reloads = 0
    while process.poll() is None:
        assert proxy.reload().returncode == 0
        reloads += 1
    assert process.stdout is not None
    assert "30000 succeeded, 0 failed, 0 errored" in process.stdout.read()
    process.stdout.close()
    assert reloads


@pytest.mark.needs("nghttp")
def test_nghttp(proxy: RunningProxy) -> None:
    url = f"https://localhost:{proxy.https_port}/download?size=3000000"
    done = subprocess.run(
        ["nghttp", "-n", "-s", "-m", "20", "-w", "16", url],
        capture_output=True, text=True, timeout=PATIENCE, check=True,
    )  # fmt: skip
    assert len(re.findall(r"^\s*\d+.* 200 .*/download", done.stdout, re.MULTILINE)) == 20, (
        done.stdout
    )


# httpx, and real applications.


def client_of(proxy: RunningProxy) -> httpx.AsyncClient:
    return httpx.AsyncClient(
        http1=False, http2=True, verify=trusting(proxy.ca_file), timeout=PATIENCE
    )


async def test_httpx_asks_for_much_at_once(proxy: RunningProxy) -> None:
    origin = f"https://localhost:{proxy.https_port}"
    async with client_of(proxy) as client:
        assert (await client.get(f"{origin}/pong")).http_version == "HTTP/2"
        sizes = [number * 7919 % 300_000 for number in range(60)]
        answers = await asyncio.gather(
            *[client.get(f"{origin}/chunked?size={size}") for size in sizes],
            *[client.post(f"{origin}/upload", content=bytes(size)) for size in sizes],
        )
    for size, got in zip(sizes, answers, strict=False):
        assert got.http_version == "HTTP/2"
        assert hashlib.sha256(got.content).hexdigest() == digest(pieces(size))
    uploads = [got.json()["sha256"] for got in answers[60:]]
    assert uploads == [hashlib.sha256(bytes(size)).hexdigest() for size in sizes]


async def test_cookies(proxy: RunningProxy) -> None:
    origin = f"https://localhost:{proxy.https_port}"
    async with client_of(proxy) as client:
        baked = await client.get(f"{origin}/cookies")
        assert len(baked.headers.get_list("set-cookie")) == 2
        crumbs = [("cookie", "a=1"), ("cookie", "b=2")]
        told = (await client.get(f"{origin}/echo/cookies", headers=crumbs)).json()
    assert [value for name, value in told["headers"] if name == "cookie"] == ["a=1; b=2"]


async def test_events_come_one_by_one(proxy: RunningProxy) -> None:
    origin = f"https://localhost:{proxy.https_port}"
    async with client_of(proxy) as client, client.stream("GET", f"{origin}/events?count=3") as got:
        lines = got.aiter_lines()
        for number in range(3):
            assert (await client.post(f"{origin}/release")).status_code == 200
            assert await anext(lines) == f"data: {number}"
            assert await anext(lines) == ""


@pytest.mark.needs("curl")
def test_django_knows_no_difference(proxy: RunningProxy) -> None:
    told = []
    for version in ("--http1.1", "--http2"):
        done = curl(proxy, "/echo?x=y", version, "-H", "Cookie: a=1; b=2", host="daphne.test")
        told.append(json.loads(done.body))
        told[-1]["headers"] = sorted(
            [name, value]
            for name, value in told[-1]["headers"]
            if name not in ("via", "x-request-id")
        )
    assert told[0] == told[1]
