"""With children that are processes; which does what they do is in tests/journeys."""

import os
import signal
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from proxy.net.listen import ListenError
from proxy.net.tls_contexts import TlsFront
from proxy.run import keeper, worker
from proxy.run.fleet import Fleet, Kind, heed
from proxy.run.house import House
from proxy.run.link import Link, LinkError
from proxy.state.shared import SharedState
from tests.fakes.house import TEXT, force_of


@pytest.fixture
def house(tmp_path: Path) -> Iterator[House]:
    force = force_of(tmp_path)
    made = House(
        str(tmp_path / "proxy.yaml"), {}, force, [], socket.socket(socket.AF_UNIX),
        SharedState.create(8), TlsFront(), Fleet(8),
    )  # fmt: skip
    made.listening = made.relistened(force)
    yield made
    for child in made.fleet.children.values():
        os.kill(child.pid, signal.SIGKILL)
        os.waitpid(child.pid, 0)
        child.link.close()
    for group in made.listening:
        group.close()
    made.control.close()


def report(link: Link, **content: object) -> int:
    """What a child of these tests does: it says what it has, and waits for its end."""
    link.send({"is": "status", "id": 1, "status": content})
    signal.pause()
    return 0


def said(house: House, pid: int) -> dict[str, object]:
    child = house.fleet.children[pid]
    while True:
        for message in heed(child):
            status = message["status"]
            assert isinstance(status, dict)
            return status


def test_a_worker_has_the_sockets_of_its_slot_and_no_others(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    def run(post: worker.Post, link: Link) -> int:
        mine = [each.sock.fileno() for each in post.listeners]
        (group,) = house.listening
        return report(
            link,
            slot=post.slot,
            mine=mine,
            all=[sock.fileno() for sock in group.sockets()],
            control=house.control.fileno(),
            links=[each.link.fileno() for each in house.fleet.children.values()],
        )

    monkeypatch.setattr(worker, "run", run)
    house.start_worker(0, house.force, house.listening, 0)
    child = house.start_worker(1, house.force, house.listening, 1)
    status = said(house, child.pid)
    (group,) = house.listening
    own = [sock.fileno() for sock in group.for_slot(1)]
    assert status == {
        "slot": 1, "mine": own, "all": [-1, *own], "control": -1, "links": [-1],
    }  # fmt: skip
    assert house.fleet.workers()[1] is child
    assert all(sock.fileno() != -1 for sock in group.sockets()), "the supervisor keeps them"


def test_the_keeper_has_the_control_socket_and_no_other(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    def run(post: keeper.Post, link: Link) -> int:
        sockets = [sock.fileno() for group in house.listening for sock in group.sockets()]
        return report(link, control=post.control.fileno(), sockets=sockets, owner=post.owner)

    monkeypatch.setattr(keeper, "run", run)
    child = house.start_keeper()
    assert (child.kind, child.seat) == (Kind.KEEPER, -1)
    status = said(house, child.pid)
    assert status == {
        "control": house.control.fileno(), "sockets": [-1, -1], "owner": os.geteuid(),
    }  # fmt: skip


def test_children_end_alone(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(worker, "run", lambda *_: 3)
    child = house.start_worker(0, house.force, house.listening, 0)
    assert os.waitstatus_to_exitcode(os.waitpid(child.pid, 0)[1]) == 3
    with pytest.raises(LinkError):
        list(heed(child))
    house.fleet.buried(child, 0.0)


def test_what_stays_in_the_configuration_keeps_its_sockets(house: House, tmp_path: Path) -> None:
    both = TEXT.replace('http: "127.0.0.1:0"', 'http: ["127.0.0.1:0", "127.0.0.2:0"]')
    more = force_of(tmp_path, both.replace("workers: 2", "workers: 3"), 2)
    (before,) = house.listening
    listening = house.relistened(more)
    assert listening[0] is before
    assert [len(group.slots) for group in listening] == [3, 3]
    house.forget(listening)
    assert len(before.slots) == 2
    assert [sock.fileno() for sock in listening[1].sockets()] == [-1] * 3
    listening = house.relistened(more)
    house.settle_on(more, listening)
    assert house.force is more
    house.settle_on(force_of(tmp_path, TEXT, 3), [before])
    assert len(before.slots) == 2
    assert [sock.fileno() for sock in listening[1].sockets()] == [-1] * 3


def test_one_address_that_cannot_be_had_undoes_all(house: House, tmp_path: Path) -> None:
    text = TEXT.replace('http: "127.0.0.1:0"', 'http: ["127.0.0.1:0", "192.0.2.1:0"]')
    more = force_of(tmp_path, text.replace("workers: 2", "workers: 3"), 2)
    with pytest.raises(ListenError, match=r"192\.0\.2\.1"):
        house.relistened(more)
    (group,) = house.listening
    assert len(group.slots) == 2
