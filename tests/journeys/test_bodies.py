"""Bodies of any size, slow peers, and peers that go away."""

import contextlib
import json
import threading
from collections.abc import Iterable, Iterator
from contextlib import ExitStack
from pathlib import Path

import httpx
import pytest

from tests.journeys.apps.patterned import digest, pieces
from tests.journeys.apps.running import gunicorn, proxying, uvicorn
from tests.journeys.clients.raw import RawClient, tls_context
from tests.journeys.running import PATIENCE, RunningProxy, children_of, eventually

CONFIG = """
user: null
limits: {body: 300MB}
upstreams:
  shielded: {servers: ["http://127.0.0.1:${UVICORN}"]}
  streamed: {servers: ["http://127.0.0.1:${UVICORN}"], buffering: off}
  gunicorn: {servers: ["http://127.0.0.1:${GUNICORN}"]}
sites:
  - hosts: [localhost]
    routes:
      - {path: /, proxy: shielded}
      - {path: /streamed/, proxy: streamed, strip_prefix: true}
      - {path: /gunicorn/, proxy: gunicorn, strip_prefix: true}
"""
MEGABYTE = 1024 * 1024
LARGE = 200 * MEGABYTE
GROWTH = 2 * MEGABYTE
"""Most that the proxy may take for such a body: 1 MB for it, the rest is the heap's own."""


@pytest.fixture(scope="module")
def proxy(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningProxy]:
    folder = tmp_path_factory.mktemp("bodies")
    with ExitStack() as stack:
        ports = {
            start.__name__.upper(): stack.enter_context(start(folder)).port
            for start in (uvicorn, gunicorn)
        }
        yield stack.enter_context(proxying(CONFIG, folder, **ports))


@pytest.fixture
def client(proxy: RunningProxy) -> Iterator[RawClient]:
    with RawClient(proxy, small=True) as client:
        yield client


@pytest.fixture
def other(proxy: RunningProxy) -> Iterator[httpx.Client]:
    """Somebody else, with connections of its own."""
    with httpx.Client(
        base_url=f"https://localhost:{proxy.https_port}",
        verify=tls_context(proxy.ca_file),
        timeout=PATIENCE,
        trust_env=False,
    ) as client:
        yield client


def counts(other: httpx.Client) -> dict[str, int]:
    found: dict[str, int] = other.get("/counts").json()
    return found


class Memory:
    """The most memory the proxy's processes took, looked at while something happens."""

    def __init__(self, proxy: RunningProxy) -> None:
        self._pids = children_of(proxy.pid)
        assert self._pids
        self.before = self._look()
        self.most = self.before

    def _look(self) -> int:
        total = 0
        for pid in self._pids:
            for line in Path(f"/proc/{pid}/status").read_text().splitlines():
                if line.startswith("RssAnon:"):
                    total += int(line.split()[1]) * 1024
        return total

    def look(self) -> None:
        self.most = max(self.most, self._look())

    @property
    def growth(self) -> int:
        return self.most - self.before


def read_all(client: RawClient, size: int, memory: Memory) -> Iterator[bytes]:
    """Yield a body, with a look at the proxy's memory at each megabyte."""
    left, looked = size, 0
    while left:
        piece = client.piece()
        left -= len(piece)
        looked += len(piece)
        if looked > MEGABYTE:
            memory.look()
            looked = 0
        yield piece


def warm_up(other: httpx.Client) -> None:
    """Let the worker make its first buffers and grow its heap to its usual size."""
    for prefix in ("", "/streamed"):
        assert len(other.get(f"{prefix}/download?size={8 * MEGABYTE}").content) == 8 * MEGABYTE
        other.post(f"{prefix}/upload", content=pieces(8 * MEGABYTE)).raise_for_status()


def is_at_rest(looks: Iterable[int]) -> bool:
    """Tell whether a number stayed as it was."""
    return len(set(looks)) == 1


@pytest.mark.parametrize("prefix", ["", "/streamed"])
def test_a_large_download_to_a_slow_reader(
    client: RawClient, other: httpx.Client, proxy: RunningProxy, prefix: str
) -> None:
    warm_up(other)
    memory = Memory(proxy)
    client.send(f"GET {prefix}/download?size={LARGE} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
    assert client.head()["content-length"] == str(LARGE)
    first = client.read(MEGABYTE)
    if prefix:
        sent = [0, 1, 2]
        while not is_at_rest(sent):  # until nobody takes any more of it
            sent = [*sent[1:], counts(other)["sent"]]
            memory.look()
        assert sent[0] < 40 * MEGABYTE, "the application waits for the client"
    else:
        eventually(lambda: counts(other)["sent"] == LARGE, 2 * PATIENCE)
        memory.look()
    found = digest([first, *read_all(client, LARGE - MEGABYTE, memory)])
    assert found == digest(pieces(LARGE))
    assert memory.growth < GROWTH


@pytest.mark.parametrize("prefix", ["", "/streamed"])
@pytest.mark.parametrize("framing", ["length", "chunked"])
def test_a_large_upload_from_a_slow_writer(
    client: RawClient, other: httpx.Client, proxy: RunningProxy, prefix: str, framing: str
) -> None:
    warm_up(other)
    uploads = counts(other)["uploads"]
    memory = Memory(proxy)
    chunked = framing == "chunked"
    line = "Transfer-Encoding: chunked" if chunked else f"Content-Length: {LARGE}"
    client.send(f"POST {prefix}/upload HTTP/1.1\r\nHost: localhost\r\n{line}\r\n\r\n".encode())
    body = pieces(LARGE)
    for number, piece in enumerate(body):
        client.send(b"%x\r\n%b\r\n" % (len(piece), piece) if chunked else piece)
        if number % 16 == 0:
            memory.look()
        if number == 160:
            if prefix:  # it streams: the application has all but what lies in buffers
                eventually(lambda: counts(other)["received"] > 4 * MEGABYTE)
                assert counts(other)["uploads"] == uploads + 1
            else:
                assert counts(other)["uploads"] == uploads, "it is spared all waiting"
    if chunked:
        client.send(b"0\r\n\r\n")
    told = json.loads(client.answer().body)
    memory.look()
    assert (told["size"], told["sha256"]) == (LARGE, digest(pieces(LARGE)))
    assert told["length"] == ("" if chunked and prefix else str(LARGE))
    assert memory.growth < GROWTH


# A synchronous worker has time for one client at a time.


def test_a_slow_upload_does_not_hold_a_sync_worker(client: RawClient, other: httpx.Client) -> None:
    body = b"".join(pieces(3 * MEGABYTE))
    head = (
        f"POST /gunicorn/upload HTTP/1.1\r\nHost: localhost\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    client.send(head.encode() + body[:MEGABYTE])
    for _ in range(3):
        assert other.get("/gunicorn/echo").status_code == 200
    client.send(body[MEGABYTE:])
    told = json.loads(client.answer().body)
    assert told["sha256"] == digest([body])


def test_a_slow_download_does_not_hold_a_sync_worker(
    client: RawClient, other: httpx.Client
) -> None:
    size = 30 * MEGABYTE
    client.send(f"GET /gunicorn/download?size={size} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
    assert client.head().status == 200
    for _ in range(3):
        assert other.get("/gunicorn/echo").status_code == 200
    assert digest([client.read(size)]) == digest(pieces(size))


def test_many_slow_clients_of_one_sync_worker(proxy: RunningProxy, other: httpx.Client) -> None:
    size = 5 * MEGABYTE
    with ExitStack() as stack:
        slow = [stack.enter_context(RawClient(proxy, small=True)) for _ in range(12)]
        for each in slow:
            each.send(
                f"GET /gunicorn/download?size={size} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode()
            )
        for each in slow:
            assert each.head().status == 200
        assert other.get("/gunicorn/echo").status_code == 200
        expected = digest(pieces(size))
        for each in slow:
            assert digest([each.read(size)]) == expected


# What must not be held back.


@pytest.mark.parametrize("prefix", ["", "/streamed"])
def test_events_arrive_one_by_one(client: RawClient, other: httpx.Client, prefix: str) -> None:
    """Each is sent when the one before has arrived: one that were held back would be the last."""
    client.send(f"GET {prefix}/events?count=5 HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
    head = client.head()
    assert head["content-type"].startswith("text/event-stream")
    for number in range(5):
        other.post("/release").raise_for_status()
        assert client.read_until(b"\n\n\r\n").endswith(b"data: %d\n\n\r\n" % number)
    assert client.read_until(b"0\r\n\r\n") == b"0\r\n\r\n"
    assert client.ask("GET /echo").status == 200


def test_the_first_bytes_of_a_download_do_not_wait_for_the_last(
    client: RawClient, other: httpx.Client
) -> None:
    client.send(b"GET /events?count=1 HTTP/1.1\r\nHost: localhost\r\n\r\n")
    assert client.head().status == 200, "a head goes out before there is a body"
    other.post("/release").raise_for_status()
    assert client.read_until(b"0\r\n\r\n").endswith(b"data: 0\n\n\r\n0\r\n\r\n")


# Clients that go away.


def test_a_client_that_leaves_cancels_its_request(client: RawClient, other: httpx.Client) -> None:
    before = counts(other)
    client.send(b"GET /hang HTTP/1.1\r\nHost: localhost\r\n\r\n")
    eventually(lambda: counts(other).get("hanging", 0) > before.get("hanging", 0))
    assert counts(other).get("left", 0) == before.get("left", 0)
    client.close()
    eventually(lambda: counts(other).get("left", 0) > before.get("left", 0))


@pytest.mark.parametrize("prefix", ["", "/streamed"])
def test_a_client_that_leaves_cancels_its_download(
    client: RawClient, other: httpx.Client, prefix: str
) -> None:
    before = counts(other)
    size = 1024 * MEGABYTE
    client.send(f"GET {prefix}/download?size={size} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
    client.read(100_000)
    client.close()
    name = "downloads given up"
    eventually(lambda: counts(other).get(name, 0) > before.get(name, 0))


@pytest.mark.parametrize("prefix", ["", "/streamed"])
def test_a_client_that_leaves_in_its_upload(
    client: RawClient, other: httpx.Client, proxy: RunningProxy, prefix: str
) -> None:
    before = counts(other).get("uploads", 0)
    head = f"POST {prefix}/upload HTTP/1.1\r\nHost: localhost\r\nContent-Length: 5000000\r\n\r\n"
    client.send(head.encode() + b"x" * 1_000_000)
    if prefix:
        eventually(lambda: counts(other).get("uploads", 0) == before + 1)
    client.close()
    eventually(lambda: f'"POST {prefix}/upload HTTP/1.1" 499' in proxy.output())
    assert other.post(f"{prefix}/upload", content=b"abc").json()["size"] == 3
    assert counts(other)["uploads"] == before + (2 if prefix else 1)


def test_nothing_is_left_over_when_clients_leave(proxy: RunningProxy, other: httpx.Client) -> None:
    """Temporary files and connections of the worker, by its open file descriptors."""

    def descriptors() -> int:
        return sum(len(list(Path(f"/proc/{pid}/fd").iterdir())) for pid in children_of(proxy.pid))

    counts(other)
    before = descriptors()
    for _ in range(3):
        with ExitStack() as stack:
            leaving = [stack.enter_context(RawClient(proxy, small=True)) for _ in range(8)]
            for number, each in enumerate(leaving):
                if number % 2:
                    each.send(b"GET /download?size=9000000 HTTP/1.1\r\nHost: localhost\r\n\r\n")
                    each.read(1000)
                else:
                    each.send(b"POST /upload HTTP/1.1\r\nHost: localhost\r\n")
                    each.send(b"Content-Length: 900000\r\n\r\n" + b"x" * 500_000)
    # Of the connections to the upstream as many may be kept alive as ran at once.
    eventually(lambda: descriptors() <= before + 8)


def test_many_at_once(proxy: RunningProxy) -> None:
    """Bodies of many clients, up and down at the same time, do not mix."""
    failures: list[str] = []

    def work(number: int) -> None:
        size = 100_000 + number * 77_777
        expected = digest(pieces(size))
        with RawClient(proxy) as client, contextlib.suppress(OSError):
            for prefix in ("", "/streamed", "/gunicorn"):
                body = client.ask(f"GET {prefix}/download?size={size}").body
                whole = b"".join(pieces(size))
                told = client.ask(
                    f"POST {prefix}/upload", f"Content-Length: {size}", body=whole
                ).body
                if digest([body]) == expected == json.loads(told)["sha256"]:
                    continue
                failures.append(f"{prefix} {number}")
            return
        failures.append(f"{number} failed")

    threads = [threading.Thread(target=work, args=(number,)) for number in range(12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failures
