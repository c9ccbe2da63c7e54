"""Files that are whole or absent."""

import errno
import os
import stat
from pathlib import Path

import pytest

from proxy.certificates.durable import lock, make_folder, replace_file, sweep
from tests.fakes.processes import ended, killed_at, start


def mode_of(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


@pytest.mark.parametrize("mode", [0o600, 0o644])
def test_a_file_is_replaced(tmp_path: Path, mode: int) -> None:
    path = tmp_path / "file"
    replace_file(path, b"one", mode)
    replace_file(path, b"two", mode)
    assert path.read_bytes() == b"two"
    assert mode_of(path) == mode
    assert list(tmp_path.iterdir()) == [path]


def test_what_is_written_is_on_disk_before_it_has_its_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen = []
    synced = os.fsync

    def record(descriptor: int) -> None:
        kind = "folder" if stat.S_ISDIR(os.fstat(descriptor).st_mode) else "file"
        seen.append((kind, (tmp_path / "file").exists()))
        synced(descriptor)

    monkeypatch.setattr(os, "fsync", record)
    replace_file(tmp_path / "file", b"data", 0o600)
    assert seen == [("file", False), ("folder", True)]


def test_a_full_disk_leaves_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "file"
    replace_file(path, b"one", 0o600)

    def full(_descriptor: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space"):
        replace_file(path, b"two", 0o600)
    assert path.read_bytes() == b"one"
    assert list(tmp_path.iterdir()) == [path]


def test_a_kill_at_any_step_leaves_the_old_file_or_the_new_one(tmp_path: Path) -> None:
    path = tmp_path / "file"
    replace_file(path, b"one", 0o600)
    step = 0
    while killed_at(step, lambda: replace_file(path, b"two", 0o600)):
        assert path.read_bytes() in {b"one", b"two"}
        step += 1
    assert step >= 3
    assert path.read_bytes() == b"two"
    sweep(tmp_path)
    assert list(tmp_path.iterdir()) == [path]


def test_folders_are_private(tmp_path: Path) -> None:
    make_folder(tmp_path / "a" / "b")
    assert mode_of(tmp_path / "a") == mode_of(tmp_path / "a" / "b") == 0o700


def test_a_folder_that_everybody_may_enter_is_closed(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "a").chmod(0o755)
    make_folder(tmp_path / "a")
    assert mode_of(tmp_path / "a") == 0o700


def test_a_file_where_the_folder_should_be(tmp_path: Path) -> None:
    (tmp_path / "a").write_text("")
    (tmp_path / "a").chmod(0o644)
    for folder in (tmp_path / "a", tmp_path / "a" / "b"):
        with pytest.raises(OSError, match="a"):
            make_folder(folder)
    assert mode_of(tmp_path / "a") == 0o644


def test_the_lock_keeps_others_out_until_it_is_free(tmp_path: Path) -> None:
    order, write = os.pipe()
    path = tmp_path / ".lock"

    def second() -> None:
        os.write(write, b"1")
        with lock(path):
            os.write(write, b"3")

    with lock(path):
        child = start(second)
        assert os.read(order, 1) == b"1"
        os.write(write, b"2")
    assert ended(child) == 0
    assert os.read(order, 2) == b"23"
    assert mode_of(path) == 0o600
    os.close(order)
    os.close(write)


def test_the_lock_of_a_killed_process_is_free(tmp_path: Path) -> None:
    def die() -> None:
        with lock(tmp_path / ".lock"):
            os._exit(7)

    assert ended(start(die)) == 7
    with lock(tmp_path / ".lock"):
        pass
