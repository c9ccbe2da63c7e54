"""What is refused, what fails, what is cut short: what client, upstream and log see of it."""

import json
import socket
import ssl
import threading
from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any

import pytest
import trustme

from tests.journeys.apps.running import proxying
from tests.journeys.apps.scripted import OK, Conversation, ScriptedUpstream, scripted
from tests.journeys.clients.curl import curl
from tests.journeys.clients.raw import CutShortError, RawClient
from tests.journeys.running import PATIENCE, RunningProxy, eventually, free_port

CONFIG = """
user: null
log: {access: {format: json}, error: {level: debug}}
timeouts: {request_header: 2s, body_idle: 2s, keep_alive: 2s, write_idle: 2s}
limits: {body: 1MB}
upstreams:
  scripted: {servers: ["http://127.0.0.1:${SCRIPTED}"], timeouts: {response: 2s, idle: 2s}}
  streamed: {servers: ["http://127.0.0.1:${SCRIPTED}"], buffering: off}
  secure: {servers: ["https://127.0.0.1:${SECURE}"], tls: {ca_file: "${CA}"}}
  distrusted: {servers: ["https://127.0.0.1:${SECURE}"], hold: off}
  absent: {servers: ["http://127.0.0.1:${ABSENT}"], hold: off}
  awaited: {servers: ["http://127.0.0.1:${ABSENT}"], hold: 1s}
  single: {servers: ["http://127.0.0.1:${SCRIPTED}"], max_connections: 1, queue_timeout: 1s}
  nameless: {servers: ["http://no.such.host.invalid"], hold: off}
sites:
  - hosts: [localhost]
    headers: {X-Site: mine}
    routes:
      - {path: /, proxy: scripted}
      - {path: /small/, proxy: scripted, limits: {body: 10KB}}
      - {path: /streamed/, proxy: streamed}
      - {path: /streamed/small/, proxy: streamed, limits: {body: 10KB}}
      - {path: /secure/, proxy: secure}
      - {path: /distrusted/, proxy: distrusted}
      - {path: /absent/, proxy: absent}
      - {path: /awaited/, proxy: awaited}
      - {path: /single/, proxy: single}
      - {path: /nameless/, proxy: nameless}
      - {path: /taken, respond: {body: taken}}
      - {path: /only-get/, methods: [GET], respond: {body: got}}
  - {hosts: [posts.test], routes: [{path: /a, methods: [POST], proxy: scripted}]}
"""


@pytest.fixture(scope="module")
def _authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture(scope="module")
def _upstreams(_authority: trustme.CA) -> Iterator[tuple[ScriptedUpstream, ScriptedUpstream]]:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    _authority.issue_cert("127.0.0.1").configure_cert(context)
    with scripted() as plain, scripted(context) as secure:
        yield plain, secure


@pytest.fixture
def upstream(_upstreams: tuple[ScriptedUpstream, ScriptedUpstream]) -> ScriptedUpstream:
    for each in _upstreams:
        each.begin()
    return _upstreams[0]


@pytest.fixture
def secure(_upstreams: tuple[ScriptedUpstream, ScriptedUpstream]) -> ScriptedUpstream:
    for each in _upstreams:
        each.begin()
    return _upstreams[1]


@pytest.fixture(scope="module")
def proxy(
    _upstreams: tuple[ScriptedUpstream, ScriptedUpstream],
    _authority: trustme.CA,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[RunningProxy]:
    folder = tmp_path_factory.mktemp("errors")
    ca_file = folder / "upstream-ca.pem"
    _authority.cert_pem.write_to_path(ca_file)
    plain, secure = _upstreams
    with proxying(
        CONFIG, folder, SCRIPTED=plain.port, SECURE=secure.port, CA=str(ca_file), ABSENT=free_port()
    ) as running:
        yield running


@pytest.fixture
def client(proxy: RunningProxy) -> Iterator[RawClient]:
    with RawClient(proxy) as client:
        yield client


def logged(proxy: RunningProxy, request_id: str) -> dict[str, Any]:
    """The line of the access log about a request."""

    def look() -> dict[str, Any]:
        for line in proxy.output().splitlines():
            if request_id in line:
                found: dict[str, Any] = json.loads(line)
                return found
        return {}

    return eventually(look)


def in_chunks(body: bytes, path: str = "/") -> bytes:
    head = f"POST {path} HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n"
    return head.encode() + body


def with_fields(*lines: bytes, method: bytes = b"POST") -> bytes:
    return method + b" / HTTP/1.1\r\nHost: localhost\r\n" + b"\r\n".join(lines) + b"\r\n\r\n"


# What two parsers could read differently. Behind each stands what would be a second request if
# anybody read the first one otherwise.

SMUGGLED = b"GET /smuggled HTTP/1.1\r\nHost: localhost\r\n\r\n"
REFUSED = {
    "length and chunked": (400, with_fields(b"Content-Length: 4", b"Transfer-Encoding: chunked")),
    "chunked and length": (400, with_fields(b"Transfer-Encoding: chunked", b"Content-Length: 4")),
    "two lengths": (400, with_fields(b"Content-Length: 0", b"Content-Length: 44")),
    "two same lengths": (400, with_fields(b"Content-Length: 44", b"Content-Length: 44")),
    "lengths in a list": (400, with_fields(b"Content-Length: 0, 44")),
    "signed length": (400, with_fields(b"Content-Length: +44")),
    "negative length": (400, with_fields(b"Content-Length: -1")),
    "hexadecimal length": (400, with_fields(b"Content-Length: 0x2c")),
    "underscored length": (400, with_fields(b"Content-Length: 4_4")),
    "empty length": (400, with_fields(b"Content-Length:")),
    "length of other digits": (400, with_fields("Content-Length: \u0664".encode())),
    "endless length": (400, with_fields(b"Content-Length: " + b"9" * 30)),
    "two encodings": (400, with_fields(*[b"Transfer-Encoding: chunked"] * 2)),
    "encodings in a list": (501, with_fields(b"Transfer-Encoding: gzip, chunked")),
    "chunked in disguise": (501, with_fields(b"Transfer-Encoding: xchunked")),
    "chunked and identity": (501, with_fields(b"Transfer-Encoding: chunked, identity")),
    "chunked with vertical tab": (400, with_fields(b"Transfer-Encoding: \x0bchunked")),
    "chunked of HTTP/1.0": (
        400, b"POST / HTTP/1.0\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n",
    ),
    "space before the colon": (400, with_fields(b"Transfer-Encoding : chunked")),
    "tab before the colon": (400, with_fields(b"Content-Length\t: 44")),
    "folded line": (400, with_fields(b"X-A: b", b" Content-Length: 44")),
    "folded first line": (400, b"GET / HTTP/1.1\r\n Host: localhost\r\n\r\n"),
    "bare LF": (400, b"GET / HTTP/1.1\nHost: localhost\n\n"),
    "bare LF within": (400, with_fields(b"X-A: b\nContent-Length: 44")),
    "bare CR": (400, with_fields(b"X-A: b\rContent-Length: 44")),
    "NUL": (400, with_fields(b"X-A: b\x00c")),
    "NUL in a name": (400, with_fields(b"X-\x00A: b")),
    "control byte": (400, with_fields(b"X-A: b\x01c")),
    "no colon": (400, with_fields(b"X-A")),
    "no name": (400, with_fields(b": b")),
    "no Host": (400, b"GET / HTTP/1.1\r\n\r\n"),
    "two Hosts": (400, with_fields(b"Host: localhost")),
    "a list of Hosts": (400, b"GET / HTTP/1.1\r\nHost: localhost, localhost\r\n\r\n"),
    "Host with a user": (400, b"GET / HTTP/1.1\r\nHost: a@localhost\r\n\r\n"),
    "Host with a path": (400, b"GET / HTTP/1.1\r\nHost: localhost/x\r\n\r\n"),
    "Host with a bad port": (400, b"GET / HTTP/1.1\r\nHost: localhost:x\r\n\r\n"),
    "target with a space": (400, b"GET /a b HTTP/1.1\r\nHost: localhost\r\n\r\n"),
    "target with a tab": (400, b"GET /a\tb HTTP/1.1\r\nHost: localhost\r\n\r\n"),
    "target with a fragment": (400, b"GET /a#b HTTP/1.1\r\nHost: localhost\r\n\r\n"),
    "target with other bytes": (400, b"GET /\xc3\xa9 HTTP/1.1\r\nHost: localhost\r\n\r\n"),
    "target without a slash": (400, b"GET a HTTP/1.1\r\nHost: localhost\r\n\r\n"),
    "asterisk of GET": (400, b"GET * HTTP/1.1\r\nHost: localhost\r\n\r\n"),
    "absolute with a user": (400, b"GET http://a@localhost/ HTTP/1.1\r\nHost: localhost\r\n\r\n"),
    "absolute of another kind": (400, b"GET ftp://localhost/ HTTP/1.1\r\nHost: localhost\r\n\r\n"),
    "two spaces": (400, b"GET  / HTTP/1.1\r\nHost: localhost\r\n\r\n"),
    "no version": (400, b"GET /\r\nHost: localhost\r\n\r\n"),
    "version 2": (505, b"GET / HTTP/2.0\r\nHost: localhost\r\n\r\n"),
    "version 1.2": (505, b"GET / HTTP/1.2\r\nHost: localhost\r\n\r\n"),
    "odd version": (400, b"GET / HTTP/1.10\r\nHost: localhost\r\n\r\n"),
    "lower-case version": (400, b"GET / http/1.1\r\nHost: localhost\r\n\r\n"),
    "preface of HTTP/2": (None, b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"),
    "method with a colon": (400, b"GE:T / HTTP/1.1\r\nHost: localhost\r\n\r\n"),
    "CONNECT": (501, b"CONNECT localhost:443 HTTP/1.1\r\nHost: localhost:443\r\n\r\n"),
    "TRACE": (501, b"TRACE / HTTP/1.1\r\nHost: localhost\r\n\r\n"),
    "unknown expectation": (417, with_fields(b"Expect: 200-ok")),
    "empty lines": (400, b"\r\n" * 20),
    "space before the method": (400, b" GET / HTTP/1.1\r\nHost: localhost\r\n\r\n"),
    "TLS within TLS": (400, b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"),
    "chunk size not hexadecimal": (400, in_chunks(b"g\r\n")),
    "chunk size with a prefix": (400, in_chunks(b"0x5\r\nhello\r\n0\r\n\r\n")),
    "chunk size with a sign": (400, in_chunks(b"+5\r\nhello\r\n0\r\n\r\n")),
    "chunk size missing": (400, in_chunks(b"\r\n\r\n")),
    "chunk size too long": (400, in_chunks(b"0" * 40 + b"5\r\nhello\r\n0\r\n\r\n")),
    "chunk size of 64 bits": (400, in_chunks(b"fffffffffffffffffffff\r\n")),
    "chunk longer than it says": (400, in_chunks(b"4\r\nhello\r\n0\r\n\r\n")),
    "chunk shorter than it says": (400, in_chunks(b"6\r\nhello\r\n0\r\n\r\n")),
    "chunk ended by a bare LF": (400, in_chunks(b"5\r\nhello\n0\r\n\r\n")),
    "chunk size ended by a bare LF": (400, in_chunks(b"5\nhello\r\n0\r\n\r\n")),
    "extension with a bare LF": (400, in_chunks(b"5;a\nb\r\nhello\r\n0\r\n\r\n")),
    "extension with a bare CR": (400, in_chunks(b"5;a\rb\r\nhello\r\n0\r\n\r\n")),
    "last chunk ended by a bare LF": (400, in_chunks(b"0\n\r\n")),
    "trailers ended by a bare LF": (400, in_chunks(b"0\r\nX-A: b\n\r\n")),
    "folded trailer": (400, in_chunks(b"0\r\nX-A: b\r\n c\r\n\r\n")),
    "bad trailer": (400, in_chunks(b"0\r\nX A: b\r\n\r\n")),
}  # fmt: skip


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_refused_never_reaches_the_upstream(
    client: RawClient, proxy: RunningProxy, upstream: ScriptedUpstream, name: str
) -> None:
    status, request = REFUSED[name]
    client.send(request + SMUGGLED)
    if status is None:
        client.rest()
    else:
        answer = client.answer()
        assert answer.status == status
        assert answer["connection"] == "close"
        assert client.rest() == (b"", True), "nothing after it, and an end in order"
    with RawClient(proxy) as another:
        assert another.ask("GET /after").body == b"ok"
    assert [head.partition(b" HTTP")[0] for head in upstream.heads] == [b"GET /after"]


@pytest.mark.parametrize(
    "name", [name for name, (_, request) in REFUSED.items() if in_chunks(b"") in request]
)
def test_a_bad_chunk_ends_a_streamed_request(
    client: RawClient, proxy: RunningProxy, upstream: ScriptedUpstream, name: str
) -> None:
    request = REFUSED[name][1].replace(b"POST / ", b"POST /streamed/ ")
    client.send(request + SMUGGLED)
    assert client.answer().status == REFUSED[name][0]
    with RawClient(proxy) as another:
        assert another.ask("GET /streamed/after").body == b"ok"
    assert not [head for head in upstream.heads if b"smuggled" in head]
    assert upstream.bodies == [b""], "it never becomes whole"


# Limits.


def test_limits_of_the_head(proxy: RunningProxy, upstream: ScriptedUpstream) -> None:
    for status, line, fields in (
        (200, "GET /" + "a" * 8000, []),
        (414, "GET /" + "a" * 9000, []),
        (414, "GET /" + "a" * 100_000, []),
        (200, "GET /", ["X-Long: " + "b" * 30_000]),
        (431, "GET /", ["X-Long: " + "b" * 40_000]),
        (431, "GET /", ["X-Long: " + "b" * 400_000]),
        (200, "GET /", [f"X-{number}: c" for number in range(95)]),
        (431, "GET /", [f"X-{number}: c" for number in range(101)]),
    ):
        with RawClient(proxy) as client:
            answer = client.ask(line, *fields)
            assert answer.status == status, (line[:20], len(fields))
            if status != 200:
                assert client.rest() == (b"", True)
    assert len(upstream.heads) == 3


@pytest.mark.parametrize("path", ["/small/", "/streamed/small/"])
def test_413_names_the_limit(proxy: RunningProxy, upstream: ScriptedUpstream, path: str) -> None:
    with RawClient(proxy) as client:
        fitting = client.ask(f"POST {path}", "Content-Length: 10240", body=b"x" * 10_240)
        assert fitting.status == 200
        answer = client.ask(f"POST {path}", "Content-Length: 10241", body=b"x" * 10_241)
        assert answer.status == 413
        assert b"10 KB" in answer.body or b"10KB" in answer.body
        assert client.rest() == (b"", True)
    with RawClient(proxy) as client:
        client.send(in_chunks(b"2801\r\n" + b"x" * 0x2801 + b"\r\n0\r\n\r\n", path))
        answer = client.answer()
        assert answer.status == 413
        assert b"10 KB" in answer.body or b"10KB" in answer.body
    whole = [body for body in upstream.bodies if body.endswith(b"x")]
    assert whole == [b"x" * 10_240]


def test_413_reaches_a_client_that_is_still_sending(proxy: RunningProxy) -> None:
    done = curl(proxy, "/small/", "--data-binary", "@-", "-H", "Expect:", data=b"x" * 2_000_000)
    assert done.head.startswith("HTTP/1.1 413 "), done.errors


# The pages.


def test_a_page_for_people(client: RawClient, proxy: RunningProxy) -> None:
    answer = client.ask("GET /absent/x", "Accept: text/html,*/*;q=0.8")
    assert answer.status == 502
    assert answer["content-type"] == "text/html; charset=utf-8"
    assert answer["x-site"] == "mine"
    assert answer["strict-transport-security"] == "max-age=63072000"
    page = answer.body.decode()
    assert "<h1>502 Bad Gateway</h1>" in page
    request_id = page.partition("<code>")[2].partition("</code>")[0]
    assert len(request_id) == 32
    assert logged(proxy, request_id)["status"] == 502
    eventually(lambda: request_id in proxy.log())
    (line,) = [line for line in proxy.log().splitlines() if request_id in line]
    assert "Connection refused" in line, "the operator is told why"
    assert "127.0.0.1" not in page, "the client learns nothing of what stands behind"


def test_a_page_for_programs(
    client: RawClient, proxy: RunningProxy, upstream: ScriptedUpstream
) -> None:
    upstream.says(b"nonsense\r\n\r\n")
    answer = client.ask("GET /", "Accept: application/json")
    assert answer.status == 502
    assert answer["content-type"] == "application/json"
    told = json.loads(answer.body)
    assert told["status"] == 502
    assert f"X-Request-ID: {told['request_id']}\r\n".encode() in upstream.heads[0]
    assert logged(proxy, told["request_id"])["status"] == 502
    eventually(lambda: told["request_id"] in proxy.log())


@pytest.mark.parametrize(
    ("status", "request_line", "host"),
    [(404, "GET /b", "posts.test"), (405, "GET /a", "posts.test"), (421, "GET /", "unknown.test")],
)
def test_pages_of_requests_without_a_route(
    client: RawClient, proxy: RunningProxy, status: int, request_line: str, host: str
) -> None:
    answer = client.ask(request_line, "Accept: application/json", host=host)
    assert answer.status == status
    assert logged(proxy, json.loads(answer.body)["request_id"])["status"] == status
    if status == 405:
        assert answer["allow"] == "POST"


@pytest.mark.parametrize("request_", [REFUSED["two lengths"][1], in_chunks(b"g\r\n")])
def test_the_page_of_a_request_that_cannot_be_read_can_be_found_in_the_log(
    client: RawClient, proxy: RunningProxy, request_: bytes
) -> None:
    client.send(request_)
    answer = client.answer()
    assert answer["x-content-type-options"] == "nosniff"
    page = answer.body.decode()
    request_id = page.partition("<code>")[2].partition("</code>")[0]
    assert len(request_id) == 32
    line = logged(proxy, request_id)
    assert line["status"] == 400
    assert line["error"]


# Time.


def stall(conversation: Conversation) -> None:
    """Say nothing, or not all."""
    if conversation.head.startswith(b"GET /stalls "):
        conversation.send(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhello")
    elif conversation.head.startswith(b"GET /silent "):
        conversation.read_head()
    elif conversation.head.startswith(b"GET /large "):
        conversation.send(b"HTTP/1.1 200 OK\r\nContent-Length: 8000000\r\n\r\n" + b"x" * 8_000_000)
    else:
        conversation.send(OK)


BODY = b" HTTP/1.1\r\nHost: localhost\r\nContent-Length: 10\r\n\r\nhello"
SLOW = {
    "nothing": (None, b""),
    "half a head": (408, b"GET / HTTP/1.1\r\nHost: localhost\r\nX-A"),
    "half a body": (408, b"POST /" + BODY),
    "half a streamed body": (408, b"POST /streamed/" + BODY),
    "half a body for an answer of ours": (200, b"POST /only-get/../taken" + BODY),
}


def test_slow_clients_are_told_so(proxy: RunningProxy, upstream: ScriptedUpstream) -> None:
    upstream.script = stall
    with ExitStack() as stack:
        deaf = stack.enter_context(RawClient(proxy, small=True))
        deaf.send(b"GET /large HTTP/1.1\r\nHost: localhost\r\n\r\n")
        clients = {name: stack.enter_context(RawClient(proxy)) for name in SLOW}
        idle = stack.enter_context(RawClient(proxy))
        for name, (_, request) in SLOW.items():
            clients[name].send(request)
        assert idle.ask("GET /only-get/").body == b"got"
        for name, (status, _) in SLOW.items():
            if status is not None:
                assert clients[name].answer().status == status, name
            assert clients[name].rest() == (b"", True), name
        assert idle.rest() == (b"", True)
        eventually(lambda: "/large" in proxy.output())
        assert deaf.rest()[1] is False
    assert len(upstream.bodies) == 1, "none but that of the large answer became whole"


def test_slow_upstreams(proxy: RunningProxy, upstream: ScriptedUpstream) -> None:
    upstream.script = stall
    with RawClient(proxy) as silent, RawClient(proxy) as stalls:
        silent.send(b"GET /silent HTTP/1.1\r\nHost: localhost\r\n\r\n")
        with pytest.raises(CutShortError) as cut:
            stalls.ask("GET /stalls")
        assert cut.value.held == b"hello"
        assert silent.answer().status == 504
        assert len(upstream.heads) == 2, "there is no other server to try"
        assert silent.ask("GET /").status == 200, "the client's connection serves on"


def test_nobody_there(client: RawClient) -> None:
    assert client.ask("GET /absent/").status == 502
    assert client.ask("POST /absent/", "Content-Length: 1", body=b"x").status == 502
    assert client.ask("GET /awaited/").status == 503
    assert client.ask("GET /nameless/").status in (502, 503)


def test_nobody_there_until_somebody_is(client: RawClient, proxy: RunningProxy) -> None:
    text = proxy.config.read_text()
    port = int(proxy.environment["ABSENT"])
    assert "hold: 1s" in text
    client.send(b"GET /awaited/ HTTP/1.1\r\nHost: localhost\r\n\r\n")
    with socket.create_server(("127.0.0.1", port)) as listener:
        listener.settimeout(PATIENCE)
        connection, _ = listener.accept()
        with connection:
            connection.recv(65536)
            connection.sendall(OK.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n"))
            assert client.answer().body == b"ok"


def test_a_full_upstream(
    client: RawClient, proxy: RunningProxy, upstream: ScriptedUpstream
) -> None:
    go_on = threading.Event()

    def script(conversation: Conversation) -> None:
        assert go_on.wait(PATIENCE)
        conversation.send(OK)

    upstream.script = script
    client.send(b"GET /single/ HTTP/1.1\r\nHost: localhost\r\n\r\n")
    eventually(lambda: len(upstream.heads) == 1)
    with RawClient(proxy) as second:
        assert second.ask("GET /single/").status == 503
        second.send(b"GET /single/ HTTP/1.1\r\nHost: localhost\r\n\r\n")
        go_on.set()
        assert client.answer().status == 200
        assert second.answer().status == 200


def test_a_client_that_leaves_the_queue(
    client: RawClient, proxy: RunningProxy, upstream: ScriptedUpstream
) -> None:
    go_on = threading.Event()

    def script(conversation: Conversation) -> None:
        assert go_on.wait(PATIENCE)
        conversation.send(OK)

    upstream.script = script
    client.send(b"GET /single/ HTTP/1.1\r\nHost: localhost\r\n\r\n")
    eventually(lambda: len(upstream.heads) == 1)
    with RawClient(proxy) as leaving, RawClient(proxy) as staying:
        leaving.send(b"GET /single/leaving HTTP/1.1\r\nHost: localhost\r\n\r\n")
        staying.send(b"GET /single/staying HTTP/1.1\r\nHost: localhost\r\n\r\n")
        leaving.close()
        eventually(lambda: "/single/leaving" in proxy.output())
        go_on.set()
        assert client.answer().status == 200
        assert staying.answer().status in (200, 503), "unless it waited too long for the log"
    assert not [head for head in upstream.heads if b"leaving" in head]


# Upstreams that break the rules.


@pytest.mark.parametrize(
    "answer",
    [
        b"",
        b"nonsense",
        b"HTTP/1.1 200 OK\r\nContent-Le",
        b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nok",
        b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: two\r\n\r\nok",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\nok",
        b"HTTP/1.1 200 OK\r\nX-A: b\r\n c\r\nContent-Length: 2\r\n\r\nok",
        b"HTTP/1.1 200 OK\r\nX-A: b\rc\r\nContent-Length: 2\r\n\r\nok",
        b"HTTP/1.1 200 OK\nContent-Length: 2\n\nok",
        b"HTTP/1.1 200 OK\r\nX-A: \x00\r\nContent-Length: 2\r\n\r\nok",
        b"HTTP/1.1 200 OK\r\nX-A : b\r\nContent-Length: 2\r\n\r\nok",
        b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n",
        b"HTTP/1.1 99 What\r\n\r\n",
        b"HTTP/1.1 100 Continue\r\n\r\n" * 100,
        b"HTTP/1.1 200 OK\r\nX-Long: " + b"x" * 200_000 + b"\r\n\r\n",
        b"HTTP/2.0 200 OK\r\nContent-Length: 2\r\n\r\nok",
        b"ICY 200 OK\r\n\r\n",
    ],
    ids=lambda answer: answer[:60].decode("latin-1"),
)
def test_bad_answers(client: RawClient, upstream: ScriptedUpstream, answer: bytes) -> None:
    upstream.says(answer, close=True)
    assert client.ask("POST /", "Content-Length: 1", body=b"x").status == 502
    assert len(upstream.heads) == 1, "a POST is not sent twice"
    upstream.begin()
    assert client.ask("GET /").body == b"ok"


@pytest.mark.parametrize("reset", [False, True], ids=["closed", "reset"])
@pytest.mark.parametrize(
    ("begun", "came"),
    [
        (b"Content-Length: 10\r\n\r\nhello", b"hello"),
        (b"Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n", b"5\r\nhello\r\n"),
        (b"Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n5\r\nwo", b"7\r\nhellowo\r\n"),
        (b"Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n", b"5\r\nhello\r\n"),
        (b"Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\nzz\r\n", b"5\r\nhello\r\n"),
    ],
)
def test_an_answer_cut_short_is_cut_short_for_the_client(
    proxy: RunningProxy, upstream: ScriptedUpstream, begun: bytes, came: bytes, *, reset: bool
) -> None:
    passed_on = threading.Event()

    def script(conversation: Conversation) -> None:
        conversation.send(b"HTTP/1.1 200 OK\r\n" + begun)
        assert not reset or passed_on.wait(PATIENCE)
        if reset:
            conversation.reset()
        else:
            conversation.close()

    upstream.script = script
    for path in ("/", "/streamed/"):
        passed_on.clear()
        with RawClient(proxy) as client:
            client.send(f"GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
            assert client.head().status == 200
            passed_on.set()
            body, clean = client.rest()
            assert not clean
            assert (
                came.startswith(body) if reset else body.replace(b"2\r\nwo\r\n", b"") in came + body
            )
            assert b"0\r\n" not in body
    upstream.begin()
    with RawClient(proxy) as client:
        assert client.ask("GET /").body == b"ok"


@pytest.mark.needs("curl")
@pytest.mark.parametrize("version", ["--http1.1", "--http1.0"])
@pytest.mark.parametrize(
    "begun",
    [
        b"Content-Length: 10\r\n\r\nhello",
        b"Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n",
    ],
)
def test_curl_notices_an_answer_cut_short(
    proxy: RunningProxy, upstream: ScriptedUpstream, begun: bytes, version: str
) -> None:
    upstream.says(b"HTTP/1.1 200 OK\r\n" + begun, close=True)
    assert curl(proxy, "/", version).code in (18, 56)


def test_a_reset_is_no_end_of_an_answer(proxy: RunningProxy, upstream: ScriptedUpstream) -> None:
    passed_on = threading.Event()

    def script(conversation: Conversation) -> None:
        conversation.send(b"HTTP/1.1 200 OK\r\n\r\nhello")
        assert passed_on.wait(PATIENCE)
        conversation.reset()

    upstream.script = script
    with RawClient(proxy) as client:
        client.send(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
        client.head()
        passed_on.set()
        with pytest.raises(CutShortError):
            client._chunks()


@pytest.mark.parametrize("goodbye", [True, False])
def test_the_end_of_an_answer_over_tls_needs_a_goodbye(
    client: RawClient, secure: ScriptedUpstream, *, goodbye: bool
) -> None:
    """RFC 9112, 9.8: an answer that ends with its connection is whole after close_notify alone."""

    def script(conversation: Conversation) -> None:
        conversation.send(b"HTTP/1.1 200 OK\r\n\r\nhello")
        if goodbye:
            conversation.close()
        else:
            conversation.close_without_goodbye()

    secure.script = script
    if goodbye:
        assert client.ask("GET /secure/").body == b"hello"
    else:
        with pytest.raises(CutShortError):
            client.ask("GET /secure/")


def test_an_upstream_that_cannot_be_verified(
    client: RawClient, proxy: RunningProxy, secure: ScriptedUpstream
) -> None:
    assert client.ask("GET /secure/").body == b"ok"
    assert client.ask("GET /distrusted/").status == 502
    assert len(secure.heads) == 1
    eventually(lambda: "/distrusted/" in proxy.log())
    (line,) = [line for line in proxy.log().splitlines() if "/distrusted/" in line]
    assert "certificate" in line, "the operator is told why"


@pytest.mark.parametrize("path", ["/", "/streamed/"])
@pytest.mark.parametrize(
    "answer",
    [
        OK + b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\npoison",
        b"HTTP/1.1 204 No Content\r\n\r\npoison",
        b"HTTP/1.1 304 Not Modified\r\nContent-Length: 6\r\n\r\npoison",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n" + OK,
    ],
)
def test_bytes_after_an_answer_poison_nobody(
    proxy: RunningProxy, upstream: ScriptedUpstream, answer: bytes, path: str
) -> None:
    upstream.says(answer)
    with RawClient(proxy) as first, RawClient(proxy) as second:
        assert b"poison" not in first.ask(f"GET {path}").body
        upstream.begin()
        upstream.says(OK.replace(b"ok", b"me"))
        assert second.ask(f"GET {path}").body == b"me"
        assert first.ask(f"GET {path}").body == b"me"


def test_a_body_in_answer_to_head_poisons_nobody(
    proxy: RunningProxy, upstream: ScriptedUpstream
) -> None:
    upstream.says(OK)
    with RawClient(proxy) as first, RawClient(proxy) as second:
        for _ in range(3):
            assert first.ask("HEAD /").status == 200
            assert second.ask("GET /").body == b"ok"
            assert first.ask("GET /").body == b"ok"


def test_bytes_that_nobody_asked_for_poison_nobody(
    proxy: RunningProxy, upstream: ScriptedUpstream
) -> None:
    more = threading.Event()
    sent = threading.Event()

    def script(conversation: Conversation) -> None:
        conversation.send(OK)
        if conversation.head.startswith(b"GET /first "):
            assert more.wait(PATIENCE)
            conversation.send(b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\npoison")
            assert conversation.receive() == b"", "the proxy hangs up on it"
            sent.set()

    upstream.script = script
    with RawClient(proxy) as client:
        assert client.ask("GET /first").body == b"ok"
        more.set()
        assert sent.wait(PATIENCE)
        assert client.ask("GET /second").body == b"ok"
