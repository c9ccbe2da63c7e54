"""Questions, answers and probes; with a real supervisor it is in tests/journeys."""

import asyncio
import os
import pickle
from collections.abc import AsyncIterator, Mapping
from pathlib import Path

import pytest

from proxy.net.log_files import open_logs
from proxy.run import control, keeper
from proxy.run.control import Answer, ask
from proxy.run.keeper import Keeper, Post
from proxy.run.link import Message, into_memory, pair
from proxy.state.health import HealthBoard
from proxy.state.shared import SharedState
from proxy.upstream.plan import PoolPlan
from tests.fakes.house import TEXT, force_of

UPSTREAM = TEXT.replace("respond: 204", 'proxy: "http://127.0.0.1:9"')


class Running:
    """A keeper in this process, and the supervisor's end of its link."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.supervisor, self.link = pair()
        self.control = control.listen(folder)
        force = force_of(folder)
        self.logs = open_logs(force.program.log)
        board = SharedState.create(1).health
        post = Post(force.loaded, force.program, self.control, os.geteuid(), board, None)
        self.keeping = asyncio.ensure_future(Keeper(post, self.link, self.logs).keep())  # noqa: TID251 - ended by the test

    async def heard(self, key: str) -> Message:
        """The next message that has `key`."""
        async with asyncio.timeout(10):
            while True:
                received = self.supervisor.receive()
                if received is None:
                    await asyncio.sleep(0.001)
                elif key in received.message:
                    return received.message

    async def asked(self, command: str, answer: Answer) -> Answer:
        """Ask over the control socket, and have the supervisor answer."""
        question = asyncio.ensure_future(asyncio.to_thread(ask, self.folder, command, 10.0))  # noqa: TID251 - awaited below
        message = await self.heard("ask")
        assert message["ask"] == command
        self.supervisor.send({"reply": message["id"], "answer": answer})
        return await question


@pytest.fixture
def probed(monkeypatch: pytest.MonkeyPatch) -> list[list[str]]:
    """The pools that were probed, for each time that probing began."""
    found: list[list[str]] = []

    async def run_probes(pools: Mapping[str, PoolPlan], _board: HealthBoard) -> None:
        found.append(list(pools))
        await asyncio.Event().wait()

    monkeypatch.setattr(keeper, "run_probes", run_probes)
    return found


@pytest.fixture
async def running(tmp_path: Path, probed: list[list[str]]) -> AsyncIterator[Running]:
    made = Running(tmp_path)
    assert await made.heard("is") == {"is": "ready"}
    assert await made.heard("is") == {"is": "beat"}
    assert probed == [[]]
    yield made
    made.supervisor.close()
    await made.keeping
    made.link.close()
    made.control.close()
    made.logs.close()


async def test_the_supervisor_answers_and_the_keeper_adds_certificates(running: Running) -> None:
    assert await running.asked("reload", {"ok": True, "generation": 2}) == {
        "ok": True,
        "generation": 2,
    }
    answer = await running.asked("status", {"ok": True, "status": {"pid": 1}})
    assert answer == {"ok": True, "status": {"pid": 1, "certificates": []}}


async def test_answers_to_nothing_are_ignored(running: Running) -> None:
    running.supervisor.send({"reply": 99, "answer": {}})
    running.supervisor.send({"reply": "1", "answer": []})
    running.supervisor.send({"do": "fork"})
    assert await running.asked("health", {"ok": True}) == {"ok": True}


async def test_a_supervisor_that_never_answers_is_told(
    running: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(keeper, "ANSWER_LIMIT", 0.01)
    answer = await asyncio.to_thread(ask, running.folder, "health", 10.0)
    assert answer == {"ok": False, "why": "the supervisor does not answer"}


async def test_probes_follow_the_configuration(running: Running, probed: list[list[str]]) -> None:
    for generation, text in enumerate((UPSTREAM, UPSTREAM, TEXT), 2):
        handle = into_memory(pickle.dumps(force_of(running.folder, text).loaded))
        running.supervisor.send({"do": "adopt", "generation": generation}, (handle,))
        os.close(handle)
        assert await running.asked("health", {"ok": True}) == {"ok": True}
    assert [len(pools) for pools in probed] == [0, 1, 0], "only a change begins them anew"


async def test_it_ends_when_it_is_told_to(running: Running) -> None:
    running.supervisor.send({"do": "drain", "timeout": 1})
    async with asyncio.timeout(10):
        await running.keeping
