"""Orders and their effect, with a server that only remembers; the real one is in tests/journeys."""

import asyncio
import gc
import os
import pickle
from collections.abc import AsyncIterator, Callable, Sequence
from pathlib import Path

import pytest

from proxy.net.log_files import Logs, open_logs
from proxy.net.tls_contexts import TlsFront
from proxy.routing.program import Program
from proxy.run import worker
from proxy.run.link import Message, into_memory, pair
from proxy.run.worker import Post, Worker
from proxy.state.shared import SharedState
from tests.fakes.house import TEXT, force_of


class FakeServer:
    """Remembers what it was told."""

    def __init__(self, program: Program, *_: object) -> None:
        self.program = program
        self.events: list[object] = []
        self.drained = asyncio.Event()
        self.failure: Exception | None = None

    async def start(self) -> None:
        self.events.append("start")

    def prepare(self, program: Program) -> Callable[[], None]:
        if self.failure is not None:
            raise self.failure

        def swap() -> None:
            self.program = program

        return swap

    async def drain(self, timeout: float) -> None:  # noqa: ASYNC109 - as the real one
        self.events.append(("drain", timeout))
        await self.drained.wait()

    def status(self) -> dict[str, object]:
        return {"requests": 7}

    def reopen_logs(self) -> None:
        self.events.append("reopen")

    def close(self) -> None:
        self.events.append("close")


class Running:
    """A worker that serves in this process, and the supervisor's end of its link."""

    def __init__(self, folder: Path, logs: Logs) -> None:
        self.folder = folder
        self.supervisor, self.link = pair()
        self.heard: list[Message] = []
        force = force_of(folder)
        share = SharedState.create(1).worker(0)
        post = Post(0, 1, force.program, (), TlsFront(), share, 2, None)
        self.worker = Worker(post, self.link, logs)
        server = self.worker._server
        assert isinstance(server, FakeServer)
        self.server = server
        self.serving = asyncio.ensure_future(self.worker.serve())  # noqa: TID251 - ended by the test

    async def told(self, order: Message, content: bytes = b"") -> None:
        """Give an order and let it take effect."""
        handles = (into_memory(content),) if content else ()
        self.supervisor.send(order, handles)
        for handle in handles:
            os.close(handle)
        for _ in range(5):
            await asyncio.sleep(0)
        while (received := self.supervisor.receive()) is not None:
            self.heard.append(received.message)

    def said(self, what: str) -> list[Message]:
        return [message for message in self.heard if message["is"] == what]


@pytest.fixture
async def running(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Running]:
    monkeypatch.setattr(worker, "WorkerServer", FakeServer)
    logs = open_logs(force_of(tmp_path).program.log)
    made = Running(tmp_path, logs)
    await made.told({"do": "nothing that is known"})
    yield made
    made.server.drained.set()
    if not made.serving.done():
        await made.told({"do": "close"})
        await made.serving
    made.supervisor.close()
    made.link.close()
    logs.close()
    gc.unfreeze()


async def test_it_says_that_it_serves_and_that_it_lives(running: Running) -> None:
    assert [message["is"] for message in running.heard] == ["ready", "beat"]
    assert running.server.events == ["start"]


async def test_it_swaps_when_it_is_told_to_and_not_before(running: Running) -> None:
    before = running.server.program
    new = force_of(running.folder, TEXT.replace("drain_timeout: 7s", "drain_timeout: 9s"), 2)
    await running.told({"do": "prepare", "generation": 2}, pickle.dumps(new.loaded))
    assert running.said("prepared") == [{"is": "prepared", "generation": 2, "why": ""}]
    assert running.server.program is before
    await running.told({"do": "commit", "generation": 2})
    assert running.server.program.drain_timeout == 9.0
    await running.told({"do": "status", "id": 5})
    assert running.said("status") == [
        {
            "is": "status",
            "id": 5,
            "status": {"requests": 7, "generation": 2, "rate_limits": {}},
        }
    ]


async def test_it_says_why_it_cannot_swap_and_serves_on(running: Running) -> None:
    running.server.failure = ValueError("no such cipher")
    new = force_of(running.folder, TEXT, 2)
    await running.told({"do": "prepare", "generation": 2}, pickle.dumps(new.loaded))
    (answer,) = running.said("prepared")
    assert answer["why"] == "ValueError: no such cipher"
    await running.told({"do": "abandon"})
    assert not running.serving.done()


async def test_told_to_swap_what_it_has_not_prepared_it_ends(running: Running) -> None:
    await running.told({"do": "commit", "generation": 2})
    with pytest.raises(RuntimeError, match="not prepared"):
        await running.serving


async def test_it_drains_and_ends(running: Running) -> None:
    await running.told({"do": "drain", "timeout": 3.5})
    assert running.server.events == ["start", ("drain", 3.5)]
    assert not running.serving.done()
    running.server.drained.set()
    await running.serving


async def test_the_second_order_to_end_means_now(running: Running) -> None:
    await running.told({"do": "drain", "timeout": 3.5})
    await running.told({"do": "close"})
    await running.serving
    assert running.server.events == ["start", ("drain", 3.5), "close"]


async def test_told_to_close_it_does_not_drain(running: Running) -> None:
    await running.told({"do": "close"})
    await running.serving
    assert running.server.events == ["start", "close"]


async def test_left_alone_it_drains_for_a_short_while(running: Running) -> None:
    running.supervisor.close()
    for _ in range(5):
        await asyncio.sleep(0)
    assert running.server.events == ["start", ("drain", worker.ORPHAN_DRAIN)]
    running.server.drained.set()
    await running.serving


async def test_it_opens_its_logs_again(running: Running) -> None:
    await running.told({"do": "reopen"})
    assert running.server.events == ["start", "reopen"]


def test_a_large_block_was_freed_before_serving(monkeypatch: pytest.MonkeyPatch) -> None:
    sizes: list[int] = []

    def block(size: int) -> Sequence[int]:
        sizes.append(size)
        return ()

    monkeypatch.setattr(worker, "bytearray", block, raising=False)
    worker.cure_heap()
    assert sizes == [8 << 20]
