"""A worker: one process, one event loop, one WorkerServer, and the supervisor's orders."""

import asyncio
import contextlib
import gc
import logging
import signal
from collections.abc import Callable
from dataclasses import dataclass, replace

import uvloop

from proxy.compiler.program import compile_program
from proxy.net import tasks
from proxy.net.listen import ListenSocket
from proxy.net.log_files import Logs, open_logs
from proxy.net.server import WorkerServer
from proxy.net.tls_contexts import TlsFront
from proxy.routing.program import Program
from proxy.run import privileges, stray_output
from proxy.run.link import Link, LinkError, Message, from_memory
from proxy.run.loading import unpickled
from proxy.run.member import Member
from proxy.state.shared import WorkerShare

ORPHAN_DRAIN = 5.0
"""Most seconds for running requests once the supervisor is gone and another may be starting."""

LARGE_BLOCK = 8 << 20
"""Bytes; glibc's threshold follows up to 32 MB."""

GC_THRESHOLDS = (50_000, 20, 50)
"""A request makes hardly any cycles: looking for them every 700 objects (the default) is waste."""

logger = logging.getLogger("pyproxy.run")


@dataclass(frozen=True, slots=True)
class Post:
    """What a worker is given on its way. All of it was made before the fork.

    Attributes:
        slot: Which of the workers it is.
        generation: Of the configuration that `program` was compiled from.
        workers: How many there are.
        identity: Whom to become.
    """

    slot: int
    generation: int
    program: Program
    listeners: tuple[ListenSocket, ...]
    front: TlsFront
    share: WorkerShare
    workers: int
    identity: privileges.Identity | None


def cure_heap() -> None:
    """Keep glibc from giving memory back, and asking for it again, with every request.

    Freeing one large block raises the size from which malloc asks the kernel for each block by
    itself (the dynamic mmap threshold, mallopt(3)). Otherwise buffers of 256 KB come and go with
    page faults, at three times the processor time for a small answer over TLS.
    """
    block = bytearray(LARGE_BLOCK)
    del block


def settle_garbage() -> None:
    """Collect what a load left behind, and keep the rest out of every later collection."""
    gc.unfreeze()
    gc.collect()
    gc.freeze()


class Worker:
    """The worker's orders and their effect. `serve` lives as long as the worker."""

    def __init__(self, post: Post, link: Link, logs: Logs) -> None:
        self._post = post
        self._logs = logs
        self._generation = post.generation
        self._drain_timeout = post.program.drain_timeout
        self._server = WorkerServer(
            post.program, post.listeners, post.front, post.share, logs, post.workers
        )
        self._swap: Callable[[], None] | None = None
        self._prepared: tuple[int, Program] | None = None
        self._leave: asyncio.Future[float] = asyncio.get_running_loop().create_future()
        self._at_once: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._member = Member(link, self._obey, self._left_alone)
        self._orders: dict[str, Callable[[Message, list[int]], None]] = {
            "abandon": self._abandon,
            "close": self._close,
            "commit": self._commit,
            "drain": self._drain,
            "prepare": self._prepare,
            "reopen": self._reopen,
            "status": self._status,
        }

    async def serve(self) -> None:
        """Serve until told otherwise, then let running requests finish."""
        self._take_signals()
        await self._server.start()
        settle_garbage()
        self._member.tell({"is": "ready"})
        self._member.begin_to_beat()
        patience = await self._leave
        if patience > 0:
            await self._drained(patience)
        else:
            self._server.close()
        self._member.leave()

    async def _drained(self, patience: float) -> None:
        """Let running requests finish, unless told to end at once."""
        draining = tasks.start(self._server.drain(patience), name="drain")
        await asyncio.wait({draining, self._at_once}, return_when=asyncio.FIRST_COMPLETED)
        if not draining.done():
            draining.cancel()
            self._server.close()

    def _take_signals(self) -> None:
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGQUIT):
            loop.add_signal_handler(number, self._end, self._drain_timeout)
        loop.add_signal_handler(signal.SIGUSR1, self._server.reopen_logs)

    def _end(self, timeout: float) -> None:
        if not self._leave.done():
            self._leave.set_result(timeout)
        elif timeout <= 0 and not self._at_once.done():
            self._at_once.set_result(None)

    def _left_alone(self) -> None:
        logger.warning("worker %d: the supervisor is gone: ending", self._post.slot)
        self._end(min(self._drain_timeout, ORPHAN_DRAIN))

    def _obey(self, message: Message, descriptors: list[int]) -> None:
        order = self._orders.get(str(message.get("do")))
        if order is not None:
            order(message, descriptors)

    def _prepare(self, message: Message, descriptors: list[int]) -> None:
        generation = message["generation"]
        assert isinstance(generation, int)  # noqa: S101 - from the supervisor, whose code this is
        why = ""
        try:
            loaded = unpickled(from_memory(descriptors[0]))
            sources = replace(loaded.sources, rate_store=self._post.share.buckets)
            program = compile_program(loaded.settings, sources)
            self._swap = self._server.prepare(program)
            self._prepared = generation, program
        except Exception as error:  # whatever it is, the running configuration runs on
            logger.exception("worker %d: cannot use the new configuration", self._post.slot)
            why = f"{type(error).__name__}: {error}"
        self._member.tell({"is": "prepared", "generation": generation, "why": why})

    def _commit(self, message: Message, _descriptors: list[int]) -> None:
        swap, prepared = self._swap, self._prepared
        self._swap = self._prepared = None
        try:
            if swap is None or prepared is None or prepared[0] != message["generation"]:
                raise RuntimeError("told to commit what was not prepared")  # noqa: TRY301 - ends as a failure of the swap does
            swap()
        except Exception as error:  # noqa: BLE001 - half in the old configuration, half in the new: start afresh
            self._fail(error)
            return
        self._generation, program = prepared
        self._drain_timeout = program.drain_timeout
        del swap, prepared, program
        settle_garbage()

    def _fail(self, error: Exception) -> None:
        if not self._leave.done():
            self._leave.set_exception(error)

    def _abandon(self, _message: Message, _descriptors: list[int]) -> None:
        self._swap = self._prepared = None

    def _drain(self, message: Message, _descriptors: list[int]) -> None:
        timeout = message.get("timeout")
        self._end(timeout if isinstance(timeout, float | int) else self._drain_timeout)

    def _close(self, _message: Message, _descriptors: list[int]) -> None:
        self._end(0.0)

    def _reopen(self, _message: Message, _descriptors: list[int]) -> None:
        self._server.reopen_logs()

    def _status(self, message: Message, _descriptors: list[int]) -> None:
        limits = self._post.share.buckets.hit_counts()
        status = {**self._server.status(), "generation": self._generation, "rate_limits": limits}
        self._member.tell({"is": "status", "id": message.get("id"), "status": status})


async def _work(post: Post, link: Link) -> None:
    logs = open_logs(post.program.log)
    try:
        await Worker(post, link, logs).serve()
    except Exception:
        logger.exception("worker %d failed", post.slot)
        raise
    finally:
        logs.close()


def run(post: Post, link: Link) -> int:
    """Be a worker, from just after the fork to the end. Return the exit code."""
    stray_output.to_log()
    cure_heap()
    gc.set_threshold(*GC_THRESHOLDS)
    try:
        privileges.become(post.identity)
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.run(_work(post, link))
    except Exception as error:  # noqa: BLE001 - the supervisor is told, whatever it is
        with contextlib.suppress(LinkError):
            link.send({"is": "failed", "why": f"{type(error).__name__}: {error}"})
        return 1
    return 0
