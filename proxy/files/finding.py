"""What there is for a request's path: the file, its precompressed neighbours, what is in it."""

import errno
import os
import stat
from collections.abc import Mapping
from enum import Enum
from typing import NamedTuple

from proxy.files.descent import Descent, LeadsOutError
from proxy.files.plan import FilesPlan

SMALL = 256 * 1024
"""Bytes up to which a file is read whole; a larger one is streamed."""

SUFFIXES = {"br": b".br", "zstd": b".zst", "gzip": b".gz"}
"""By content coding, the most compact first."""

_READS = 3  # of a file that is being written to
_NOTHING = frozenset({
    errno.ENOENT, errno.ENOTDIR, errno.ELOOP, errno.ENAMETOOLONG, errno.EINVAL, errno.EISDIR,
    errno.ENXIO, errno.EILSEQ,
})  # fmt: skip
_DENIED = frozenset({errno.EACCES, errno.EPERM})
_NANOSECONDS = 1_000_000_000


class Signature(NamedTuple):
    """What changes when a file does."""

    device: int
    inode: int
    size: int
    mtime_ns: int
    ctime_ns: int


def signature(found: os.stat_result) -> Signature:
    """Return a file's."""
    return Signature(
        found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns
    )


class Kind(Enum):
    """What was found."""

    FILE = "file"
    FOLDER = "folder"  # asked for without the slash that its index file is served behind
    NOTHING = "nothing"
    OUTSIDE = "outside"  # a link on the way leads out of the root, or in circles
    DENIED = "denied"  # there, and the worker may not read it
    NO_ROOT = "no root"


class Sighting:
    """What there was at one moment.

    Attributes:
        kind: What was found. All else is said of a file only.
        fallback: True where it is the fallback, and nothing is there.
        name: Of the file, without folders: its type goes by it.
        of: Its signature.
        neighbours: Those of precompressed neighbours, by content coding.
        coding: Of what was read or opened: one of `neighbours`, or "" for the file itself.
        body: What is in it, or None where it is too large to be read, or changes too often.
        fd: Open for reading where there is no body; the receiver closes it.
    """

    __slots__ = ("body", "coding", "fallback", "fd", "kind", "name", "neighbours", "of")

    def __init__(self, kind: Kind) -> None:
        self.kind = kind
        self.fallback = False
        self.name = ""
        self.of = Signature(0, 0, 0, 0, 0)
        self.neighbours: dict[str, Signature] = {}
        self.coding = ""
        self.body: bytes | None = None
        self.fd = -1

    @property
    def signature(self) -> Signature:
        """Return the signature of what was read or opened."""
        return self.neighbours[self.coding] if self.coding else self.of

    def close(self) -> None:
        """Close what is open."""
        fd, self.fd = self.fd, -1
        if fd >= 0:
            os.close(fd)


Held = Mapping[Signature, bytes]
"""What was read before, and need not be read again as long as its signature is the same."""


def is_hidden(rest: str) -> bool:
    """Say whether a path has a name in it that begins with a dot, `.well-known` left out."""
    return "/." in f"/{rest}" and any(
        name.startswith(".") and name != ".well-known" for name in rest.split("/")
    )


def find(plan: FilesPlan, rest: str, codings: tuple[str, ...], held: Held) -> Sighting:
    """Return what there is beneath a root. Blocks.

    Args:
        plan: Says where and how.
        rest: What is behind `plan.prefix` in the normalised path.
        codings: Content codings that the client takes, best first; a neighbour in the first of
            them that there is one in is read or opened in the file's place.
        held: See there.

    Raises:
        OSError: The machine failed: no descriptors left, a disk that cannot be read.
    """
    if is_hidden(rest) and not plan.dotfiles:
        sighting = Sighting(Kind.NOTHING)
    else:
        sighting = _find(plan, rest, codings, held)
    if plan.fallback and sighting.kind in {Kind.NOTHING, Kind.OUTSIDE}:
        sighting = _find(plan, plan.fallback, codings, held)
        sighting.fallback = True
        if sighting.kind is Kind.FOLDER:
            sighting.kind = Kind.NOTHING
    return sighting


def _find(plan: FilesPlan, rest: str, codings: tuple[str, ...], held: Held) -> Sighting:
    missing = Kind.NO_ROOT
    try:
        with Descent(plan.root, follow=plan.symlinks) as descent:
            missing = Kind.NOTHING
            sighting = _walk(descent, plan, rest)
            if sighting.kind is Kind.FILE:
                _look(descent, sighting, codings if plan.precompressed else None, held)
            return sighting
    except LeadsOutError:
        return Sighting(Kind.OUTSIDE)
    except OSError as error:
        if error.errno in _DENIED:
            return Sighting(Kind.DENIED)
        # Those that this room raises itself have no number.
        if error.errno is None or error.errno in _NOTHING:
            return Sighting(missing)
        raise


def _walk(descent: Descent, plan: FilesPlan, rest: str) -> Sighting:
    """Go to the file for a path."""
    names = rest.encode("utf-8", "surrogateescape").split(b"/")
    name = names[-1]
    if not name:  # a folder is asked for, or the root
        names.pop()
    if plan.exact and not descent.in_folder:
        name = os.fsencode(plan.root)  # the root is the file
    elif names:
        descent.go(names)
        if not name and not descent.in_folder:
            return Sighting(Kind.NOTHING)
    if descent.in_folder:
        index = _go_to_index(descent, plan.index)
        if not index or (name and not plan.exact):
            return Sighting(Kind.FOLDER if index else Kind.NOTHING)
        name = index
    if not stat.S_ISREG(descent.found.st_mode):
        return Sighting(Kind.NOTHING)
    sighting = Sighting(Kind.FILE)
    sighting.name = name.decode("utf-8", "replace")
    return sighting


def _go_to_index(descent: Descent, index: tuple[str, ...]) -> bytes:
    """Go to the first index file there is, and return its name; b"" where there is none."""
    for each in index:
        name = each.encode("utf-8", "surrogateescape")
        links = descent.links
        try:
            descent.go([name])
        except FileNotFoundError:
            if descent.links > links:  # it led elsewhere before it led nowhere
                break
            continue
        return b"" if descent.in_folder else name
    return b""


def _look(
    descent: Descent, sighting: Sighting, codings: tuple[str, ...] | None, held: Held
) -> None:
    """Read or open the file, or the neighbour that the client takes most gladly."""
    sighting.of = signature(descent.found)
    if codings is not None:
        sighting.neighbours = _neighbours(descent)
        for coding in codings:
            if coding in sighting.neighbours:
                try:
                    _take(descent, sighting, coding, held)
                except OSError:  # gone again, or not for us: then it is none
                    del sighting.neighbours[coding]
                else:
                    return
    _take(descent, sighting, "", held)


def _neighbours(descent: Descent) -> dict[str, Signature]:
    """Return the precompressed neighbours that are no older than the file.

    In whole seconds: not every tool that hands a file's time on hands on its fractions.
    """
    least = descent.found.st_mtime_ns // _NANOSECONDS
    neighbours = {}
    for coding, suffix in SUFFIXES.items():
        found = descent.beside(suffix)
        if (
            found is not None
            and stat.S_ISREG(found.st_mode)
            and found.st_mtime_ns // _NANOSECONDS >= least
        ):
            neighbours[coding] = signature(found)
    return neighbours


def _take(descent: Descent, sighting: Sighting, coding: str, held: Held) -> None:
    """Read the file or its neighbour, or open it where it is large or changes all the time."""
    now = sighting.neighbours[coding] if coding else sighting.of
    sighting.body = held.get(now)
    if sighting.body is None:
        try:
            now = _open(descent, sighting, SUFFIXES[coding] if coding else b"")
        except OSError:
            sighting.close()
            raise
    sighting.coding = coding
    if coding:
        sighting.neighbours[coding] = now
    else:
        sighting.of = now


def _open(descent: Descent, sighting: Sighting, suffix: bytes) -> Signature:
    """Set the sighting's `body`, or else its `fd`; return the signature of what that is of."""
    tries = 0
    while True:
        tries += 1
        sighting.fd = descent.open(suffix)
        before = signature(os.fstat(sighting.fd))
        if before.size > SMALL:
            return before
        body = _read(sighting.fd, before.size)
        after = signature(os.fstat(sighting.fd))
        if len(body) == before.size and after == before:
            sighting.body = body
            sighting.close()
            return before
        if tries == _READS:
            return after
        sighting.close()


def _read(fd: int, size: int) -> bytes:
    """Return what is in a file, up to a byte more than it is to have."""
    body = os.pread(fd, size + 1, 0)
    while body and len(body) < size:  # a read may give less than there is
        more = os.pread(fd, size + 1 - len(body), len(body))
        if not more:
            break
        body += more
    return body
