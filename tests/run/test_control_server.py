import asyncio
import json
import os
import socket
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from proxy.run import control
from proxy.run.control import Answer, ask
from proxy.run.control_server import MOST_CONNECTIONS, ControlServer


class Answers:
    """Knows what it was asked, and answers when it may."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.arrivals: asyncio.Queue[str] = asyncio.Queue()
        self.may_answer = asyncio.Event()
        self.may_answer.set()

    async def __call__(self, command: str) -> Answer:
        self.asked.append(command)
        self.arrivals.put_nowait(command)
        await self.may_answer.wait()
        if command == "reload":
            raise RuntimeError("no idea")
        return {"ok": True, "command": command}


@pytest.fixture
async def answers() -> Answers:
    return Answers()


@pytest.fixture
async def server(tmp_path: Path, answers: Answers) -> AsyncIterator[ControlServer]:
    with control.listen(tmp_path) as sock:
        made = ControlServer(sock, os.geteuid(), answers)
        made.start()
        yield made
        made.close()
        await made.drain()


async def said(folder: Path, data: bytes) -> bytes:
    reader, writer = await asyncio.open_unix_connection(folder / "control.sock")
    try:
        writer.write(data)
        return await reader.read()
    except OSError:  # hung up on in the middle of the question
        return b""
    finally:
        writer.close()


@pytest.mark.usefixtures("server")
async def test_questions_are_answered(tmp_path: Path, answers: Answers) -> None:
    found = await asyncio.to_thread(ask, tmp_path, "status", 5.0)
    assert found == {"ok": True, "command": "status"}
    assert answers.asked == ["status"]


@pytest.mark.usefixtures("server")
@pytest.mark.parametrize(
    "question",
    [
        b"{}\n", b"[]\n", b"\n", b"nonsense\n", b'{"command": "fork"}\n',
        b"x" * 10_000, b"[" * 4000 + b"\n",
    ],
    ids=["none", "list", "empty", "no-json", "unknown", "long", "deep"],
)  # fmt: skip
async def test_nonsense_is_told_what_there_is(
    tmp_path: Path, answers: Answers, question: bytes
) -> None:
    answer = json.loads(await said(tmp_path, question))
    assert answer["ok"] is False
    assert "health, reload, reopen, status, stop" in answer["why"]
    assert answers.asked == []


@pytest.mark.usefixtures("server")
async def test_a_failure_is_an_answer(tmp_path: Path) -> None:
    answer = json.loads(await said(tmp_path, b'{"command": "reload"}\n'))
    assert answer == {"ok": False, "why": "RuntimeError: no idea"}


@pytest.mark.usefixtures("server")
async def test_who_hangs_up_is_no_trouble(tmp_path: Path) -> None:
    reader, writer = await asyncio.open_unix_connection(tmp_path / "control.sock")
    writer.write(b'{"comm')
    writer.close()
    await writer.wait_closed()
    assert await reader.read() == b""
    assert b"true" in await said(tmp_path, b'{"command": "health"}\n')


async def test_a_stranger_is_hung_up_on(tmp_path: Path, answers: Answers) -> None:
    with control.listen(tmp_path) as sock:
        server = ControlServer(sock, os.geteuid(), answers)
        server._owner = -1
        server.start()
        if os.geteuid() == 0:  # whom nothing is refused
            assert b"true" in await said(tmp_path, b'{"command": "health"}\n')
        else:
            assert await said(tmp_path, b'{"command": "health"}\n') == b""
        server.close()


@pytest.mark.usefixtures("server")
async def test_there_is_an_end_to_how_many_may_wait(tmp_path: Path, answers: Answers) -> None:
    answers.may_answer.clear()
    waiting = [
        asyncio.ensure_future(said(tmp_path, b'{"command": "health"}\n'))  # noqa: TID251 - a client's
        for _ in range(MOST_CONNECTIONS)
    ]
    for _ in waiting:
        await answers.arrivals.get()
    assert await said(tmp_path, b'{"command": "health"}\n') == b""
    answers.may_answer.set()
    for answer in await asyncio.gather(*waiting):
        assert b"true" in answer


async def test_the_last_answers_are_given_and_the_socket_stays(
    tmp_path: Path, server: ControlServer, answers: Answers
) -> None:
    answers.may_answer.clear()
    last = asyncio.ensure_future(said(tmp_path, b'{"command": "health"}\n'))  # noqa: TID251 - a client's
    await answers.arrivals.get()
    asyncio.get_running_loop().call_soon(answers.may_answer.set)
    await server.drain()
    assert b"true" in await last
    server.close()
    with socket.socket(socket.AF_UNIX) as client:  # the next keeper's to accept
        client.connect(str(tmp_path / "control.sock"))
