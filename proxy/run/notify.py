"""What a service manager is told, and what it hands over: sd_notify(3) and sd_listen_fds(3)."""

import contextlib
import os
import socket
import stat
from collections.abc import Mapping, MutableMapping

FIRST_DESCRIPTOR = 3
"""SD_LISTEN_FDS_START."""

MOST_DESCRIPTORS = 1024

VARIABLES = ("LISTEN_PID", "LISTEN_FDS", "LISTEN_FDNAMES", "LISTEN_PIDFDID")


class Notifier:
    """Tells the service manager how it goes. Without one (NOTIFY_SOCKET unset) it says nothing."""

    def __init__(self, environ: Mapping[str, str]) -> None:
        self._address = _address(environ.get("NOTIFY_SOCKET", ""))
        self._socket = socket.socket(
            socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC | socket.SOCK_NONBLOCK
        )

    def tell(self, **assignments: str | int) -> None:
        """Send assignments: `tell(READY=1, STATUS="serving")`. That nobody listens is no fault."""
        if self._address:
            # A line break would let a text smuggle in an assignment of its own.
            lines = (f"{key}={value}".replace("\n", " ") for key, value in assignments.items())
            with contextlib.suppress(OSError):
                self._socket.sendto("\n".join(lines).encode(), self._address)

    def close(self) -> None:
        """Close the socket."""
        self._socket.close()


def _address(text: str) -> str:
    """Return a socket address: a path, or an abstract one written with "@" in front."""
    if text.startswith("@"):
        return "\0" + text[1:]
    return text if text.startswith("/") else ""


def watchdog_interval(environ: Mapping[str, str], pid: int) -> float:
    """Return the seconds between two WATCHDOG=1, half of what the manager allows; 0 for none."""
    try:
        allowed = int(environ.get("WATCHDOG_USEC", ""))
        meant = int(environ.get("WATCHDOG_PID", str(pid)))
    except ValueError:
        return 0.0
    return allowed / 2e6 if allowed > 0 and meant == pid else 0.0


def take_descriptors(
    environ: MutableMapping[str, str], pid: int, first: int = FIRST_DESCRIPTOR
) -> list[tuple[int, str]]:
    """Return the sockets handed over and their names, and forget them in `environ`.

    They are ours only if LISTEN_PID is our pid: the variables reach grandchildren too. To be
    called before anything is opened, which could else be taken for one of them.
    """
    try:
        meant = int(environ.get("LISTEN_PID", ""))
        count = int(environ.get("LISTEN_FDS", ""))
    except ValueError:
        return []
    names = environ.get("LISTEN_FDNAMES", "").split(":")
    for variable in VARIABLES:
        environ.pop(variable, None)
    if meant != pid or not 0 < count <= MOST_DESCRIPTORS:
        return []
    names += [""] * (count - len(names))
    named = zip(range(first, first + count), names[:count], strict=True)
    return [(descriptor, name) for descriptor, name in named if _is_socket(descriptor)]


def _is_socket(descriptor: int) -> bool:
    try:
        return stat.S_ISSOCK(os.fstat(descriptor).st_mode)
    except OSError:
        return False
