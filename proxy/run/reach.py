"""Whether those whom workers become get to the files they are to serve.

Only root asks, who gets everywhere itself, so that permissions are read and not tried.
"""

import os
import stat
from collections.abc import Iterator
from pathlib import Path

from proxy.run.privileges import Identity
from proxy.settings.models import Settings
from proxy.settings.problem import Problem

_ACL = "system.posix_acl_access"


def folders_out_of_reach(settings: Settings, identity: Identity) -> tuple[Problem, ...]:
    """Return advice on each route whose files nobody will get, since `identity` does not."""
    return tuple(_found(settings, identity))


def _found(settings: Settings, identity: Identity) -> Iterator[Problem]:
    for number, site in enumerate(settings.sites):
        for index, route in enumerate(site.routes):
            if route.files is None or settings.document is None:
                continue
            barrier = barrier_before(Path(route.files.root), identity)
            if barrier is None:
                continue
            mode = stat.S_IMODE(barrier.stat().st_mode)
            may = "enter" if barrier.is_dir() else "read"
            told = f"workers run as {identity.name}, who may not {may} {barrier} (mode {mode:04o})"
            place: tuple[str | int, ...] = ("sites", number, "routes", index, "files")
            if settings.document.given((*place, "root")):
                place = (*place, "root")
            yield settings.document.problem(place, told, at_key=True)


def barrier_before(path: Path, identity: Identity) -> Path | None:
    """Return the first thing on the way to `path` that shuts `identity` out, None if nothing does.

    What is not there shuts nobody out, nor does what has an access control list: that may say more
    than the mode tells.
    """
    real = path.resolve()
    for step in (*reversed(real.parents), real):
        try:
            found = step.stat()
            if _ACL in os.listxattr(step):
                continue
        except OSError:
            return None
        wanted = stat.S_IXOTH if stat.S_ISDIR(found.st_mode) else stat.S_IROTH
        if not _bits(found, identity) & wanted:
            return step
    return None


def _bits(found: os.stat_result, identity: Identity) -> int:
    """Return what a mode allows `identity`, as if to others: one class alone counts."""
    if found.st_uid == identity.uid:
        return found.st_mode >> 6
    if found.st_gid in {identity.gid, *identity.groups}:
        return found.st_mode >> 3
    return found.st_mode
