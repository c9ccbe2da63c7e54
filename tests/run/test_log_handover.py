import os
import pwd
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest

from proxy.net.log_writer import open_log
from proxy.run.log_handover import opener_for
from proxy.run.privileges import Identity, identity_of

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="only root gives files away")
NOBODY = pwd.getpwnam("nobody")


@pytest.fixture
def identity() -> Identity:
    return identity_of("nobody")


@pytest.fixture
def log(tmp_path: Path) -> Iterator[Path]:
    before = set(os.listdir("/proc/self/fd"))  # noqa: PTH208 - only their number counts
    yield tmp_path / "access.log"
    assert set(os.listdir("/proc/self/fd")) == before, "nothing is left open"  # noqa: PTH208


def opened(log: Path, identity: Identity | None) -> None:
    os.close(opener_for(identity)(str(log)))


def test_a_file_is_made_kept_and_given_to_the_workers_user(log: Path, identity: Identity) -> None:
    opened(log, identity)
    found = log.stat()
    assert (found.st_uid, found.st_gid) == (NOBODY.pw_uid, NOBODY.pw_gid)
    assert stat.S_IMODE(found.st_mode) == 0o640
    log.write_text("a line\n")
    opened(log, identity)
    os.chown(log, 1, 1)  # a former user's
    opened(log, identity)
    assert log.read_text() == "a line\n"
    assert log.stat().st_uid == NOBODY.pw_uid


def test_where_nobody_gave_up_root_a_file_is_just_opened(log: Path) -> None:
    assert opener_for(None) is open_log
    opened(log, None)
    assert log.stat().st_uid == 0


def test_nothing_is_looked_for_behind_a_link(log: Path, identity: Identity) -> None:
    target = log.with_name("shadow")
    log.symlink_to(target)
    for whom in (identity, None):
        with pytest.raises(OSError, match=r"symbolic link.*access\.log"):
            opened(log, whom)
    assert not target.exists()


def test_a_file_with_two_names_is_not_given_away(log: Path, identity: Identity) -> None:
    secret = log.with_name("secret")
    secret.touch(0o600)
    log.hardlink_to(secret)
    with pytest.raises(OSError, match=r"another name.*access\.log"):
        opened(log, identity)
    assert secret.stat().st_uid == 0
    secret.unlink()
    opened(log, identity)


def test_devices_stay_as_they_are(identity: Identity, log: Path) -> None:
    before = Path("/dev/null").stat().st_uid
    opened(Path("/dev/null"), identity)
    assert Path("/dev/null").stat().st_uid == before
    assert not log.exists()


@pytest.mark.parametrize(
    ("owner", "group", "mode"),
    [(NOBODY.pw_uid, 0, 0o755), (0, NOBODY.pw_gid, 0o775), (0, 0, 0o757), (0, 0, 0o1777)],
)
def test_a_folder_that_the_workers_may_change_is_refused(
    log: Path, identity: Identity, owner: int, group: int, mode: int
) -> None:
    os.chown(log.parent, owner, group)
    log.parent.chmod(mode)
    with pytest.raises(OSError, match=f"user nobody.* may change the folder {log.parent}, "):
        opened(log, identity)
    assert not log.exists()
    opened(log, None)


def test_nor_may_they_change_where_the_folder_is(log: Path, identity: Identity) -> None:
    theirs = log.parent / "theirs"
    theirs.mkdir()
    (theirs / "logs").mkdir()
    (log.parent / "link").symlink_to(theirs / "logs")
    os.chown(theirs, NOBODY.pw_uid, NOBODY.pw_gid)
    for folder in (theirs / "logs", log.parent / "link"):
        with pytest.raises(OSError, match=f"may change the folder {theirs}, "):
            opened(folder / "access.log", identity)
    assert list((theirs / "logs").iterdir()) == []


def test_a_folder_that_they_may_only_read_or_that_protects_its_own_will_do(
    log: Path, identity: Identity
) -> None:
    log.parent.chmod(0o1777)
    own = log.parent / "logs"
    own.mkdir(0o750)
    os.chown(own, 0, NOBODY.pw_gid)
    opened(own / "access.log", identity)
    assert (own / "access.log").stat().st_uid == NOBODY.pw_uid


def test_a_folder_that_is_missing_is_named(log: Path, identity: Identity) -> None:
    with pytest.raises(FileNotFoundError) as caught:
        opened(log.parent / "none" / "access.log", identity)
    assert caught.value.filename == str(log.parent / "none")
