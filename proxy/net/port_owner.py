"""Who listens on a port, for the sentence that says that it is taken."""

from collections.abc import Iterator
from pathlib import Path

LISTENING = "0A"
"""State of a listening socket in /proc/net/tcp (proc(5))."""


def _inodes(table: str, port: int) -> Iterator[str]:
    """Yield the inodes of the sockets that listen on `port`, from the text of a table."""
    for line in table.splitlines()[1:]:
        words = line.split()
        if words[3] == LISTENING and int(words[1].rpartition(":")[2], 16) == port:
            yield words[9]


def _holders(links: frozenset[str]) -> Iterator[int]:
    """Yield the processes that hold one of these sockets, as far as this user may look."""
    for process in Path("/proc").iterdir():
        if not process.name.isdigit():
            continue
        try:
            if any(str(handle.readlink()) in links for handle in (process / "fd").iterdir()):
                yield int(process.name)
        except OSError:  # another user's, or gone
            continue


def owner_of_port(port: int) -> str:
    """Return who listens on a TCP port here: "nginx (pid 812)"; "" if that cannot be told."""
    try:
        tables = [Path(f"/proc/net/{name}").read_text() for name in ("tcp", "tcp6")]
        links = frozenset(f"socket:[{inode}]" for table in tables for inode in _inodes(table, port))
        pid = min(_holders(links), default=0) if links else 0
        return f"{Path(f'/proc/{pid}/comm').read_text().strip()} (pid {pid})" if pid else ""
    except (OSError, ValueError, IndexError):
        return ""
