import socket
from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from benchmarks.scenarios import bulk_origin


@pytest.fixture
def pair() -> Iterator[tuple[socket.socket, socket.socket]]:
    with ExitStack() as stack:
        left, right = socket.socketpair()
        yield stack.enter_context(left), stack.enter_context(right)


def test_a_body_counts_with_what_came_beside_the_head_and_too_much_is_seen(
    pair: tuple[socket.socket, socket.socket],
) -> None:
    client, server = pair
    client.sendall(b"POST /upload HTTP/1.1\r\nContent-Length: 11\r\n\r\nhello")
    head, begun = bulk_origin.read_head(server)
    client.sendall(b" world, and more")
    client.close()
    assert bulk_origin.content_length(head) == 11
    assert bulk_origin.count_body(server, 11, len(begun)) == len(b"hello world, and more")


def test_a_body_cut_short_is_not_counted_as_whole(
    pair: tuple[socket.socket, socket.socket],
) -> None:
    client, server = pair
    client.sendall(b"12345")
    client.close()
    assert bulk_origin.count_body(server, 11, 0) == 5


def test_a_body_of_unknown_length_is_refused() -> None:
    with pytest.raises(ValueError, match="Content-Length"):
        bulk_origin.content_length("POST / HTTP/1.1\r\nTransfer-Encoding: chunked")
