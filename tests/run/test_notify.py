import os
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from proxy.run.notify import Notifier, take_descriptors, watchdog_interval


@pytest.fixture
def manager() -> Iterator[socket.socket]:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sock:
        sock.bind(f"\0pyproxy-test-notify-{os.getpid()}")
        sock.settimeout(5)
        yield sock


def test_assignments_go_out_as_lines(manager: socket.socket) -> None:
    notifier = Notifier({"NOTIFY_SOCKET": f"@pyproxy-test-notify-{os.getpid()}"})
    notifier.tell(READY=1, STATUS="serving")
    notifier.close()
    assert manager.recv(100) == b"READY=1\nSTATUS=serving"


def test_a_text_cannot_smuggle_in_an_assignment(manager: socket.socket) -> None:
    notifier = Notifier({"NOTIFY_SOCKET": f"@pyproxy-test-notify-{os.getpid()}"})
    notifier.tell(STATUS="bad\nMAINPID=1")
    notifier.close()
    assert manager.recv(100) == b"STATUS=bad MAINPID=1"


@pytest.mark.parametrize("address", ["", "relative", "/nowhere/at/all"])
def test_without_a_manager_nothing_happens(address: str) -> None:
    notifier = Notifier({"NOTIFY_SOCKET": address})
    notifier.tell(READY=1)
    notifier.close()


@pytest.mark.parametrize(
    ("environ", "expected"),
    [
        ({}, 0.0),
        ({"WATCHDOG_USEC": "30000000"}, 15.0),
        ({"WATCHDOG_USEC": "30000000", "WATCHDOG_PID": "7"}, 15.0),
        ({"WATCHDOG_USEC": "30000000", "WATCHDOG_PID": "8"}, 0.0),
        ({"WATCHDOG_USEC": "soon"}, 0.0),
        ({"WATCHDOG_USEC": "-1"}, 0.0),
    ],
)
def test_the_watchdog_is_fed_twice_as_often_as_it_asks(
    environ: dict[str, str], expected: float
) -> None:
    assert watchdog_interval(environ, 7) == expected


def test_sockets_are_taken_once_with_their_names() -> None:
    first = 200
    ours, theirs = socket.socketpair()
    os.dup2(ours.fileno(), first)
    os.dup2(theirs.fileno(), first + 2)
    with Path(os.devnull).open("rb") as no_socket:
        os.dup2(no_socket.fileno(), first + 3)
    environ = {"LISTEN_PID": "7", "LISTEN_FDS": "4", "LISTEN_FDNAMES": "http:https", "HOME": "/"}
    try:
        assert take_descriptors(environ, 7, first) == [(first, "http"), (first + 2, "")]
        assert environ == {"HOME": "/"}
        assert take_descriptors(environ, 7, first) == []
    finally:
        for handle in (first, first + 2, first + 3):
            os.close(handle)
        ours.close()
        theirs.close()


@pytest.mark.parametrize(
    "environ",
    [
        {"LISTEN_PID": "8", "LISTEN_FDS": "1"},
        {"LISTEN_PID": "7", "LISTEN_FDS": "0"},
        {"LISTEN_PID": "7", "LISTEN_FDS": "1000000"},
        {"LISTEN_PID": "7", "LISTEN_FDS": "x"},
        {"LISTEN_FDS": "1"},
    ],
)
def test_descriptors_of_others_are_left_alone(environ: dict[str, str]) -> None:
    assert take_descriptors(environ, 7) == []
