"""Memory while bodies of two gigabytes go through to a slow reader and from a slow writer."""

import http.client
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from ssl import SSLContext, SSLSocket
from typing import Self

from benchmarks import client, processes
from benchmarks.rig import Rig
from benchmarks.running import Launch, Running
from benchmarks.scenarios.scenario import Outcome, Scenario
from benchmarks.servers.server import Server
from benchmarks.stage import Options, free_port

TREE = Path(__file__).parents[2]
SIZE = 2 << 30
RATE = 200 << 20  # bytes a second, at most
STALL = 3.0  # seconds in which nothing is taken, or given, after the first quarter
GROWTH_MB = 16.0  # what the proxy may grow by, all its processes together
_PIECE = bytes(256 << 10)


class MemoryWatch:
    """Looks at the memory of a server ten times a second while it is entered."""

    def __init__(self, running: Running) -> None:
        self._running = running
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._watch)
        self.before_kb = processes.pss_kb(running.pids())
        self.most_kb = self.before_kb
        self.most_of_one_kb = 0

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()

    def _watch(self) -> None:
        while not self._over.wait(0.1):
            pids = self._running.pids()
            self.most_kb = max(self.most_kb, processes.pss_kb(pids))
            self.most_of_one_kb = max(self.most_of_one_kb, *map(processes.rss_kb, pids), 0)


class Pace:
    """Keeps a transfer of `size` bytes to a rate, and stalls it once after a quarter."""

    def __init__(self, size: int, rate: float, stall: float) -> None:
        self._quarter = size // 4
        self._rate = rate
        self._stall = stall
        self._free_at = 0.0

    def wait_for(self, count: int, done: int, now: float) -> float:
        """Seconds to wait before `count` more bytes, of which `done` went before, at time `now`."""
        begin = max(self._free_at, now)
        if done <= self._quarter < done + count:
            begin += self._stall
        self._free_at = begin + count / self._rate
        return begin - now


class BulkBody(Scenario):
    """The body must arrive whole, and the proxy must not grow with it."""

    def __init__(self, key: str, title: str, transfer: Callable[[int, SSLContext], int]) -> None:
        self.key = key
        self.title = title
        self._transfer = transfer

    def play(self, rig: Rig, server: Server) -> Outcome:
        """Bytes that arrived, and the most memory at any time."""
        everything = rig.stage.cores.everything
        port = free_port()
        options = Options(body=2 * SIZE)
        part = rig.part(server, workers=2, cores=everything, options=options, origin_port=port)
        part.folder.mkdir()
        command = [sys.executable, "-m", "benchmarks.scenarios.bulk_origin", str(port)]
        origin = Running(
            "origin", Launch(command, everything, TREE, {}), port, part.folder / "origin.log"
        )
        try:
            with rig.fresh(server, part) as running, MemoryWatch(running) as memory:
                begun = time.monotonic()
                arrived = self._transfer(running.port, rig.context)
                took = time.monotonic() - begun
        finally:
            origin.stop()
        grown = (memory.most_kb - memory.before_kb) / 1024
        return Outcome(
            arrived == SIZE and grown <= GROWTH_MB,
            {
                "bytes missing": SIZE - arrived,
                "seconds": took,
                "memory before MB": memory.before_kb / 1024,
                "most MB": memory.most_kb / 1024,
                "grown by MB": grown,
                "most of one process MB": memory.most_of_one_kb / 1024,
            },
        )


def download(port: int, context: SSLContext) -> int:
    """Read an answer of SIZE bytes slowly; return how many came."""
    pace, received = Pace(SIZE, RATE, STALL), 0
    with client.connect(port, context, timeout=60.0) as tls:
        tls.sendall(request_head("GET", f"/{SIZE}"))
        answer = http.client.HTTPResponse(tls)
        answer.begin()
        buffer = bytearray(len(_PIECE))
        while count := answer.readinto(buffer):
            time.sleep(pace.wait_for(count, received, time.monotonic()))
            received += count
    return received


def upload(port: int, context: SSLContext) -> int:
    """Write a request of SIZE bytes slowly; return how many the upstream says came."""
    pace = Pace(SIZE, RATE, STALL)
    with client.connect(port, context, timeout=60.0) as tls:
        tls.sendall(request_head("POST", "/upload", SIZE))
        for done in range(0, SIZE, len(_PIECE)):
            time.sleep(pace.wait_for(len(_PIECE), done, time.monotonic()))
            tls.sendall(_PIECE)
        return counted(tls)


def counted(tls: SSLSocket) -> int:
    """The number that the upstream answers with; 0 where the answer is another."""
    answer = http.client.HTTPResponse(tls)
    answer.begin()
    body = answer.read()
    return int(body) if answer.status == http.HTTPStatus.OK else 0


def request_head(method: str, path: str, length: int | None = None) -> bytes:
    """The head of a request, with Content-Length where there is a body."""
    body = "" if length is None else f"Content-Length: {length}\r\n"
    return f"{method} {path} HTTP/1.1\r\nHost: localhost\r\n{body}\r\n".encode("ascii")
