import os
from pathlib import Path

import pytest

from proxy.run.privileges import Identity
from proxy.run.reach import barrier_before, folders_out_of_reach
from proxy.settings.load import load_text

STRANGER = Identity("stranger", 54321, 54321, (54321,))
OWN = Identity("own", os.geteuid(), 54321, ())
COLLEAGUE = Identity("colleague", 54321, 54321, (54321, os.getegid()))


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """A folder that strangers may enter, down from the root."""
    for folder in (tmp_path, *tmp_path.parents):
        if folder.stat().st_uid == os.geteuid() and folder.parent != folder:
            folder.chmod(folder.stat().st_mode | 0o755)
    return tmp_path


@pytest.mark.parametrize(
    ("mode", "identity", "shut"),
    [
        (0o755, STRANGER, False),
        (0o711, STRANGER, False),  # names in it are known: it need not be read
        (0o750, STRANGER, True),
        (0o750, COLLEAGUE, False),
        (0o705, COLLEAGUE, True),  # the group's bits count, and no others
        (0o700, OWN, False),
        (0o677, OWN, True),
    ],
)
def test_folders(home: Path, mode: int, identity: Identity, *, shut: bool) -> None:
    folder = home / "app"
    (folder / "static").mkdir(parents=True)
    os.chown(folder, os.geteuid(), os.getegid())
    folder.chmod(mode)
    found = barrier_before(folder / "static", identity)
    folder.chmod(0o755)
    assert found == (folder if shut else None)


def test_files_are_to_be_read(home: Path) -> None:
    page = home / "robots.txt"
    page.write_text("x")
    page.chmod(0o644)
    assert barrier_before(page, STRANGER) is None
    page.chmod(0o640)
    assert barrier_before(page, STRANGER) == page


def test_links_lead_to_what_counts(home: Path) -> None:
    (home / "private" / "static").mkdir(parents=True)
    (home / "www").symlink_to(home / "private" / "static")
    (home / "private").chmod(0o700)
    assert barrier_before(home / "www", STRANGER) == home / "private"


def test_what_is_not_there_shuts_nobody_out(home: Path) -> None:
    assert barrier_before(home / "none" / "static", STRANGER) is None


def test_advice_has_the_place_and_the_folder(home: Path) -> None:
    (home / "static").mkdir(mode=0o755)
    shut = home / "media"
    shut.mkdir()
    shut.chmod(0o750)
    text = (
        "sites:\n- hosts: localhost\n  routes:\n"
        "  - {path: /static/, files: static}\n"
        "  - {path: /a/, files: media}\n"
        "  - {path: /b/, files: {root: media}}\n"
        "  - {path: /, respond: 204}\n"
    )
    settings = load_text(text, "proxy.yaml", {}, str(home))
    told = f"workers run as stranger, who may not enter {shut} (mode 0750)"
    found = folders_out_of_reach(settings, STRANGER)
    assert [(one.line, one.path, one.message) for one in found] == [
        (5, "sites[0].routes[1].files", told),
        (6, "sites[0].routes[2].files.root", told),
    ]
