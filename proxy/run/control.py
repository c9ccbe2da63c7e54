"""The control socket: where it is, who may speak to it, and what is said over it.

One connection, one question: a line of JSON with `command` ("status", "health", "reload", "stop",
"reopen"), then a line of JSON with `ok`, and `why` where that is false. This module imports
little: `pyproxy health` runs every few seconds in a container.
"""

import contextlib
import json
import os
import select
import socket
import struct
from collections.abc import Iterator
from pathlib import Path

NAME = "control.sock"

MOST_BYTES = 4 << 20
"""Of one answer: a status with some thousand certificates."""

BACKLOG = 64

Answer = dict[str, object]


class NotRunningError(Exception):
    """Nobody answers at the control socket. The text is for the user."""


class AlreadyRunningError(Exception):
    """Another proxy answers at the control socket. The text is for the user."""


@contextlib.contextmanager
def _short_path(folder: Path) -> Iterator[str]:
    """Yield a path of the control socket that fits into sockaddr_un, however deep the folder is."""
    handle = os.open(folder, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        yield f"/proc/self/fd/{handle}/{NAME}"
    finally:
        os.close(handle)


def _connected(folder: Path, timeout: float) -> socket.socket:
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_CLOEXEC)
    sock.settimeout(timeout)
    try:
        with _short_path(folder) as path:
            sock.connect(path)
    except OSError:
        sock.close()
        raise
    return sock


def listen(folder: Path) -> socket.socket:
    """Return the control socket of the proxy whose state is in `folder`, listening.

    Whatever a proxy that ended left behind is replaced.

    Raises:
        AlreadyRunningError: Another proxy listens there.
        OSError: The socket cannot be made.
    """
    try:
        _connected(folder, timeout=2.0).close()
    except (FileNotFoundError, ConnectionRefusedError):
        pass
    except TimeoutError:
        raise AlreadyRunningError(_running_already(folder)) from None
    else:
        raise AlreadyRunningError(_running_already(folder))
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_CLOEXEC)
    try:
        with _short_path(folder) as path:
            with contextlib.suppress(FileNotFoundError):
                os.unlink(path)  # noqa: PTH108 - a name in an open folder
            before = os.umask(0o177)  # from its first moment nobody else may connect
            try:
                sock.bind(path)
            finally:
                os.umask(before)
        sock.listen(BACKLOG)
    except OSError:
        sock.close()
        raise
    return sock


def _running_already(folder: Path) -> str:
    return (
        f"a proxy with the state folder {folder} is running already: "
        "`pyproxy status` shows it, `pyproxy stop` ends it"
    )


def remove(folder: Path) -> None:
    """Remove the control socket of a proxy that ends."""
    with contextlib.suppress(OSError):
        (folder / NAME).unlink()


def may_ask(sock: socket.socket, owner: int) -> bool:
    """Tell whether the process at the other end may give orders: root, or the proxy's own user."""
    raw = sock.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, struct.calcsize("3i"))
    _pid, uid, _gid = struct.unpack("3i", raw)
    return uid in {0, owner}


def ask(folder: Path, command: str, timeout: float) -> Answer:
    """Return what the running proxy answers to `command`.

    Args:
        folder: The state folder.
        command: What to ask for.
        timeout: Seconds to wait for each piece of the answer.

    Raises:
        NotRunningError: Nobody is there, or gives an answer.
    """
    try:
        with _connected(folder, timeout) as sock:
            sock.sendall(json.dumps({"command": command}).encode() + b"\n")
            data = _line(sock)
        found = json.loads(data)
    except (FileNotFoundError, ConnectionRefusedError):
        raise NotRunningError(f"no proxy runs with the state folder {folder}") from None
    except TimeoutError:
        raise NotRunningError("the proxy does not answer") from None
    except OSError as error:
        raise NotRunningError(f"cannot ask the proxy in {folder}: {error.strerror}") from None
    except ValueError:
        raise NotRunningError("the proxy went away, or refuses to answer this user") from None
    return found if isinstance(found, dict) else {}


def _line(sock: socket.socket) -> bytes:
    data = b""
    while not data.endswith(b"\n") and len(data) <= MOST_BYTES:
        part = sock.recv(65536)
        if not part:
            break
        data += part
    return data


def has_ended(pid: int, timeout: float) -> bool:
    """Wait for a process to end, at most `timeout` seconds, and tell whether it did."""
    try:
        handle = os.pidfd_open(pid)
    except OSError:
        return True
    try:
        return bool(select.select([handle], [], [], timeout)[0])
    finally:
        os.close(handle)
