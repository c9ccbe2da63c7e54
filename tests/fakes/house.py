"""A house whose children are no processes: the test holds their ends of the links."""

import itertools
import os
import pickle
import socket
from collections.abc import Sequence
from pathlib import Path

import pytest

from proxy.clock import monotonic
from proxy.net.listen import Listening
from proxy.net.tls_contexts import TlsFront
from proxy.run import checking
from proxy.run.checking import Check
from proxy.run.fleet import START_LIMIT, Child, Fleet, Kind
from proxy.run.house import House
from proxy.run.in_force import InForce, made_ready
from proxy.run.link import Link, Message, from_memory, pair, write_fully
from proxy.run.loading import load
from proxy.state.shared import SharedState

TEXT = """
listen: {http: "127.0.0.1:0", https: null}
workers: 2
user: null
drain_timeout: 7s
state_dir: ./state
sites: [{hosts: [a.test], routes: [{path: /, respond: 204}]}]
"""

PIDS = itertools.count(10_000_000)  # beyond pid_max: a signal to one reaches nobody


class FakeHouse(House):
    """Counts what it is asked for instead of forking."""

    ends: dict[int, Link]

    def start_worker(
        self, slot: int, force: InForce, listening: Sequence[Listening], seat: int
    ) -> Child:
        """Make a worker that does nothing until the test has it speak."""
        assert all(group.for_slot(slot) for group in listening)
        return self._made(Kind.WORKER, slot, seat, force)

    def start_keeper(self) -> Child:
        """Make a keeper."""
        return self._made(Kind.KEEPER, 0, -1, self.force)

    def _made(self, kind: Kind, slot: int, seat: int, force: InForce) -> Child:
        ours, theirs = pair()
        pid, now = next(PIDS), monotonic()
        self.ends[pid] = theirs
        child = Child(kind, slot, seat, pid, ours, force.generation, now, now, now + START_LIMIT)
        self.fleet.add(child)
        self.welcome(child)
        return child

    def says(self, child: Child, message: Message) -> None:
        """Have a child say something, and the supervisor hear it."""
        self.fleet.heard(child, message, monotonic())

    def dies(self, child: Child) -> None:
        """Have a child end."""
        self.ends.pop(child.pid).close()
        self.fleet.buried(child, monotonic())

    def orders(self, child: Child) -> list[Message]:
        """Return what a child was told, with the content that came along."""
        found = []
        while (received := self.ends[child.pid].receive()) is not None:
            content = [from_memory(handle) for handle in received.descriptors]
            for handle in received.descriptors:
                os.close(handle)
            found.append({**received.message, "content": content} if content else received.message)
        return found

    def close(self) -> None:
        """Close whatever is open."""
        for child in self.fleet.children.values():
            child.link.close()
        for link in self.ends.values():
            link.close()
        for group in self.listening:
            group.close()
        self.control.close()


def force_of(folder: Path, text: str = TEXT, generation: int = 1) -> InForce:
    """Return a configuration, in force."""
    path = folder / "proxy.yaml"
    path.write_text(text)
    return made_ready(load(str(path), {}), generation, 1000.0)


def made_house(folder: Path) -> FakeHouse:
    """Return a house that serves TEXT with two workers and a keeper, all ready."""
    force = force_of(folder)
    house = FakeHouse(
        str(folder / "proxy.yaml"), {}, force, [], socket.socket(socket.AF_UNIX),
        SharedState.create(8), TlsFront(), Fleet(8),
    )  # fmt: skip
    house.ends = {}
    house.listening = house.relistened(force)
    for slot in range(force.workers):
        child = house.start_worker(slot, force, house.listening, house.fleet.free_seat())
        house.says(child, {"is": "ready"})
    house.says(house.start_keeper(), {"is": "ready"})
    return house


def found_by_check(monkeypatch: pytest.MonkeyPatch, finding: InForce | str) -> None:
    """Have the next check end at once with a configuration or a report."""
    content = finding.encode() if isinstance(finding, str) else pickle.dumps(finding.loaded)
    status = os.EX_CONFIG if isinstance(finding, str) else os.EX_OK

    def start(*_: object) -> Check:
        handle = os.memfd_create("check")
        write_fully(handle, content)
        return Check(next(PIDS), handle, status)

    monkeypatch.setattr(checking, "start", start)
