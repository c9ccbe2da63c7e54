"""Log files that root opens and processes which gave up root write to.

Whoever may change a log's folder could put another file in its place, and have root write to it or
give it away (CVE-2016-1247). So root follows no link, looks at what it has opened rather than at a
name, and takes no folder that the workers' user may change.
"""

import errno
import os
import stat
from functools import partial
from pathlib import Path

from proxy.net.log_writer import Opener, open_log
from proxy.run.privileges import Identity


def opener_for(identity: Identity | None) -> Opener:
    """Return what opens log files where the workers are `identity`."""
    return open_log if identity is None else partial(_open_for, identity)


def _open_for(identity: Identity, target: str) -> int:
    """Open a log file that `identity` may open again, as nginx does; devices stay as they are.

    Workers could not make a file in /var/log themselves when its predecessor was rotated away.

    Raises:
        OSError: It cannot be opened, or it may not be the log that the configuration means.
    """
    _check_folders(Path(target), identity)
    handle = open_log(target)
    try:
        _give(handle, identity, target)
    except OSError:
        os.close(handle)
        raise
    return handle


def _give(handle: int, identity: Identity, target: str) -> None:
    found = os.fstat(handle)
    if not stat.S_ISREG(found.st_mode):
        return
    if found.st_nlink != 1:
        raise _refused("the file has another name, or none (hard links): remove it", target)
    if found.st_uid != identity.uid:
        os.fchown(handle, identity.uid, identity.gid)


def _check_folders(path: Path, identity: Identity) -> None:
    """See that `identity` cannot change what the path of a log leads to.

    Raises:
        OSError: It can, or a folder is missing.
    """
    folder = path.parent
    # A folder may be reached through links: where they lie and where they lead.
    for each in dict.fromkeys((folder, *folder.parents, *folder.resolve().parents)):
        found = each.stat()
        # In a folder like /tmp others may not touch what is root's, but be there before it.
        kept = found.st_mode & stat.S_ISVTX and each != folder and found.st_uid != identity.uid
        if not kept and _may_write(identity, found):
            raise _refused(
                f"user {identity.name}, as whom workers run, may change the folder {each}, and so "
                "put another file in the log's place: let only root write to it "
                f"(chown root {each}; chmod go-w {each})",
                str(path),
            )


def _may_write(identity: Identity, found: os.stat_result) -> bool:
    if found.st_uid == identity.uid:
        return True  # if not now, then after a chmod
    if found.st_gid in {identity.gid, *identity.groups}:
        return bool(found.st_mode & stat.S_IWGRP)
    return bool(found.st_mode & stat.S_IWOTH)


def _refused(why: str, target: str) -> OSError:
    return OSError(errno.EINVAL, why, target)
