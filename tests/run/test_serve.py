import errno
import logging
import os
import socket
from pathlib import Path

import pytest

from proxy.net.listen import ListenError
from proxy.run.loading import LoadError
from proxy.run.serve import announce, explained, listen_everywhere, seats_for, serve
from proxy.run.supervisor import StartError
from tests.fakes.house import TEXT, force_of


def test_there_are_seats_for_two_generations_and_some() -> None:
    assert seats_for(1) == 16
    assert seats_for(16) == 64


def test_sockets_handed_over_come_first(tmp_path: Path) -> None:
    handed = socket.create_server(("127.0.0.1", 0))
    port = handed.getsockname()[1]
    text = TEXT.replace('http: "127.0.0.1:0"', f'http: ["127.0.0.1:{port}", "127.0.0.1:0"]')
    listening = listen_everywhere(force_of(tmp_path, text), [(handed.detach(), "http")])
    assert [group.adopted for group in listening] == [True, False]
    assert [len(group.sockets()) for group in listening] == [1, 2]
    for group in listening:
        group.close()


def test_all_or_nothing_is_listened_on(tmp_path: Path) -> None:
    before = len(os.listdir("/proc/self/fd"))  # noqa: PTH208 - only their number counts
    text = TEXT.replace('http: "127.0.0.1:0"', 'http: ["127.0.0.1:0", "192.0.2.1:0"]')
    with pytest.raises(ListenError):
        listen_everywhere(force_of(tmp_path, text), [])
    assert len(os.listdir("/proc/self/fd")) == before  # noqa: PTH208 - only their number counts


def test_the_announcement_names_addresses_and_sites(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    many = ", ".join(f"s{number}.test" for number in range(10))
    force = force_of(tmp_path, TEXT.replace("a.test", many))
    listening = listen_everywhere(force, [])
    with caplog.at_level(logging.INFO, logger="pyproxy.run"):
        announce(force, listening)
    text = "\n".join(caplog.messages)
    assert f"listening for http on {listening[0].addresses()[0]}" in text
    assert "s0.test, s1.test" in text
    assert "and 2 more" in text
    for group in listening:
        group.close()


def test_a_folder_of_somebody_else_is_explained(tmp_path: Path) -> None:
    force = force_of(tmp_path)
    (tmp_path / "state").mkdir()
    error = PermissionError(errno.EACCES, "Permission denied")
    text = explained(error, force)
    assert f"cannot write to {tmp_path / 'state'}" in text
    assert f"chown {os.geteuid()}" in text
    missing = PermissionError(errno.EACCES, "Permission denied", str(tmp_path / "x.log"))
    assert f"cannot write to {tmp_path}," in explained(missing, force)
    other = OSError(errno.EISDIR, "Is a directory", str(tmp_path))
    assert explained(other, force) == f"{tmp_path}: Is a directory"


def test_nothing_is_left_behind_where_serving_cannot_begin(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        path = tmp_path / "proxy.yaml"
        path.write_text(TEXT.replace("127.0.0.1:0", f"127.0.0.1:{port}"))
        with pytest.raises(StartError, match="the port is taken by"):
            serve(str(path), {})
    assert list((tmp_path / "state").iterdir()) == []
    assert logging.getLogger("pyproxy").handlers == []
    with pytest.raises(LoadError):
        serve(str(tmp_path / "none.yaml"), {})
