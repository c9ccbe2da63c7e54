"""The promise of static files: nothing from outside the root, ever, whatever the spelling; and what
the obvious server with the same rules would serve is served, byte for byte.

The requests go through all of the proxy but its sockets: grammar, normalised path, routes, handler.
"""

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import event, example, given, strategies as st

from proxy.errors import BadRequestError
from proxy.files.plan import FilesPlan
from proxy.message.target import normalise_path
from proxy.routing.route import Route
from tests.fakes.serving import Line, one_site
from tests.fuzz.file_tree import SECRET, make_tree, obvious, targets


class Server:
    """A worker with the tree beneath several prefixes, and one loop for all examples."""

    def __init__(self, base: Path) -> None:
        self.root = make_tree(base.resolve())
        root = self.root.decode()
        self._runner = asyncio.Runner()
        self._made = one_site(
            Route("/", files=FilesPlan(root)),
            Route("/static/", files=FilesPlan(root, prefix="/static/")),
            Route("/spa/", files=FilesPlan(root, prefix="/spa/", fallback="index.html")),
        )
        self._line = Line(made=self._made)

    def ask(self, target: str) -> tuple[int, bytes, bytes]:
        """Return status, head and body; on one connection, as long as it lasts."""
        if self._line.pipe.closed or self._line.pipe.ended:
            self._line.service.files.close()
            self._line = Line(made=self._made)
        return self._runner.run(self._ask(target))

    async def _ask(self, target: str) -> tuple[int, bytes, bytes]:
        line = self._line
        done = asyncio.Event()
        line.pipe.on_write = done.set
        line.send(f"GET {target} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode("ascii"))
        async with asyncio.timeout(10):
            await done.wait()
        head, _, body = line.out().partition(b"\r\n\r\n")
        return int(head[9:12]), head, body

    def close(self) -> None:
        self._line.service.files.close()
        self._runner.close()


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    server = Server(tmp_path_factory.mktemp("files"))
    yield server
    server.close()


def is_refused(target: str) -> bool:
    try:
        normalise_path(target)
    except BadRequestError:
        return True
    return False


@given(target=targets, prefix=st.sampled_from(["/", "/", "/static/", "/spa/"]))
@example(target="/../secret", prefix="/")
@example(target="/sub/out", prefix="/static/")
@example(target="/%2e%2e%2fsecret", prefix="/")
@example(target="/etc/passwd", prefix="/spa/")
def test_what_the_obvious_server_serves_and_nothing_else(
    server: Server, target: str, prefix: str
) -> None:
    asked = prefix + target[1:]
    status, head, body = server.ask(asked)
    assert SECRET not in body
    assert b"root:" not in body
    if is_refused(asked):
        event("refused")
        assert status == 400
        return
    expected = obvious(server.root, target)
    if expected == "nothing" and prefix == "/spa/":
        expected = b"content of index.html"
    if isinstance(expected, bytes):
        event("served")
        assert (status, body) == (200, expected)
    elif expected == "folder":
        event("sent to a folder")
        assert status == 301
        (location,) = (line for line in head.split(b"\r\n") if line.startswith(b"Location: "))
        path = location.removeprefix(b"Location: ").decode()
        assert path.startswith("/")
        assert not path.startswith("//")
        assert server.ask(path)[0] == 200
    else:
        event("nothing")
        assert status == 404
