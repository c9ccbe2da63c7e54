import os
from pathlib import Path

import pytest

from proxy.state.flag_file import FlagFile


def test_it_is_on_while_the_file_is_there(tmp_path: Path) -> None:
    path = tmp_path / "flag"
    flag = FlagFile(str(path))
    assert not flag.is_on(100.0)
    path.touch()
    assert flag.is_on(101.0)
    path.unlink()
    assert not flag.is_on(102.0)


def test_it_looks_once_a_second(tmp_path: Path) -> None:
    path = tmp_path / "flag"
    flag = FlagFile(str(path))
    assert not flag.is_on(100.0)
    path.touch()
    assert not flag.is_on(100.9)
    assert flag.is_on(101.0)


def test_nothing_is_looked_at_before_it_is_asked(tmp_path: Path) -> None:
    path = tmp_path / "flag"
    flag = FlagFile(str(path))
    path.touch()
    assert flag.is_on(100.0)


@pytest.mark.parametrize("name", ["folder", "link", "dangling"])
def test_what_kind_of_file(tmp_path: Path, name: str) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "folder")
    (tmp_path / "dangling").symlink_to(tmp_path / "nowhere")
    assert FlagFile(str(tmp_path / name)).is_on(100.0) is (name != "dangling")


def test_a_folder_that_is_gone_is_no_flag(tmp_path: Path) -> None:
    folder = tmp_path / "folder"
    folder.mkdir()
    (folder / "flag").touch()
    flag = FlagFile(str(folder / "flag"))
    assert flag.is_on(100.0)
    (folder / "flag").unlink()
    folder.rmdir()
    folder.touch()
    assert not flag.is_on(101.0)


@pytest.mark.parametrize("was_on", [False, True])
def test_what_nobody_can_tell_stays_as_it_was(tmp_path: Path, *, was_on: bool) -> None:
    link = tmp_path / "link"
    if was_on:
        link.touch()
    flag = FlagFile(str(link))
    assert flag.is_on(100.0) is was_on
    link.unlink(missing_ok=True)
    link.symlink_to(link)  # ELOOP, for root too
    with pytest.raises(OSError, match="symbolic links"):
        os.stat(link)  # noqa: PTH116 - as the flag does
    assert flag.is_on(101.0) is was_on
    link.unlink()
    assert not flag.is_on(102.0)
