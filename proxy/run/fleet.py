"""The supervisor's children: who they are, how they are, and how they are made and ended."""

import contextlib
import logging
import os
import signal
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from enum import Enum
from typing import NoReturn

from proxy.observe.log_text import one_line
from proxy.run.backoff import Backoff
from proxy.run.link import Link, LinkError, Message, close_all, pair
from proxy.run.signals import held_back

logger = logging.getLogger("pyproxy.run")

HUNG_AFTER = 30.0
"""Seconds without a sign of life after which a process is killed. as gunicorn has it."""

START_LIMIT = 60.0
"""Seconds in which a process has to be ready."""

CLOSE_LIMIT = 5.0
"""Seconds beyond the time to drain in which a process has to be gone."""


class Kind(Enum):
    """What a child is for."""

    WORKER = "worker"
    KEEPER = "keeper"


class State(Enum):
    """How far a child is in its life."""

    STARTING = "starting"
    READY = "ready"
    DRAINING = "draining"


@dataclass(slots=True, eq=False)
class Child:
    """One child.

    Attributes:
        slot: Which worker it is, and so whose sockets it has; 0 for the keeper.
        seat: Which part of the shared memory it writes to. No two living processes have one in
            common, not even while one takes over from another; -1 for the keeper.
        generation: Of the configuration it serves.
        heard: When it last gave a sign of life; monotonic, as all times here.
        deadline: When it is killed, whatever it does; infinity for never.
        prepared: The generation it has prepared, and why it could not ("" if it could).
        report: Its last status, and which question that answers.
        failure: Why it ended, in its own words.
        killed_for: Why it was killed, "" while it was not.
        deaf: True once its link has ended.
    """

    kind: Kind
    slot: int
    seat: int
    pid: int
    link: Link
    generation: int
    started: float
    heard: float
    deadline: float
    state: State = State.STARTING
    prepared: tuple[int, str] = (0, "")
    report: tuple[int, dict[str, object]] = (0, {})
    failure: str = ""
    killed_for: str = ""
    deaf: bool = False

    @property
    def name(self) -> str:
        """What the log calls it."""
        which = f"worker {self.slot}" if self.kind is Kind.WORKER else "keeper"
        return f"{which} (pid {self.pid})"


Body = Callable[[Link], int]
"""What a child does, from its first instruction to its exit code."""


@dataclass(slots=True, eq=False)
class Fleet:
    """All children.

    Attributes:
        children: By pid.
        backoffs: Of each slot of each kind.
        due: When a slot whose process died may be filled again.
    """

    seats: int
    children: dict[int, Child] = field(default_factory=dict)
    backoffs: dict[tuple[Kind, int], Backoff] = field(default_factory=dict)
    due: dict[tuple[Kind, int], float] = field(default_factory=dict)

    def workers(self) -> list[Child]:
        """Return every worker, by slot, the older first."""
        found = [child for child in self.children.values() if child.kind is Kind.WORKER]
        return sorted(found, key=lambda child: (child.slot, child.started))

    def ready(self, kind: Kind = Kind.WORKER) -> list[Child]:
        """Return the children of a kind that serve."""
        return [
            child
            for child in self.children.values()
            if child.kind is kind and child.state is State.READY
        ]

    def holder(self, kind: Kind, slot: int) -> Child | None:
        """Return the child that has a slot now, or will once it is ready; None for an empty one."""
        for child in self.children.values():
            if (child.kind, child.slot) == (kind, slot) and child.state is not State.DRAINING:
                return child
        return None

    def free_seat(self) -> int:
        """Return a seat nobody has; -1 if there is none."""
        taken = {child.seat for child in self.children.values()}
        return next((seat for seat in range(self.seats) if seat not in taken), -1)

    def may_start(self, kind: Kind, slot: int, now: float) -> bool:
        """Tell whether a slot is empty and has waited long enough since its process died."""
        return self.holder(kind, slot) is None and self.due.get((kind, slot), 0.0) <= now

    def add(self, child: Child) -> None:
        """Count a child that was just made."""
        self.children[child.pid] = child
        self.due.pop((child.kind, child.slot), None)

    def heard(self, child: Child, message: Message, now: float) -> None:
        """Take note of a message, which may hold anything: children meet the world."""
        child.heard = now
        match message:
            case {"is": "ready"} if child.state is State.STARTING:
                child.state = State.READY
                child.deadline = float("inf")
            case {"is": "prepared", "generation": int(generation), "why": str(why)}:
                child.prepared = generation, one_line(why)
            case {"is": "status", "id": int(number), "status": dict(status)}:
                child.report = number, status
            case {"is": "failed", "why": str(why)}:
                child.failure = one_line(why)

    def buried(self, child: Child, now: float) -> float:
        """Forget a child that has ended, and return the seconds until its slot is filled again."""
        del self.children[child.pid]
        child.link.close()
        if child.state is State.DRAINING:
            return 0.0
        key = child.kind, child.slot
        wait = self.backoffs.setdefault(key, Backoff()).died(now - child.started)
        self.due[key] = now + wait
        return wait

    def overdue(self, now: float) -> Iterator[tuple[Child, str]]:
        """Yield the children to be killed, and why."""
        for child in self.children.values():
            if child.killed_for:
                continue
            if now >= child.deadline:
                starts = child.state is State.STARTING
                yield child, "was not ready in time" if starts else "did not end in time"
            elif child.state is not State.STARTING and now - child.heard > HUNG_AFTER:
                yield child, f"gave no sign of life for {HUNG_AFTER:.0f} s"


def tell(child: Child, message: Message, descriptors: tuple[int, ...] = ()) -> bool:
    """Send an order; False if the child cannot take it, as its death or silence will show."""
    try:
        child.link.send(message, descriptors)
    except LinkError:
        return False
    return True


def retire(child: Child, patience: float, now: float) -> None:
    """Have a child finish what it does, within `patience` seconds, and end."""
    if child.state is not State.DRAINING:
        child.state = State.DRAINING
        child.deadline = now + patience + CLOSE_LIMIT
        if not tell(child, {"do": "drain", "timeout": patience}):
            child.deadline = now


def close(child: Child, now: float) -> None:
    """Have a child end at once."""
    child.state = State.DRAINING
    child.deadline = min(child.deadline, now + CLOSE_LIMIT)
    if not tell(child, {"do": "close"}):
        child.deadline = now


def kill(child: Child, why: str) -> None:
    """Kill a child that was asked in vain."""
    child.killed_for = why
    with contextlib.suppress(ProcessLookupError):
        os.kill(child.pid, signal.SIGKILL)


def heed(child: Child) -> Iterator[Message]:
    """Yield what a child has said by now. Descriptors are not for children to send.

    Raises:
        LinkError: It is gone, or talks nonsense.
    """
    while (received := child.link.receive()) is not None:
        close_all(received.descriptors)
        yield received.message


def fork(body: Body, shed: Callable[[], None]) -> tuple[int, Link]:
    """Make a child that runs `body` and then ends, whatever happens; return its pid and our link.

    Args:
        body: Gets the child's end of the link.
        shed: Runs first in the child, while signals are held back: lets go of what is the
            supervisor's.

    Raises:
        OSError: There can be no further process.
    """
    ours, theirs = pair()
    with held_back():
        try:
            pid = os.fork()
        except OSError:
            ours.close()
            theirs.close()
            raise
        if not pid:
            _be_child(lambda: _joined(ours, theirs, body), shed)
    theirs.close()
    return pid, ours


def fork_alone(body: Callable[[], int], shed: Callable[[], None]) -> int:
    """Make a child without a link, as `fork` does; return its pid.

    Raises:
        OSError: There can be no further process.
    """
    with held_back():
        pid = os.fork()
        if not pid:
            _be_child(body, shed)
    return pid


def _joined(ours: Link, theirs: Link, body: Body) -> int:
    ours.close()
    return body(theirs)


def _be_child(body: Callable[[], int], shed: Callable[[], None]) -> NoReturn:
    code = os.EX_SOFTWARE
    try:
        shed()
        code = body()
    except BaseException:
        logger.exception("process %d failed", os.getpid())
    finally:
        # Never back into the supervisor's frames, nor through its exit handlers.
        os._exit(code)
