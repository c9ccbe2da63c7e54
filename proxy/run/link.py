"""Messages between the supervisor and its children: one packet, one JSON object.

A pair of SOCK_SEQPACKET sockets keeps the boundaries of messages by itself, carries descriptors
beside them, and tells either end that the other is gone. Content of any size (a configuration
with its keys) goes by a sealed piece of memory whose descriptor is sent along. The supervisor may
be root and its children have met the world: from them it takes nothing but small JSON.
"""

import array
import contextlib
import fcntl
import json
import os
import socket
from dataclasses import dataclass, field

MOST_BYTES = 192 * 1024
"""Of one message; below the default net.core.wmem_max, so that it fits a socket's buffer."""

MOST_DESCRIPTORS = 8

Message = dict[str, object]


class LinkError(Exception):
    """The other end is gone, does not read, or does not keep to the rules."""


@dataclass(slots=True)
class Received:
    """A message, and the descriptors that came with it, which the receiver closes."""

    message: Message
    descriptors: list[int] = field(default_factory=list)


class Link:
    """One end. Never blocks."""

    def __init__(self, sock: socket.socket) -> None:
        self._socket = sock
        sock.setblocking(False)  # noqa: FBT003 - has no name for it
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 2 * MOST_BYTES)

    def fileno(self) -> int:
        """Return the descriptor, to wait on."""
        return self._socket.fileno()

    def send(self, message: Message, descriptors: tuple[int, ...] = ()) -> None:
        """Send a message.

        Raises:
            LinkError: It cannot be sent now, which a sound receiver never lets happen.
        """
        data = json.dumps(message).encode()
        if len(data) > MOST_BYTES:
            raise LinkError(f"a message of {len(data)} bytes is too large")
        ancillary = []
        if descriptors:
            rights = array.array("i", descriptors)
            ancillary.append((socket.SOL_SOCKET, socket.SCM_RIGHTS, rights))
        try:
            self._socket.sendmsg([data], ancillary)
        except OSError as error:
            raise LinkError(f"cannot send: {error.strerror}") from None

    def receive(self) -> Received | None:
        """Return the next message, None while there is none.

        Raises:
            LinkError: The other end is gone, or what came is no message.
        """
        try:
            # Not socket.recv_fds, which drops the flags it is given.
            data, ancillary, flags, _ = self._socket.recvmsg(
                MOST_BYTES, socket.CMSG_LEN(MOST_DESCRIPTORS * 4), socket.MSG_CMSG_CLOEXEC
            )
        except BlockingIOError:
            return None
        except OSError as error:
            raise LinkError(f"cannot receive: {error.strerror}") from None
        descriptors = _descriptors(ancillary)
        message = None if flags & socket.MSG_TRUNC else _message(data)
        if message is None:
            close_all(descriptors)
            raise LinkError("not a message" if data else "the other end is gone")
        return Received(message, descriptors)

    def close(self) -> None:
        """Close this end; the other one reads the end."""
        self._socket.close()


def _descriptors(ancillary: list[tuple[int, int, bytes]]) -> list[int]:
    """Return the descriptors that came beside a packet."""
    found = array.array("i")
    for level, kind, data in ancillary:
        if (level, kind) == (socket.SOL_SOCKET, socket.SCM_RIGHTS):
            found.frombytes(data[: len(data) - len(data) % found.itemsize])
    return list(found)


def _message(data: bytes) -> Message | None:
    """Return the message in a packet, None where it holds none."""
    try:
        message = json.loads(data)
    except (ValueError, RecursionError):
        return None
    return message if isinstance(message, dict) else None


def pair() -> tuple[Link, Link]:
    """Return two ends that are joined."""
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    return Link(ours), Link(theirs)


def close_all(descriptors: list[int]) -> None:
    """Close descriptors that came with a message."""
    for descriptor in descriptors:
        with contextlib.suppress(OSError):
            os.close(descriptor)


def into_memory(content: bytes) -> int:
    """Return a descriptor of memory that holds `content` and that nobody can change any more."""
    handle = os.memfd_create("pyproxy", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
    try:
        write_fully(handle, content)
        seals = fcntl.F_SEAL_WRITE | fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW | fcntl.F_SEAL_SEAL
        fcntl.fcntl(handle, fcntl.F_ADD_SEALS, seals)
    except OSError:
        os.close(handle)
        raise
    return handle


def write_fully(handle: int, content: bytes) -> None:
    """Write all of `content`, which one call need not."""
    rest = memoryview(content)
    while rest:
        rest = rest[os.write(handle, rest) :]


def from_memory(handle: int) -> bytes:
    """Return all that a piece of memory holds; where its readers are plays no part."""
    size = os.fstat(handle).st_size
    parts: list[bytes] = []
    done = 0
    while done < size:
        part = os.pread(handle, size - done, done)
        if not part:
            break
        parts.append(part)
        done += len(part)
    return b"".join(parts)
