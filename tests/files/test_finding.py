import errno
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from proxy.files.finding import SMALL, Kind, Sighting, find, is_hidden, signature
from proxy.files.plan import FilesPlan

OLD = 1_700_000_000
FILE, FOLDER, NOTHING, OUTSIDE, DENIED, NO_ROOT = Kind


@pytest.fixture
def root(tmp_path: Path) -> Path:
    root = tmp_path / "root"
    put(root / "index.html", "first page")
    put(root / "style.css", "style")
    put(root / "sub/index.html", "sub")
    put(root / "empty/other", "")
    put(root / ".hidden", "hidden")
    put(root / ".well-known/security.txt", "contact")
    put(root / "large", bytes(SMALL + 1))
    return root


def put(path: Path, content: str | bytes, when: float = OLD) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    os.utime(path, (when, when))


def look(root: Path, rest: str, *codings: str, **plan: object) -> Sighting:
    sighting = find(FilesPlan(str(root), **plan), rest, codings, {})  # type: ignore[arg-type]  # whatever a test may want
    if sighting.fd >= 0:
        os.close(sighting.fd)
    return sighting


def body(root: Path, rest: str, *codings: str, **plan: object) -> bytes | None:
    sighting = look(root, rest, *codings, **plan)
    assert sighting.kind is FILE
    return sighting.body


def test_a_file_is_read(root: Path) -> None:
    sighting = look(root, "style.css")
    assert (sighting.kind, sighting.body, sighting.name) == (FILE, b"style", "style.css")
    assert sighting.of == sighting.signature == signature((root / "style.css").stat())
    assert (sighting.coding, sighting.neighbours, sighting.fd) == ("", {}, -1)
    assert not sighting.fallback


def test_a_large_file_is_opened(root: Path) -> None:
    sighting = find(FilesPlan(str(root)), "large", (), {})
    assert sighting.body is None
    assert os.pread(sighting.fd, 10, SMALL) == b"\0"
    sighting.close()
    sighting.close()
    assert sighting.fd == -1


def test_one_of_the_largest_small_size_is_read(root: Path) -> None:
    put(root / "limit", bytes(SMALL))
    assert body(root, "limit") == bytes(SMALL)


def test_what_is_held_is_not_read_again(root: Path) -> None:
    of = look(root, "style.css").of
    sighting = find(FilesPlan(str(root)), "style.css", (), {of: b"from memory"})
    assert sighting.body == b"from memory"
    put(root / "style.css", "other")
    assert find(FilesPlan(str(root)), "style.css", (), {of: b"x"}).body == b"other"


def test_folders_have_index_files(root: Path) -> None:
    assert body(root, "") == b"first page"
    assert body(root, "sub/") == b"sub"
    assert look(root, "sub/").name == "index.html"
    assert look(root, "sub").kind is FOLDER
    assert look(root, "empty/").kind is NOTHING
    assert look(root, "empty").kind is NOTHING  # no telling that there is a folder


def test_index_files_are_tried_in_order(root: Path) -> None:
    put(root / "sub/home.htm", "home")
    assert body(root, "sub/", index=("none.html", "home.htm", "index.html")) == b"home"
    assert look(root, "sub/", index=()).kind is NOTHING
    (root / "sub/folder").mkdir()
    assert look(root, "sub/", index=("folder",)).kind is NOTHING


def test_an_index_file_that_is_a_link_to_nowhere_leads_to_no_other_folder(root: Path) -> None:
    (root / "home.htm").symlink_to("sub/gone")
    assert look(root, "", index=("home.htm", "index.html")).kind is NOTHING
    (root / "home.htm").unlink()
    assert body(root, "", index=("home.htm", "index.html")) == b"first page"


@pytest.mark.parametrize(
    "rest",
    [
        "x", "style.css/", "style.css/x", "sub/x", "sub/index.html/", "x" * 300, "x/" * 3000,
        "style.css\n", "style.css ", "STYLE.css.", "sub\\index.html", "\udcff\udcfe", "%2e%2e", "*",
    ],
)  # fmt: skip
def test_what_is_not_there(root: Path, rest: str) -> None:
    assert look(root, rest).kind is NOTHING


def test_any_name_there_may_be(root: Path) -> None:
    for name in ("a b", "a\nb", "ünï", "\udcff", "a;b", "back\\slash", "%2e%2e", "...", "*"):
        put(root / "x" / name, name.encode("utf-8", "surrogateescape"))
        if not name.startswith("."):
            assert body(root, f"x/{name}") == name.encode("utf-8", "surrogateescape")


@pytest.mark.parametrize(
    ("rest", "hidden"),
    [
        (".git/config", True), ("a/.env", True), (".well-known/x", False),
        ("a/.well-known/.x", True),
        ("a.b/c.d", False), ("", False), ("...", True), (".well-knownx", True), ("a/..b", True),
    ],
)  # fmt: skip
def test_hidden_names(rest: str, hidden: bool) -> None:  # noqa: FBT001 - a column of the table
    assert is_hidden(rest) is hidden


def test_hidden_files_are_not_there(root: Path) -> None:
    assert look(root, ".hidden").kind is NOTHING
    assert body(root, ".hidden", dotfiles=True) == b"hidden"
    assert body(root, ".well-known/security.txt") == b"contact"


def test_steps_back_are_none_even_if_they_came_here(root: Path) -> None:
    put(root.parent / "secret", "secret")
    for rest in ("../secret", "sub/../../secret", ".."):
        assert look(root, rest).kind is NOTHING
        assert look(root, rest, dotfiles=True).kind is OUTSIDE


def test_links(root: Path) -> None:
    put(root.parent / "secret.txt", "secret")
    (root / "out.css").symlink_to("../secret.txt")
    (root / "in.css").symlink_to("sub/index.html")
    assert look(root, "out.css").kind is OUTSIDE
    assert look(root, "out.css", fallback="index.html").fallback
    assert body(root, "out.css", symlinks=True) == b"secret"
    sighting = look(root, "in.css")
    assert sighting.body == b"sub"
    assert sighting.name == "in.css"  # the type goes by what was asked for


def test_what_is_no_file_is_never_opened(root: Path) -> None:
    os.mkfifo(root / "fifo")
    (root / "null").symlink_to("/dev/null")
    for rest in ("fifo", "null"):
        assert look(root, rest, symlinks=True).kind is NOTHING
    os.mkfifo(root / "empty/index.html")
    assert look(root, "empty/").kind is NOTHING


def test_the_fallback_answers_for_nothing(root: Path) -> None:
    sighting = look(root, "deep/link", fallback="index.html")
    assert (sighting.kind, sighting.body, sighting.name) == (FILE, b"first page", "index.html")
    assert sighting.fallback
    assert look(root, ".hidden", fallback="index.html").fallback
    assert look(root, "empty/", fallback="index.html").fallback
    assert look(root, "sub", fallback="index.html").kind is FOLDER
    assert not look(root, "style.css", fallback="index.html").fallback
    assert look(root, "x", fallback="none.html").kind is NOTHING
    assert look(root, "x", fallback="sub").kind is NOTHING


def test_a_root_that_is_not_there(root: Path) -> None:
    assert look(root / "x", "style.css", fallback="index.html").kind is NO_ROOT
    assert look(root / "style.css" / "x", "").kind is NO_ROOT


def test_a_root_that_is_a_file(root: Path) -> None:
    put(root / "style.css.gz", "gz")
    plan = {"exact": True}
    sighting = look(root / "style.css", "favicon.ico", **plan)
    assert (sighting.body, sighting.name.rpartition("/")[2]) == (b"style", "style.css")
    assert body(root / "style.css", "favicon.ico", "gzip", **plan) == b"gz"
    assert body(root / "style.css", "") == b"style"
    assert look(root / "style.css", "x").kind is NOTHING


def test_an_exact_path_may_be_a_folders(root: Path) -> None:
    assert body(root, "sub", exact=True) == b"sub"
    assert body(root, "style.css", exact=True) == b"style"
    assert look(root, "empty", exact=True).kind is NOTHING


class TestNeighbours:
    @pytest.fixture(autouse=True)
    def neighbours(self, root: Path) -> None:
        for name in ("br", "zst", "gz"):
            put(root / f"style.css.{name}", name)

    def test_the_most_wanted_one_is_read(self, root: Path) -> None:
        assert body(root, "style.css", "br", "gzip") == b"br"
        assert body(root, "style.css", "gzip", "br") == b"gz"
        assert body(root, "style.css", "zstd") == b"zst"
        assert body(root, "style.css") == b"style"
        sighting = look(root, "style.css", "br")
        assert sighting.coding == "br"
        assert sighting.name == "style.css"
        assert sighting.of == signature((root / "style.css").stat())
        assert sighting.signature == signature((root / "style.css.br").stat())
        assert set(sighting.neighbours) == {"br", "zstd", "gzip"}

    def test_they_stand_beside_what_a_link_leads_to(self, root: Path) -> None:
        (root / "sub/link.css").symlink_to("../style.css")
        assert body(root, "sub/link.css", "br") == b"br"

    def test_none_that_is_older(self, root: Path) -> None:
        put(root / "style.css.br", "stale", OLD - 1)
        put(root / "style.css.gz", "rounded down", OLD)
        os.utime(root / "style.css", (OLD + 0.5, OLD + 0.5))
        assert body(root, "style.css", "br") == b"style"
        assert body(root, "style.css", "br", "gzip") == b"rounded down"
        assert set(look(root, "style.css").neighbours) == {"zstd", "gzip"}

    def test_none_that_is_no_file(self, root: Path) -> None:
        (root / "style.css.br").unlink()
        (root / "style.css.br").mkdir()
        (root / "style.css.gz").unlink()
        os.mkfifo(root / "style.css.gz")
        (root / "style.css.zst").unlink()
        (root / "style.css.zst").symlink_to("/etc/passwd")
        assert look(root, "style.css", "br", "gzip", "zstd").neighbours == {}
        assert body(root, "style.css", "br", "gzip", "zstd") == b"style"

    def test_none_where_that_is_switched_off(self, root: Path) -> None:
        assert body(root, "style.css", "br", precompressed=False) == b"style"
        assert look(root, "style.css", precompressed=False).neighbours == {}

    def test_a_large_one_is_opened(self, root: Path) -> None:
        put(root / "style.css.br", bytes(SMALL + 1))
        sighting = look(root, "style.css", "br")
        assert sighting.body is None
        assert sighting.coding == "br"

    def test_alone_they_are_files_like_others(self, root: Path) -> None:
        assert body(root, "style.css.gz", "gzip") == b"gz"


class Failing:
    """Stands for a call of `os` that fails for some names."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, name: bytes, error: int) -> None:
        real = os.open

        def fail(path: str | bytes, flags: int, *, dir_fd: int | None = None) -> int:
            if path == name:
                raise OSError(error, os.strerror(error))
            return real(path, flags, dir_fd=dir_fd)

        monkeypatch.setattr("proxy.files.descent.os.open", fail)


@pytest.mark.parametrize("error", [errno.EACCES, errno.EPERM])
def test_what_must_not_be_read(root: Path, monkeypatch: pytest.MonkeyPatch, error: int) -> None:
    Failing(monkeypatch, b"style.css", error)
    assert look(root, "style.css", fallback="index.html").kind is DENIED


def test_what_the_machine_cannot_do_is_an_error(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    Failing(monkeypatch, b"style.css", errno.EMFILE)
    with pytest.raises(OSError, match="Too many open files"):
        look(root, "style.css")


def test_a_neighbour_that_cannot_be_read_is_none(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(root / "style.css.br", "br")
    Failing(monkeypatch, b"style.css.br", errno.EACCES)
    sighting = look(root, "style.css", "br")
    assert (sighting.body, sighting.coding, sighting.neighbours) == (b"style", "", {})


@pytest.fixture
def unsteady(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[bytes]]:
    """What a file holds after each read of it, as if somebody wrote to it all the time."""
    to_come: list[bytes] = []
    real = os.pread

    def pread(fd: int, size: int, offset: int) -> bytes:
        data = real(fd, size, offset)
        if to_come:
            Path(f"/proc/self/fd/{fd}").resolve().write_bytes(to_come.pop(0))
        return data

    monkeypatch.setattr("proxy.files.finding.os.pread", pread)
    return iter([to_come])


def test_a_file_that_changes_while_it_is_read_is_read_again(
    root: Path, unsteady: Iterator[list[bytes]]
) -> None:
    next(unsteady).append(b"a longer style")
    assert body(root, "style.css") == b"a longer style"


def test_one_that_changes_all_the_time_is_streamed(
    root: Path, unsteady: Iterator[list[bytes]]
) -> None:
    next(unsteady).extend([b"style 1", b"style 22", b"style 333", b"style 4444"])
    sighting = find(FilesPlan(str(root)), "style.css", (), {})
    assert sighting.body is None
    assert sighting.fd >= 0
    assert sighting.of.size == os.fstat(sighting.fd).st_size
    sighting.close()


def test_a_file_that_gives_little_at_a_time_is_read_to_its_end(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = os.pread
    monkeypatch.setattr(
        "proxy.files.finding.os.pread", lambda fd, size, offset: real(fd, min(size, 2), offset)
    )
    assert body(root, "style.css") == b"style"


def test_a_file_that_shrinks_while_it_is_read_is_read_again(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = os.pread
    shrunk = False

    def pread(fd: int, size: int, offset: int) -> bytes:
        nonlocal shrunk
        data = real(fd, size if shrunk else 2, offset)
        if not shrunk:
            shrunk = True
            (root / "style.css").write_bytes(b"s")
        return data

    monkeypatch.setattr("proxy.files.finding.os.pread", pread)
    assert body(root, "style.css") == b"s"


def test_nothing_is_left_open_by_a_disk_that_fails(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(_fd: int, _size: int, _offset: int) -> bytes:
        raise OSError(errno.EIO, "Input/output error")

    before = len(list(Path("/proc/self/fd").iterdir()))
    with monkeypatch.context() as patched:
        patched.setattr("proxy.files.finding.os.pread", fail)
        with pytest.raises(OSError, match="Input/output"):
            look(root, "style.css")
    assert len(list(Path("/proc/self/fd").iterdir())) == before
