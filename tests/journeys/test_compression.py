"""Compressed answers through the real command, read by curl, httpx and the libraries' decoders."""

import gzip
import sys
import threading
import zlib
from collections.abc import Callable, Iterator
from contextlib import ExitStack

import brotli
import httpx
import pytest

from tests.journeys.apps.running import proxying, serving
from tests.journeys.apps.scripted import Conversation, ScriptedUpstream
from tests.journeys.clients.curl import curl
from tests.journeys.clients.raw import Answer, CutShortError, RawClient, tls_context
from tests.journeys.running import PATIENCE, RunningProxy

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

CONFIG = """
user: null
sites:
  - hosts: [localhost]
    headers: {X-Site: mine}
    routes:
      - {path: /, proxy: "http://127.0.0.1:${SCRIPTED}"}
      - {path: /off/, proxy: "http://127.0.0.1:${SCRIPTED}", compress: off}
      - {path: /django/, proxy: "http://127.0.0.1:${DJANGO}", strip_prefix: true}
"""
CODINGS = ["zstd", "br", "gzip"]
BODY = b"".join(b'{"id": %d, "name": "customer %d"}\n' % (n, n * 7919 % 1000) for n in range(9000))
JSON = b"Content-Type: application/json\r\n"
EARLY = 3
"""A body of so many pieces shows whether the first is there before the last."""


@pytest.fixture(scope="module")
def proxy(
    tmp_path_factory: pytest.TempPathFactory, _upstream: ScriptedUpstream
) -> Iterator[RunningProxy]:
    folder = tmp_path_factory.mktemp("compression")
    project = "tests.journeys.apps.django_conditional:application"
    command = ["gunicorn", project, "--bind", "127.0.0.1:{port}", "--no-control-socket"]
    with ExitStack() as stack:
        django = stack.enter_context(serving(command, folder))
        yield stack.enter_context(
            proxying(CONFIG, folder, SCRIPTED=_upstream.port, DJANGO=django.port)
        )


@pytest.fixture
def client(proxy: RunningProxy) -> Iterator[RawClient]:
    with RawClient(proxy) as client:
        yield client


@pytest.fixture
def other(proxy: RunningProxy) -> Iterator[httpx.Client]:
    with httpx.Client(
        base_url=f"https://localhost:{proxy.https_port}",
        verify=tls_context(proxy.ca_file),
        timeout=PATIENCE,
        trust_env=False,
    ) as client:
        yield client


def whole(body: bytes, fields: bytes = JSON, status: bytes = b"200 OK") -> bytes:
    return b"HTTP/1.1 %b\r\n%bContent-Length: %d\r\n\r\n%b" % (status, fields, len(body), body)


def chunk(data: bytes) -> bytes:
    return b"%x\r\n%b\r\n" % (len(data), data)


def chunked(body: bytes, fields: bytes = JSON, size: int = 5000) -> bytes:
    pieces = [chunk(body[begin : begin + size]) for begin in range(0, len(body), size)]
    head = b"HTTP/1.1 200 OK\r\n%bTransfer-Encoding: chunked\r\n\r\n" % fields
    return head + b"".join(pieces) + b"0\r\n\r\n"


def reader(coding: str) -> Callable[[bytes], bytes]:
    if coding == "zstd":
        return zstd.ZstdDecompressor().decompress
    if coding == "gzip":
        return zlib.decompressobj(31).decompress
    machine = brotli.Decompressor()

    def decode(data: bytes) -> bytes:
        read: bytes = machine.process(data)
        while more := machine.process(b""):  # it gives no more at once than its buffer holds
            read += more
        return read

    return decode


def ask(client: RawClient, line: str, coding: str, *fields: str) -> Answer:
    return client.ask(line, f"Accept-Encoding: {coding}", *fields)


@pytest.mark.needs("curl")
@pytest.mark.parametrize("coding", [*CODINGS, ""])
@pytest.mark.parametrize("framed", [whole, chunked])
def test_curl(
    proxy: RunningProxy, upstream: ScriptedUpstream, coding: str, framed: Callable[[bytes], bytes]
) -> None:
    upstream.says(framed(BODY))
    options = ["--compressed", *(["-H", f"Accept-Encoding: {coding}"] if coding else [])]
    got = curl(proxy, "/", *options)
    assert got.code == 0, got.errors
    assert got.body == BODY
    head = got.head.lower()
    assert f"content-encoding: {coding or 'zstd'}\r\n" in head
    assert "vary: accept-encoding\r\n" in head
    assert "x-site: mine\r\n" in head


@pytest.mark.needs("curl")
def test_curl_without_compressed_and_by_the_old_protocol(
    proxy: RunningProxy, upstream: ScriptedUpstream
) -> None:
    upstream.says(whole(BODY))
    silent = curl(proxy, "/")
    assert silent.body == BODY
    assert "content-encoding" not in silent.head.lower()
    assert "vary: accept-encoding\r\n" in silent.head.lower()
    old = curl(proxy, "/", "--http1.0", "--compressed")
    assert old.body == BODY
    assert "content-encoding" not in old.head.lower()


@pytest.mark.parametrize("size", [1024, 5000, 40_000, len(BODY)])
def test_httpx(other: httpx.Client, upstream: ScriptedUpstream, size: int) -> None:
    for framed in (whole, chunked):
        upstream.says(framed(BODY[:size]))
        for _ in range(2):  # the connection is kept
            got = other.get("/", headers={"Accept-Encoding": "gzip, deflate"})
            assert got.headers["content-encoding"] == "gzip"
            assert got.content == BODY[:size]
        assert other.get("/", headers={"Accept-Encoding": "br"}).content == BODY[:size]
    assert upstream.connections <= 1  # one may be left from before


def test_a_whole_answer_keeps_a_length(client: RawClient, upstream: ScriptedUpstream) -> None:
    """One that came in one piece is encoded in one, and its length is known."""
    upstream.says(whole(BODY[:5000], JSON + b'ETag: "abc"\r\nAccept-Ranges: bytes\r\n'))
    for _ in range(2):
        got = ask(client, "GET /", "gzip")
        assert gzip.decompress(got.body) == BODY[:5000]
        assert got["content-length"] == str(len(got.body))
        assert len(got.body) < 1500
        assert got["etag"] == 'W/"abc"'
        assert "accept-ranges" not in got
        plain = ask(client, "GET /", "identity")
        assert plain.body == BODY[:5000]
        assert plain["etag"] == '"abc"'
        assert plain["accept-ranges"] == "bytes"


@pytest.mark.parametrize("coding", CODINGS)
def test_what_drips_is_decodable_drip_by_drip(
    client: RawClient, upstream: ScriptedUpstream, coding: str
) -> None:
    seen = [threading.Event() for _ in range(EARLY)]

    def script(conversation: Conversation) -> None:
        conversation.send(b"HTTP/1.1 200 OK\r\n" + JSON + b"Transfer-Encoding: chunked\r\n\r\n")
        for number, event in enumerate(seen):
            conversation.send(chunk(b"drip %d\n" % number))
            assert event.wait(PATIENCE)
        conversation.send(b"0\r\n\r\n")

    upstream.script = script
    client.send(f"GET / HTTP/1.1\r\nHost: localhost\r\nAccept-Encoding: {coding}\r\n\r\n".encode())
    assert client.head()["content-encoding"] == coding
    decode = reader(coding)
    for number, event in enumerate(seen):
        drip = b""
        while len(drip) < 7:
            drip += decode(chunk_of(client))
        assert drip == b"drip %d\n" % number
        event.set()
    rest = b""
    while last := chunk_of(client):
        rest += decode(last)
    assert rest == b""


def chunk_of(client: RawClient) -> bytes:
    size = int(client.read_until(b"\r\n"), 16)
    return client.read(size + 2)[:size]


def test_head_is_what_get_says(client: RawClient, upstream: ScriptedUpstream) -> None:
    fields = JSON + b'ETag: "abc"\r\nVary: Cookie\r\n'

    def script(conversation: Conversation) -> None:
        answer = whole(BODY, fields)
        headed = conversation.head.startswith(b"HEAD")
        conversation.send(answer[: -len(BODY)] if headed else answer)

    upstream.script = script
    got, headed = (ask(client, f"{method} /", "br") for method in ("GET", "HEAD"))
    assert headed.body == b""
    framing = {"content-length", "transfer-encoding", "date"}
    assert [pair for pair in headed.fields if pair[0] not in framing] == [
        pair for pair in got.fields if pair[0] not in framing
    ]
    assert "content-length" not in headed
    assert headed["content-encoding"] == "br"
    assert headed["vary"] == "Cookie, Accept-Encoding"
    assert ask(client, "HEAD /", "identity")["content-length"] == str(len(BODY))


@pytest.mark.parametrize(
    "fields",
    [
        JSON + b"Content-Encoding: gzip\r\n",
        JSON + b"Cache-Control: no-transform\r\n",
        b"Content-Type: image/png\r\n",
        b"Content-Type: text/event-stream\r\n",
        b"Content-Type: application/grpc\r\n",
        b"X: y\r\n",
    ],
)
def test_what_is_left_alone_byte_for_byte(
    client: RawClient, upstream: ScriptedUpstream, fields: bytes
) -> None:
    packed = gzip.compress(BODY)
    for framed in (whole, chunked):
        upstream.says(framed(packed, fields + b'ETag: "abc"\r\nVary: Cookie\r\n'))
        got = ask(client, "GET /", "zstd, br, gzip")
        assert got.body == packed
        assert got["etag"] == '"abc"'
        assert got["vary"] == "Cookie"
        assert got.all("content-encoding") == (["gzip"] if b"Encoding" in fields else [])


def test_short_answers_and_routes_without(client: RawClient, upstream: ScriptedUpstream) -> None:
    upstream.says(whole(BODY[:1023]))
    short = ask(client, "GET /", "gzip")
    assert short.body == BODY[:1023]
    assert "vary" not in short
    upstream.says(whole(BODY))
    off = ask(client, "GET /off/", "gzip")
    assert off.body == BODY
    assert "vary" not in off


@pytest.mark.parametrize("status", [b"404 Not Found", b"500 Oh", b"201 Created"])
def test_errors_and_writes(client: RawClient, upstream: ScriptedUpstream, status: bytes) -> None:
    upstream.says(whole(BODY, status=status))
    got = client.ask("POST /", "Accept-Encoding: gzip", "Content-Length: 3", body=b"abc")
    assert got.status == int(status[:3])
    assert gzip.decompress(got.body) == BODY


def test_ranges(client: RawClient, upstream: ScriptedUpstream) -> None:
    tagged = JSON + b'ETag: "abc"\r\nAccept-Ranges: bytes\r\n'
    part = tagged + b"Content-Range: bytes 0-1999/%d\r\n" % len(BODY)
    upstream.says(whole(BODY[:2000], part, b"206 Partial Content"))
    got = ask(client, "GET /", "gzip", "Range: bytes=0-1999")
    assert (got.status, got.body, got["etag"]) == (206, BODY[:2000], '"abc"')
    assert "content-encoding" not in got
    upstream.says(whole(BODY, tagged))
    ignored = ask(client, "GET /", "gzip", "Range: bytes=0-1999")
    assert (ignored.status, ignored.body, ignored["etag"]) == (200, BODY, '"abc"')
    assert ignored["vary"] == "Accept-Encoding"


@pytest.mark.parametrize("coding", CODINGS)
def test_many_megabytes(client: RawClient, upstream: ScriptedUpstream, coding: str) -> None:
    large = BODY * 20
    for framed in (whole, chunked):
        upstream.says(framed(large))
        got = ask(client, "GET /", coding)
        decode = reader(coding)
        pieces = [got.body[at : at + 65536] for at in range(0, len(got.body), 65536)]
        assert b"".join(map(decode, pieces)) == large
        assert "content-length" not in got


@pytest.mark.parametrize("coding", CODINGS)
def test_an_answer_that_is_cut_short_looks_like_it(
    proxy: RunningProxy, upstream: ScriptedUpstream, coding: str
) -> None:
    for framed in (whole, chunked):
        upstream.says(framed(BODY)[:-100], close=True)
        with RawClient(proxy) as client, pytest.raises(CutShortError):
            ask(client, "GET /", coding)


def test_django_and_its_validators(client: RawClient) -> None:
    first = ask(client, "GET /django/rows", "gzip")
    assert b'"customer 919"' in gzip.decompress(first.body)
    tag = first["etag"]
    assert tag.startswith('W/"')
    again = ask(client, "GET /django/rows", "gzip", f"If-None-Match: {tag}")
    assert again.status == 304
    assert again["etag"] == tag
    assert again["vary"] == "Accept-Encoding"
    plain = ask(client, "GET /django/rows", "identity")
    assert plain["etag"] == tag[2:]
    assert plain.body == gzip.decompress(first.body)
    for coding in ("identity", "gzip"):
        kept = ask(client, "GET /django/rows", coding, f"If-None-Match: {plain['etag']}")
        assert (kept.status, kept["etag"]) == (304, plain["etag"])


def test_django_and_what_needs_no_encoding(client: RawClient) -> None:
    picture = ask(client, "GET /django/picture", "gzip")
    assert "content-encoding" not in picture
    same = ask(client, "GET /django/picture", "gzip", f"If-None-Match: {picture['etag']}")
    assert (same.status, same["etag"]) == (304, picture["etag"])
    few = ask(client, "GET /django/few", "gzip")
    assert few.body.startswith(b'[{"id": 0')
    zipped = ask(client, "GET /django/zipped", "gzip, zstd")
    assert zipped["content-encoding"] == "gzip"
    assert zipped["vary"] == "Accept-Encoding"
    assert b'"customer 919"' in gzip.decompress(zipped.body)


@pytest.mark.parametrize("coding", CODINGS)
def test_django_streams(client: RawClient, coding: str) -> None:
    got = ask(client, "GET /django/streamed", coding)
    assert got["content-encoding"] == coding
    assert reader(coding)(got.body).count(b"\n") == 400
    headed = ask(client, "HEAD /django/streamed", coding)
    assert headed["content-encoding"] == coding
