import fcntl
import os
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from proxy.run.link import (
    MOST_BYTES,
    Link,
    LinkError,
    Received,
    close_all,
    from_memory,
    into_memory,
    pair,
)


@pytest.fixture
def ends() -> Iterator[tuple[Link, Link]]:
    ours, theirs = pair()
    yield ours, theirs
    ours.close()
    theirs.close()


def test_messages_keep_their_boundaries(ends: tuple[Link, Link]) -> None:
    ours, theirs = ends
    ours.send({"do": "drain", "timeout": 1.5})
    ours.send({"do": "close"})
    assert theirs.receive() == Received({"do": "drain", "timeout": 1.5})
    assert theirs.receive() == Received({"do": "close"})
    assert theirs.receive() is None


def test_content_goes_along_as_memory_that_nobody_can_change(ends: tuple[Link, Link]) -> None:
    ours, theirs = ends
    content = os.urandom(3 << 20)
    handle = into_memory(content)
    ours.send({"do": "prepare"}, (handle,))
    os.close(handle)
    received = theirs.receive()
    assert received is not None
    (arrived,) = received.descriptors
    assert from_memory(arrived) == content
    assert from_memory(arrived) == content  # no reader moves another's place
    assert fcntl.fcntl(arrived, fcntl.F_GETFD) & fcntl.FD_CLOEXEC
    with pytest.raises(PermissionError):
        os.pwrite(arrived, b"x", 0)
    close_all(received.descriptors)
    close_all(received.descriptors)  # does no harm


def test_the_end_of_the_other_one_is_noticed(ends: tuple[Link, Link]) -> None:
    ours, theirs = ends
    ours.send({"is": "failed"})
    ours.close()
    assert theirs.receive() == Received({"is": "failed"})
    with pytest.raises(LinkError, match="is gone"):
        theirs.receive()
    with pytest.raises(LinkError, match="cannot send"):
        theirs.send({"is": "beat"})


def test_an_end_that_does_not_read_blocks_nobody(ends: tuple[Link, Link]) -> None:
    ours, _theirs = ends

    def flood() -> None:
        for _ in range(10_000):
            ours.send({"is": "x" * 1000})

    with pytest.raises(LinkError, match="cannot send"):
        flood()


def test_a_message_has_its_limit(ends: tuple[Link, Link]) -> None:
    with pytest.raises(LinkError, match="too large"):
        ends[0].send({"is": "x" * MOST_BYTES})


@pytest.mark.parametrize(
    "data",
    [b"{", b"[]", b"1", b"\xff", b"[" * 5000, b"x" * (MOST_BYTES + 1)],
    ids=["cut", "list", "number", "bytes", "deep", "long"],
)
def test_nonsense_is_an_error_and_leaks_no_descriptor(data: bytes) -> None:
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    ours.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4 * MOST_BYTES)
    link = Link(theirs)
    before = set(Path("/proc/self/fd").iterdir())
    socket.send_fds(ours, [data], [ours.fileno()])
    with pytest.raises(LinkError, match="not a message"):
        link.receive()
    assert set(Path("/proc/self/fd").iterdir()) == before
    ours.close()
    link.close()
