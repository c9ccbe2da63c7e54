"""The keeper's end of the control socket: questions in, answers from the supervisor out."""

import asyncio
import contextlib
import json
import logging
import socket
from collections.abc import Awaitable, Callable

from proxy.net import tasks
from proxy.run.control import Answer, may_ask

QUESTION_LIMIT = 4096
"""Bytes of a question."""

QUESTION_TIMEOUT = 5.0

MOST_CONNECTIONS = 32

LAST_ANSWERS = 2.0
"""Seconds."""

COMMANDS = frozenset({"health", "reload", "reopen", "status", "stop"})

Answering = Callable[[str], Awaitable[Answer]]

logger = logging.getLogger("pyproxy.run")


class ControlServer:
    """Answers on the control socket, one question a connection."""

    def __init__(self, sock: socket.socket, owner: int, answering: Answering) -> None:
        """Take the listening socket, the proxy's own user, and who knows the answers."""
        self._socket = sock
        self._owner = owner
        self._answering = answering
        self._open: set[asyncio.StreamWriter] = set()
        self._loop = asyncio.get_running_loop()
        self._accepting = False
        self._idle = asyncio.Event()
        self._idle.set()

    def start(self) -> None:
        """Begin to accept.

        Not by asyncio's server for unix sockets, which removes the socket's name when it closes:
        name and socket are the supervisor's, and the next keeper goes on with them.
        """
        self._socket.setblocking(False)  # noqa: FBT003 - has no name for it
        self._loop.add_reader(self._socket.fileno(), self._accept)
        self._accepting = True

    def close(self) -> None:
        """Accept nothing more, and hang up on everybody."""
        self._stop_accepting()
        for writer in self._open:
            writer.close()

    def _stop_accepting(self) -> None:
        if self._accepting:
            self._accepting = False
            self._loop.remove_reader(self._socket.fileno())

    def _accept(self) -> None:
        try:
            connection, _ = self._socket.accept()
        except OSError:  # it is gone again, or another keeper was quicker
            return
        if len(self._open) >= MOST_CONNECTIONS or not may_ask(connection, self._owner):
            connection.close()
        else:
            _ = tasks.start(self._serve(connection), name="control")

    async def drain(self) -> None:
        """Accept nothing more, and let those who wait have their answers, for a little while."""
        self._stop_accepting()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(LAST_ANSWERS):
                await self._idle.wait()

    async def _serve(self, connection: socket.socket) -> None:
        reader, writer = await asyncio.open_unix_connection(sock=connection, limit=QUESTION_LIMIT)
        self._open.add(writer)
        self._idle.clear()
        try:
            command = await self._question(reader)
            answer = await self._answer(command)
            writer.write(json.dumps(answer).encode() + b"\n")
            await writer.drain()
        except (OSError, EOFError, TimeoutError):
            pass  # whoever asked has left; it is not for us to complain
        finally:
            self._open.discard(writer)
            if not self._open:
                self._idle.set()
            writer.close()

    async def _question(self, reader: asyncio.StreamReader) -> str:
        try:
            async with asyncio.timeout(QUESTION_TIMEOUT):
                line = await reader.readuntil(b"\n")
            question = json.loads(line)
        except (ValueError, asyncio.LimitOverrunError, RecursionError):
            return ""
        return str(question.get("command")) if isinstance(question, dict) else ""

    async def _answer(self, command: str) -> Answer:
        if command not in COMMANDS:
            return {"ok": False, "why": f"the commands are {', '.join(sorted(COMMANDS))}"}
        try:
            return await self._answering(command)
        except Exception as error:  # an answer there must be
            logger.exception("no answer to %s", command)
            return {"ok": False, "why": f"{type(error).__name__}: {error}"}
