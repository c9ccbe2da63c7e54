"""The keeper: one process for everything that is not serving: control socket, health probes.

It has no more privileges than a worker; what takes some, it asks the supervisor for.
"""

import asyncio
import contextlib
import itertools
import logging
import signal
import socket
from collections.abc import Callable
from dataclasses import dataclass

import uvloop

from proxy.clock import utc_now
from proxy.compiler.program import compile_program
from proxy.net import tasks
from proxy.net.log_files import Logs, open_logs
from proxy.net.probes import run_probes
from proxy.routing.program import Program
from proxy.run import privileges, stray_output
from proxy.run.control import Answer
from proxy.run.control_server import ControlServer
from proxy.run.expiry import expiries
from proxy.run.link import Link, LinkError, Message, from_memory
from proxy.run.loading import Loaded, unpickled
from proxy.run.member import Member
from proxy.state.health import HealthBoard

ANSWER_LIMIT = 300.0
"""Seconds for the supervisor's answer: a reload waits for slow files and for new workers."""

logger = logging.getLogger("pyproxy.run")


@dataclass(frozen=True, slots=True)
class Post:
    """What the keeper is given on its way.

    Attributes:
        control: The control socket, listening.
        owner: The supervisor's user, who may give orders besides root.
        board: Where the probes' verdicts go.
    """

    loaded: Loaded
    program: Program
    control: socket.socket
    owner: int
    board: HealthBoard
    identity: privileges.Identity | None


class Keeper:
    """The keeper's orders and their effect. `keep` lives as long as the keeper."""

    def __init__(self, post: Post, link: Link, logs: Logs) -> None:
        self._loaded = post.loaded
        self._program = post.program
        self._board = post.board
        self._logs = logs
        self._numbers = itertools.count(1)
        self._waiting: dict[int, asyncio.Future[Answer]] = {}
        self._loop = asyncio.get_running_loop()
        self._leave: asyncio.Future[None] = self._loop.create_future()
        self._probes: asyncio.Task[None] | None = None
        self._control = ControlServer(post.control, post.owner, self._ask)
        self._member = Member(link, self._obey, self._end)
        self._orders: dict[str, Callable[[Message, list[int]], None]] = {
            "adopt": self._adopt,
            "close": self._close,
            "drain": self._close,
            "reopen": self._reopen,
        }

    async def keep(self) -> None:
        """Answer and probe until told otherwise."""
        for number in (signal.SIGTERM, signal.SIGQUIT):
            self._loop.add_signal_handler(number, self._end)
        self._loop.add_signal_handler(signal.SIGUSR1, self._logs.reopen)
        self._control.start()
        self._probe()
        self._member.tell({"is": "ready"})
        self._member.begin_to_beat()
        try:
            await self._leave
            await self._control.drain()
        finally:
            self._control.close()
            self._member.leave()
            if self._probes is not None:
                self._probes.cancel()

    def _probe(self) -> None:
        """Probe what the configuration in force says."""
        if self._probes is not None:
            self._probes.cancel()
        self._probes = tasks.start(run_probes(self._program.pools, self._board), name="probes")

    def _end(self) -> None:
        if not self._leave.done():
            self._leave.set_result(None)

    async def _ask(self, command: str) -> Answer:
        """Have the supervisor answer a question, and add what the keeper knows."""
        number = next(self._numbers)
        future: asyncio.Future[Answer] = self._loop.create_future()
        self._waiting[number] = future
        try:
            self._member.tell({"ask": command, "id": number})
            async with asyncio.timeout(ANSWER_LIMIT):
                answer = await future
        except TimeoutError:
            return {"ok": False, "why": "the supervisor does not answer"}
        finally:
            del self._waiting[number]
        status = answer.get("status")
        if isinstance(status, dict):
            status["certificates"] = expiries(self._loaded.sources.certificates, utc_now())
        return answer

    def _obey(self, message: Message, descriptors: list[int]) -> None:
        match message:
            case {"reply": int(number), "answer": dict(answer)}:
                future = self._waiting.get(number)
                if future is not None and not future.done():
                    future.set_result(answer)
            case {"do": str(order)} if order in self._orders:
                self._orders[order](message, descriptors)

    def _adopt(self, _message: Message, descriptors: list[int]) -> None:
        """Take on the configuration that the workers serve now."""
        loaded = unpickled(from_memory(descriptors[0]))
        program = compile_program(loaded.settings, loaded.sources)
        self._loaded = loaded
        if program.pools != self._program.pools:
            self._program = program
            self._probe()

    def _close(self, _message: Message, _descriptors: list[int]) -> None:
        self._end()

    def _reopen(self, _message: Message, _descriptors: list[int]) -> None:
        self._logs.reopen()


async def _keep(post: Post, link: Link) -> None:
    logs = open_logs(post.program.log)
    try:
        await Keeper(post, link, logs).keep()
    except Exception:
        logger.exception("the keeper failed")
        raise
    finally:
        logs.close()


def run(post: Post, link: Link) -> int:
    """Be the keeper, from just after the fork to the end. Return the exit code."""
    stray_output.to_log()
    try:
        privileges.become(post.identity)
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.run(_keep(post, link))
    except Exception as error:  # noqa: BLE001 - the supervisor is told, whatever it is
        with contextlib.suppress(LinkError):
            link.send({"is": "failed", "why": f"{type(error).__name__}: {error}"})
        return 1
    return 0
