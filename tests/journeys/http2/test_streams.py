"""Streams of one connection, frame by frame, and what becomes of their upstream requests."""

import asyncio
import json
import signal
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from proxy.wire import http2_frames as frames
from tests.journeys.clients.http2 import Http2Client
from tests.journeys.running import PATIENCE, RunningProxy, StartProxy, eventually
from tests.journeys.upstreams.server import Gate, Request, Upstream, Upstreams, answer, mirror

MB = 1 << 20


def proxying(start_proxy: StartProxy, folder: Path, upstream: Upstream) -> RunningProxy:
    return start_proxy(
        "log: {access: {format: json}}\n"
        f'sites: [{{hosts: [localhost], routes: [{{path: /, proxy: "{upstream.url}"}}]}}]',
        folder,
    )


class Endless:
    """An answer that goes on until its reader leaves."""

    def __init__(self) -> None:
        self.left = threading.Event()

    async def __call__(self, _request: Request, client: asyncio.StreamWriter) -> None:
        client.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
        try:
            while True:
                client.write(b"5\r\nhello\r\n")
                await client.drain()
                await asyncio.sleep(0.01)
        except ConnectionError:
            self.left.set()
            raise


def test_a_reset_cancels_the_upstream_request(
    start_proxy: StartProxy, tmp_path: Path, upstreams: Upstreams
) -> None:
    endless = Endless()
    proxy = proxying(start_proxy, tmp_path, upstreams(endless))
    with Http2Client(proxy) as client:
        number = client.ask("/")
        client.until(lambda: client.streams[number].body)
        assert not endless.left.is_set()
        client.library.reset_stream(number, 8)
        client.flush()
        assert endless.left.wait(PATIENCE)
        other = client.ask("/")
        client.until(lambda: client.streams[other].body)


def test_who_goes_away_cancels_all(
    start_proxy: StartProxy, tmp_path: Path, upstreams: Upstreams
) -> None:
    endless = Endless()
    proxy = proxying(start_proxy, tmp_path, upstreams(endless))
    with Http2Client(proxy) as client:
        number = client.ask("/")
        client.until(lambda: client.streams[number].body)
    assert endless.left.wait(PATIENCE)
    assert eventually(lambda: proxy.output().splitlines())


def test_trailers_and_interim_answers_come_through(
    start_proxy: StartProxy, tmp_path: Path, upstreams: Upstreams
) -> None:
    async def handle(_request: Request, client: asyncio.StreamWriter) -> None:
        client.write(b"HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n")
        client.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
        client.write(b"5\r\nhello\r\n0\r\nChecksum: 7\r\n\r\n")

    proxy = proxying(start_proxy, tmp_path, upstreams(handle))
    with Http2Client(proxy) as client:
        stream = client.get("/")
    assert stream.interim == ["103"]
    assert stream.body == b"hello"
    assert stream.trailers == [("checksum", "7")]


def test_requests_as_the_upstream_sees_them(
    start_proxy: StartProxy, tmp_path: Path, upstreams: Upstreams
) -> None:
    proxy = proxying(start_proxy, tmp_path, upstreams(mirror))
    with Http2Client(proxy) as client:
        number = client.ask(
            "/a%20b?c", "POST", end=False, cookie="a=1", x_own="y", x_forwarded_for="9"
        )
        client.library.send_data(number, b"hel")
        client.library.send_data(number, b"lo", end_stream=True)
        client.flush()
        seen = json.loads(client.answer(number).body)
    fields = dict(seen["fields"])
    assert (seen["method"], seen["target"], seen["body"]) == ("POST", "/a%20b?c", "hello")
    assert fields["host"] == f"localhost:{proxy.https_port}"
    assert (fields["cookie"], fields["x-own"]) == ("a=1", "y")
    assert (fields["x-forwarded-for"], fields["x-forwarded-proto"]) == ("127.0.0.1", "https")
    assert fields["via"] == "2.0 pyproxy"
    assert fields["content-length"] == "5", "it was kept until it was whole"
    entry = json.loads(eventually(lambda: proxy.output().splitlines())[0])
    assert (entry["version"], entry["status"], entry["bytes_received"]) == ("HTTP/2.0", 200, 5)


def test_a_stream_that_nobody_reads_holds_no_other_up(
    start_proxy: StartProxy, tmp_path: Path, upstreams: Upstreams
) -> None:
    async def handle(request: Request, client: asyncio.StreamWriter) -> None:
        client.write(answer(bytes(3 * MB) if request.target == "/big" else b"small"))

    proxy = proxying(start_proxy, tmp_path, upstreams(handle))
    with Http2Client(proxy) as client:
        client.library.increment_flow_control_window(100 * MB)
        client.flush()
        client.reads = False
        shut = [client.ask("/big") for _ in range(5)]
        client.until(lambda: all(len(client.streams[each].body) == 65_535 for each in shut))
        assert [client.get("/small").body for _ in range(50)] == [b"small"] * 50
        for each in shut:
            client.library.increment_flow_control_window(4 * MB, each)
        client.flush()
        assert [len(client.answer(each).body) for each in shut] == [3 * MB] * 5


def test_what_is_not_served_harms_no_other(
    start_proxy: StartProxy, tmp_path: Path, upstreams: Upstreams
) -> None:
    gate = Gate()
    proxy = proxying(start_proxy, tmp_path, upstreams(gate))
    with Http2Client(proxy) as client:
        running = client.ask("/")
        assert gate.asked.wait(PATIENCE)
        assert client.get("/../etc/passwd").status == 400
        assert client.get("/" + "x" * 9000).status == 414
        assert client.answer(client.ask("/", "TRACE")).status == 501
        gate.may_answer.set()
        assert client.answer(running).body == b"late"


FLOODS: dict[str, Callable[[int], bytes]] = {
    "settings": lambda _: frames.settings({}),
    "pings": lambda _: frames.frame(frames.PING, 0, 0, bytes(8)),
    "priorities": lambda number: frames.frame(frames.PRIORITY, 0, 2 * number + 1, bytes(5)),
    "continuations": lambda number: frames.frame(
        frames.CONTINUATION if number else frames.HEADERS, 0, 101, b""
    ),
    "windows": lambda _: frames.window_update(0, 1),
    "resets": lambda number: (
        frames.headers(2 * number + 101, b"\x82\x87\x84\x01\x09localhost", end=True)
        + frames.rst_stream(2 * number + 101, 8)
    ),
}


@pytest.mark.parametrize("flood", FLOODS)
def test_floods_end_their_own_connection_alone(
    start_proxy: StartProxy, tmp_path: Path, upstreams: Upstreams, flood: str
) -> None:
    proxy = proxying(start_proxy, tmp_path, upstreams(mirror))
    with Http2Client(proxy) as other, Http2Client(proxy) as client:
        assert other.get("/").status == 200
        client.raw(b"".join(FLOODS[flood](number) for number in range(6000)))
        client.until_closed()
        assert len(client.goaways) == 1
        assert other.get("/").status == 200


def test_a_stop_lets_streams_finish(
    start_proxy: StartProxy, tmp_path: Path, upstreams: Upstreams
) -> None:
    gate = Gate()
    proxy = proxying(start_proxy, tmp_path, upstreams(gate))
    with Http2Client(proxy) as client:
        running = client.ask("/")
        assert gate.asked.wait(PATIENCE)
        proxy.process.send_signal(signal.SIGTERM)
        client.until(lambda: client.goaways)
        assert client.goaways == [2**31 - 1]
        client.until(lambda: len(client.goaways) == 2)
        assert client.goaways[1] == running
        gate.may_answer.set()
        assert client.answer(running).body == b"late"
        client.until_closed()
    assert proxy.stop() == 0


def test_an_idle_connection_does_not_hold_a_stop_up(
    start_proxy: StartProxy, tmp_path: Path, upstreams: Upstreams
) -> None:
    proxy = proxying(start_proxy, tmp_path, upstreams(mirror))
    with Http2Client(proxy) as client:
        assert client.get("/").status == 200
        proxy.process.send_signal(signal.SIGTERM)
        client.until_closed()
    assert client.goaways[-1] == 1
    assert proxy.stop() == 0
