"""Files that are whole or absent, whenever the power goes, and the lock around a folder of them."""

import contextlib
import fcntl
import os
import stat
import tempfile
from collections.abc import Iterator
from pathlib import Path

_UNFINISHED = ".unfinished-"


def make_folder(folder: Path, mode: int = 0o700) -> None:
    """Make a folder and those above it, or bring an existing one of ours to `mode`.

    Raises:
        OSError: The file system says no.
    """
    if not folder.parent.is_dir():
        make_folder(folder.parent)
    try:
        folder.mkdir(mode)
    except FileExistsError:
        found = folder.stat()
        if not stat.S_ISDIR(found.st_mode):
            raise
        if stat.S_IMODE(found.st_mode) != mode and found.st_uid == os.geteuid():
            folder.chmod(mode)
    else:
        _sync(folder.parent)


def replace_file(path: Path, data: bytes, mode: int) -> None:
    """Put a file in place: readers see the old one or the whole new one, on disk when this returns.

    Raises:
        OSError: The file system says no; the old file is as it was.
    """
    # mkstemp makes it 0600, so that a key is at no moment anybody else's to read.
    descriptor, name = tempfile.mkstemp(prefix=_UNFINISHED, dir=path.parent)
    unfinished = Path(name)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(data)
            file.flush()
            os.fchmod(descriptor, mode)
            os.fsync(descriptor)
        unfinished.replace(path)
    except BaseException:
        unfinished.unlink(missing_ok=True)
        raise
    _sync(path.parent)


def sweep(folder: Path) -> None:
    """Remove what a killed process left behind; only for who holds the lock.

    Raises:
        OSError: The file system says no.
    """
    for left in folder.glob(f"{_UNFINISHED}*"):
        left.unlink(missing_ok=True)


@contextlib.contextmanager
def lock(path: Path) -> Iterator[None]:
    """Hold a lock between processes; it is free again when its holder ends, however it ends.

    It knows nothing of threads, and a process must not take it twice (POSIX record locks).

    Raises:
        OSError: The file system says no.
    """
    with path.open("ab") as file:
        path.chmod(0o600)
        fcntl.lockf(file, fcntl.LOCK_EX)
        yield


def _sync(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
