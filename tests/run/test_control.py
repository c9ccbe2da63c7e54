import json
import os
import pwd
import socket
import stat
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from proxy.run import control
from proxy.run.control import AlreadyRunningError, NotRunningError, ask, has_ended, may_ask


def answering(sock: socket.socket, answer: bytes, heard: list[bytes]) -> threading.Thread:
    """Answer one question."""

    def serve() -> None:
        connection, _ = sock.accept()
        with connection:
            heard.append(connection.recv(1000))
            connection.sendall(answer)

    thread = threading.Thread(target=serve)
    thread.start()
    return thread


def test_a_question_gets_its_answer_however_deep_the_folder(tmp_path: Path) -> None:
    folder = tmp_path / ("d" * 60) / ("e" * 60)
    folder.mkdir(parents=True)
    assert len(str(folder)) > 108
    heard: list[bytes] = []
    with control.listen(folder) as sock:
        thread = answering(sock, b'{"ok": true}\n', heard)
        assert ask(folder, "health", 5.0) == {"ok": True}
        thread.join()
    assert json.loads(heard[0]) == {"command": "health"}


def test_only_the_owner_may_connect_from_the_first_moment(tmp_path: Path) -> None:
    with control.listen(tmp_path):
        assert stat.S_IMODE((tmp_path / "control.sock").stat().st_mode) == 0o600


def test_what_a_dead_proxy_left_is_replaced(tmp_path: Path) -> None:
    control.listen(tmp_path).close()
    with pytest.raises(NotRunningError, match="no proxy runs"):
        ask(tmp_path, "health", 1.0)
    with control.listen(tmp_path):
        pass
    control.remove(tmp_path)
    control.remove(tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_a_living_proxy_is_left_alone(tmp_path: Path) -> None:
    with control.listen(tmp_path):
        with pytest.raises(AlreadyRunningError, match="is running already"):
            control.listen(tmp_path)
        assert (tmp_path / "control.sock").exists()


def test_without_a_folder_nobody_runs(tmp_path: Path) -> None:
    with pytest.raises(NotRunningError, match="no proxy runs"):
        ask(tmp_path / "none", "health", 1.0)


@pytest.mark.parametrize(
    ("answer", "why"),
    [(b"", "went away"), (b"nonsense\n", "went away"), (b'{"ok": tr', "went away")],
)
def test_no_answer_is_an_error(tmp_path: Path, answer: bytes, why: str) -> None:
    with control.listen(tmp_path) as sock:
        thread = answering(sock, answer, [])
        with pytest.raises(NotRunningError, match=why):
            ask(tmp_path, "status", 5.0)
        thread.join()


def test_silence_is_an_error(tmp_path: Path) -> None:
    with control.listen(tmp_path), pytest.raises(NotRunningError, match="does not answer"):
        ask(tmp_path, "status", 0.01)


CONNECT = """
import os, socket, sys
if int(sys.argv[2]):
    os.setuid(int(sys.argv[2]))
sock = socket.socket(socket.AF_UNIX)
sock.connect("\\0" + sys.argv[1])
sock.recv(1)
"""


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become somebody else")
def test_root_and_the_owner_may_ask_and_nobody_else() -> None:
    nobody, daemon = pwd.getpwnam("nobody").pw_uid, pwd.getpwnam("daemon").pw_uid
    name = f"pyproxy-test-peer-{os.getpid()}"
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(f"\0{name}")
        listener.listen()
        for uid, allowed in ((0, True), (daemon, True), (nobody, False)):
            peer = subprocess.Popen([sys.executable, "-c", CONNECT, name, str(uid)])
            connection, _ = listener.accept()
            assert may_ask(connection, owner=daemon) is allowed
            connection.close()
            peer.wait(10)


def test_the_end_of_a_process_is_waited_for() -> None:
    process = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    assert process.stdin is not None
    assert not has_ended(process.pid, 0.01)
    process.stdin.close()
    assert has_ended(process.pid, 10.0)
    process.wait()
    assert has_ended(process.pid, 0.0)
