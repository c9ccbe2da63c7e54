import contextlib
import os
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

from proxy.files.descent import Descent, LeadsOutError


@pytest.fixture
def root(tmp_path: Path) -> Path:
    root = tmp_path / "served"
    (root / "a" / "b").mkdir(parents=True)
    (root / "a" / "b" / "file").write_text("beneath")
    (tmp_path / "secret").write_text("secret")
    (tmp_path / "served-not").mkdir()
    (tmp_path / "served-not" / "file").write_text("secret")
    return root


def read(root: Path, path: str, *, follow: bool = False) -> str:
    with Descent(str(root), follow=follow) as descent:
        descent.go(os.fsencode(path).split(b"/"))
        assert not descent.in_folder
        fd = descent.open()
        try:
            return os.read(fd, 100).decode()
        finally:
            os.close(fd)


def test_steps_lead_to_a_file(root: Path) -> None:
    assert read(root, "a/b/file") == "beneath"


def test_a_link_to_its_own_folder_uses_no_descriptors_up(root: Path) -> None:
    (root / "self").symlink_to(".")
    with Descent(str(root), follow=True) as descent:
        before = len(os.listdir("/proc/self/fd"))  # noqa: PTH208 - no path of them is wanted
        descent.go([b"self"] * 500)
        assert len(os.listdir("/proc/self/fd")) == before  # noqa: PTH208 - see above
        descent.go([b"a", b"b", b"file"])
        assert descent.name == b"file"


def test_a_walk_may_go_on(root: Path) -> None:
    with Descent(str(root), follow=False) as descent:
        assert descent.in_folder
        descent.go([b"a"])
        assert descent.in_folder
        descent.go([b"b", b"file"])
        assert descent.name == b"file"
        assert descent.found.st_size == 7
        with pytest.raises(NotADirectoryError):
            descent.go([b"x"])


@pytest.mark.parametrize(
    ("link", "target"),
    [
        ("link", "a/b/file"),
        ("link", "./a//b/./file"),
        ("link", "a/b/../b/file"),
        ("a/link", "b/file"),
        ("a/link", "../a/b/file"),
        ("a/link", "{root}/a/b/file"),
        ("a/link", "{root}/a/../a/b/file"),
    ],
)
def test_links_beneath_the_root_are_followed(root: Path, link: str, target: str) -> None:
    (root / link).symlink_to(target.format(root=root))
    assert read(root, link) == "beneath"
    assert read(root, link, follow=True) == "beneath"


def test_links_to_folders_and_of_links_are_followed(root: Path) -> None:
    (root / "folder").symlink_to("a/b")
    (root / "again").symlink_to("folder/")
    assert read(root, "again/file") == "beneath"


def test_absolute_links_know_the_root_by_its_real_name_too(root: Path, tmp_path: Path) -> None:
    (tmp_path / "current").symlink_to(root)
    (root / "link").symlink_to(root / "a/b/file")
    (root / "other").symlink_to(tmp_path / "current/a/b/file")
    assert read(tmp_path / "current", "link") == "beneath"
    assert read(tmp_path / "current", "other") == "beneath"


@pytest.mark.parametrize(
    "target",
    [
        "../secret", "../served-not/file", "a/../../secret", "../served/a/b/file", "/etc/passwd",
        "{root}/../secret", "{root}-not/file", "/", "..",
    ],
)  # fmt: skip
def test_links_that_lead_out_are_not(root: Path, target: str) -> None:
    (root / "link").symlink_to(target.format(root=root))
    with pytest.raises(LeadsOutError):
        read(root, "link")


def test_all_links_are_followed_where_that_is_asked_for(root: Path) -> None:
    (root / "link").symlink_to("../secret")
    (root / "folder").symlink_to("../served-not")
    assert read(root, "link", follow=True) == "secret"
    assert read(root, "folder/file", follow=True) == "secret"


def test_links_in_circles_end(root: Path) -> None:
    (root / "one").symlink_to("two")
    (root / "two").symlink_to("one")
    with pytest.raises(LeadsOutError):
        read(root, "one")
    with pytest.raises(OSError, match="Too many levels"):
        read(root, "one", follow=True)


def test_steps_back_go_no_further_than_the_root(root: Path) -> None:
    with pytest.raises(LeadsOutError):
        read(root, "a/../../secret")


@pytest.mark.parametrize("path", ["x", "a/x", "a/b/file/x", "a/b/file/"])
def test_what_is_not_there(root: Path, path: str) -> None:
    with pytest.raises((FileNotFoundError, NotADirectoryError)):
        read(root, path)


def test_only_regular_files_are_opened(root: Path) -> None:
    os.mkfifo(root / "fifo")
    with Descent(str(root), follow=False) as descent:
        descent.go([b"fifo"])
        with pytest.raises(FileNotFoundError):
            descent.open()


def test_a_file_that_becomes_a_link_is_not_followed(root: Path) -> None:
    with Descent(str(root), follow=False) as descent:
        descent.go([b"a", b"b", b"file"])
        (root / "a/b/file").unlink()
        (root / "a/b/file").symlink_to("/etc/passwd")
        with pytest.raises(OSError, match="Too many levels"):
            descent.open()


def test_a_root_that_is_a_file(root: Path, tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(root / "a/b/file")
    with Descent(str(tmp_path / "link"), follow=False) as descent:
        assert not descent.in_folder
        fd = descent.open()
        assert os.read(fd, 100) == b"beneath"
        os.close(fd)


def test_neighbours(root: Path) -> None:
    (root / "a/b/file.gz").write_text("neighbour")
    (root / "a/b/file.br").symlink_to("file")
    with Descent(str(root), follow=False) as descent:
        descent.go([b"a", b"b", b"file"])
        found = descent.beside(b".gz")
        assert found is not None
        assert found.st_size == 9
        assert descent.beside(b".zst") is None
        fd = descent.open(b".gz")
        assert os.read(fd, 100) == b"neighbour"
        os.close(fd)


def test_nothing_is_left_open(root: Path) -> None:
    before = set(Path("/proc/self/fd").iterdir())
    (root / "out").symlink_to("../secret")
    for path in ("a/b/file", "a/x", "out", "a/b/../../../x"):
        with contextlib.suppress(OSError, LeadsOutError):
            read(root, path)
    with pytest.raises(FileNotFoundError):
        Descent(str(root / "x"), follow=False)
    assert set(Path("/proc/self/fd").iterdir()) == before


TURN = """
import os, sys
turned, away, outside = sys.argv[1:]
while os.path.exists(outside):
    os.rename(turned, away)
    os.symlink(outside, turned)
    os.unlink(turned)
    os.rename(away, turned)
"""


def test_nobody_who_moves_links_about_leads_a_walk_out(root: Path) -> None:
    """A folder turns into a link that leads out, and back, while a file in it is looked for."""
    turned = root / "turned"
    turned.mkdir()
    (turned / "file").write_text("beneath")
    outside = root.parent / "served-not"
    found: Counter[str] = Counter()
    turner = subprocess.Popen([sys.executable, "-c", TURN, turned, root / "away", outside])
    try:
        while found.total() < 3000 or (found.total() < 300_000 and not found["beneath"]):
            try:
                found[read(root, "turned/file")] += 1
            except LeadsOutError:
                found["out"] += 1
            except OSError:
                found["nothing"] += 1
    finally:
        (outside / "file").unlink()
        outside.rmdir()
        turner.wait(10)
    assert not found["secret"]
    assert found["beneath"]
