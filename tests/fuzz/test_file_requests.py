"""The promise of static files, whatever is asked of them one after the other: nobody gets another
form than he takes, a part of another form than was named, or what a cache mixed up.
"""

import asyncio
import gzip
import os
import zlib
from collections.abc import Iterator
from pathlib import Path

import brotli
import pytest
from hypothesis import event, given, strategies as st

from proxy.files.finding import SMALL
from proxy.files.plan import FilesPlan
from proxy.message.accept_encoding import acceptable
from proxy.policy.compression import compression
from proxy.routing.route import Route
from tests.fakes.serving import Line, one_site

OLD = 1_700_000_000
FILES = {
    "small.css": b"a { color: red }\n" * 100,
    "ready.js": b"ready()\n" * 300,
    "photo.jpg": os.urandom(2000),
    "empty.txt": b"",
    "tiny.txt": b"tiny",
    "large.txt": b"a line of a large file\n" * (SMALL // 20),
    "large.bin": os.urandom(SMALL + 1000),
}
BOMB = 64 * 1024
"""More than heads of parts can come to."""


class Server:
    """A worker with these files, one connection, and a loop for all examples."""

    def __init__(self, root: Path) -> None:
        for name, content in FILES.items():
            self._put(root / name, content)
        self._put(root / "ready.js.br", brotli.compress(FILES["ready.js"]))
        self._put(root / "ready.js.gz", gzip.compress(FILES["ready.js"]))
        self.tags = ['"other"', 'W/"other"', "*"]
        self._runner = asyncio.Runner()
        part = compression(("zstd", "br", "gzip"), ("text/*",), 1000)
        self._line = Line(made=one_site(Route("/", files=FilesPlan(str(root)), encode=part.encode)))
        for name in FILES:
            for coding in ("identity", "br", "gzip"):
                lines = f"Host: localhost\r\nAccept-Encoding: {coding}\r\n\r\n"
                _, fields, _ = self.ask(f"HEAD /{name} HTTP/1.1\r\n{lines}".encode())
                self.tags.append(fields["etag"])

    @staticmethod
    def _put(path: Path, content: bytes) -> None:
        path.write_bytes(content)
        os.utime(path, (OLD, OLD))

    def ask(self, request: bytes) -> tuple[int, dict[str, str], bytes]:
        """Return status, fields and body, without its chunks."""
        return self._runner.run(self._ask(request))

    async def _ask(self, request: bytes) -> tuple[int, dict[str, str], bytes]:
        line = self._line
        logged = len(line.lines)
        line.send(request)
        async with asyncio.timeout(10):
            while len(line.lines) == logged:  # noqa: ASYNC110 - the log has no event
                await asyncio.sleep(0)
        head, _, body = line.out().partition(b"\r\n\r\n")
        first, *lines = head.decode().split("\r\n")
        fields = {
            name.lower(): value for name, _, value in (each.partition(": ") for each in lines)
        }
        if "transfer-encoding" in fields:
            body = _unchunked(body)
        elif "content-length" in fields and not request.startswith(b"HEAD"):
            assert int(fields["content-length"]) == len(body)
        return int(first.split(" ")[1]), fields, body

    def close(self) -> None:
        self._line.service.files.close()
        self._runner.close()


def _unchunked(body: bytes) -> bytes:
    whole = b""
    while True:
        size, _, body = body.partition(b"\r\n")
        if not int(size, 16):
            return whole
        whole += body[: int(size, 16)]
        body = body[int(size, 16) + 2 :]


def decoded(coding: str, body: bytes) -> bytes:
    if coding == "br":
        plain: bytes = brotli.decompress(body)
        return plain
    return zlib.decompress(body, 31) if coding == "gzip" else body


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    server = Server(tmp_path_factory.mktemp("files"))
    yield server
    server.close()


_number = st.sampled_from([0, 1, 3, 100, 1699, 1700, 2399, SMALL, SMALL + 999, SMALL + 5000])
_spec = st.one_of(
    st.builds("{}-{}".format, _number, _number),
    st.builds("{}-".format, _number),
    st.builds("-{}".format, _number),
)
_ranges = st.lists(_spec, min_size=1, max_size=4).map(lambda specs: "bytes=" + ",".join(specs))
_codings = st.sampled_from(
    ["gzip", "br", "br, gzip", "gzip;q=0.5, br", "identity", "br;q=0", "*;q=0"]
)
_dates = st.sampled_from(
    ["Tue, 14 Nov 2023 22:13:20 GMT", "Tue, 14 Nov 2023 22:13:19 GMT", "never"]
)


@given(data=st.data())
def test_everybody_gets_what_he_asked_for(server: Server, data: st.DataObject) -> None:
    name = data.draw(st.sampled_from(sorted(FILES)), "name")
    method = data.draw(st.sampled_from(["GET", "GET", "GET", "HEAD"]), "method")
    tags = st.sampled_from(server.tags)
    fields: dict[str, str] = data.draw(
        st.fixed_dictionaries(
            {},
            optional={
                "Accept-Encoding": _codings,
                "Range": _ranges,
                "If-None-Match": tags,
                "If-Match": st.one_of(st.just("*"), st.just("*"), tags),
                "If-Range": st.one_of(tags, _dates),
                "If-Modified-Since": _dates,
                "If-Unmodified-Since": st.just("Tue, 14 Nov 2023 22:13:20 GMT"),
                "Cache-Control": st.just("no-transform"),
            },
        ),
        "fields",
    )
    lines = "".join(f"{key}: {value}\r\n" for key, value in fields.items())
    request = f"{method} /{name} HTTP/1.1\r\nHost: localhost\r\n{lines}\r\n".encode()
    status, told, body = server.ask(request)
    event(str(status))
    content = FILES[name]
    coding = told.get("content-encoding", "")
    accepted = acceptable(fields.get("Accept-Encoding", "").encode(), ("br", "gzip"))
    assert not coding or coding in accepted
    if method == "HEAD":
        assert body == b""
        assert status in {200, 304, 412}
    elif status == 200:
        assert decoded(coding, body) == content
    elif status == 206:
        assert "Range" in fields
        check_parts(told, body, coding, content)
    else:
        assert status in {304, 412, 416}
        assert "cache-control" not in told or status != 304
        assert not (status == 304 and body)


def check_parts(told: dict[str, str], body: bytes, coding: str, content: bytes) -> None:
    """See that parts are parts of the form that is named."""
    if coding:
        assert told["etag"].startswith('"')
        return  # of a neighbour, whose bytes are none of ours
    if "content-range" in told:
        first, last = told["content-range"].removeprefix("bytes ").split("/")[0].split("-")
        assert body == content[int(first) : int(last) + 1]
        assert told["content-range"].endswith(f"/{len(content)}")
        return
    boundary = told["content-type"].partition("boundary=")[2].encode()
    assert len(body) <= len(content) + BOMB
    _, *parts, closing = body.split(b"\r\n--" + boundary)
    assert closing == b"--\r\n"
    for part in parts:
        head, _, piece = part.partition(b"\r\n\r\n")
        where = head.partition(b"Content-Range: bytes ")[2].split(b"/")[0]
        begin, end = (int(text) for text in where.split(b"-"))
        assert piece == content[begin : end + 1]
