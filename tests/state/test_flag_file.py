import os
from pathlib import Path

import pytest

from proxy.state.flag_file import FlagFile


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


def test_it_is_on_while_the_file_is_there(tmp_path: Path, clock: Clock) -> None:
    path = tmp_path / "flag"
    flag = FlagFile(str(path), clock)
    assert not flag.is_on()
    path.touch()
    clock.now += 1
    assert flag.is_on()
    path.unlink()
    clock.now += 1
    assert not flag.is_on()


def test_it_looks_once_a_second(tmp_path: Path, clock: Clock) -> None:
    path = tmp_path / "flag"
    flag = FlagFile(str(path), clock)
    assert not flag.is_on()
    path.touch()
    clock.now += 0.9
    assert not flag.is_on()
    clock.now += 0.1
    assert flag.is_on()


def test_nothing_is_looked_at_before_it_is_asked(tmp_path: Path, clock: Clock) -> None:
    path = tmp_path / "flag"
    flag = FlagFile(str(path), clock)
    path.touch()
    assert flag.is_on()


@pytest.mark.parametrize("name", ["folder", "link", "dangling"])
def test_what_kind_of_file(tmp_path: Path, clock: Clock, name: str) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "folder")
    (tmp_path / "dangling").symlink_to(tmp_path / "nowhere")
    assert FlagFile(str(tmp_path / name), clock).is_on() is (name != "dangling")


def test_a_folder_that_is_gone_is_no_flag(tmp_path: Path, clock: Clock) -> None:
    folder = tmp_path / "folder"
    folder.mkdir()
    (folder / "flag").touch()
    flag = FlagFile(str(folder / "flag"), clock)
    assert flag.is_on()
    (folder / "flag").unlink()
    folder.rmdir()
    folder.touch()
    clock.now += 1
    assert not flag.is_on()


@pytest.mark.parametrize("was_on", [False, True])
def test_what_nobody_can_tell_stays_as_it_was(
    tmp_path: Path, clock: Clock, *, was_on: bool
) -> None:
    link = tmp_path / "link"
    if was_on:
        link.touch()
    flag = FlagFile(str(link), clock)
    assert flag.is_on() is was_on
    link.unlink(missing_ok=True)
    link.symlink_to(link)  # ELOOP, for root too
    with pytest.raises(OSError, match="symbolic links"):
        os.stat(link)  # noqa: PTH116 - as the flag does
    clock.now += 1
    assert flag.is_on() is was_on
    link.unlink()
    clock.now += 1
    assert not flag.is_on()
