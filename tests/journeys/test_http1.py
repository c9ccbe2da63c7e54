"""HTTP/1.1 between a client that speaks in bytes and an upstream that answers in bytes."""

import threading
from collections.abc import Iterator

import pytest

from tests.journeys.apps.running import proxying
from tests.journeys.apps.scripted import OK, Conversation, ScriptedUpstream, scripted
from tests.journeys.clients.raw import RawClient
from tests.journeys.running import PATIENCE, RunningProxy

CONFIG = """
user: null
headers: {X-File: of the file}
upstreams:
  scripted: {servers: ["http://127.0.0.1:${SCRIPTED}"]}
  streamed: {servers: ["http://127.0.0.1:${SCRIPTED}"], buffering: off}
sites:
  - hosts: [localhost]
    headers: {X-Site: of the site}
    routes:
      - {path: /, proxy: scripted}
      - {path: /streamed/, proxy: streamed}
      - {path: /cut/, proxy: scripted, strip_prefix: true}
      - {path: /old/, redirect: {to: /new/, status: 308}}
      - {path: /moved/, redirect: {to: "https://other.test{uri}", status: 301}}
      - {path: /ping, respond: {body: pong}}
      - {path: /posts, methods: [POST], proxy: scripted}
      - path: /edited/
        proxy: scripted
        request_headers: {X-Env: production, User-Agent: null, X-Twice: once}
        response_headers: {X-Powered-By: null, Server: pyproxy, X-Site: of the route}
  - {hosts: ["*.wild.test"], routes: [{path: /, respond: {body: wild}}]}
  - {hosts: [open.test], redirect_http: off, routes: [{path: /, proxy: scripted}]}
  - {hosts: [plain.test], tls: off, routes: [{path: /, proxy: scripted}]}
"""


@pytest.fixture(scope="module")
def _upstream() -> Iterator[ScriptedUpstream]:
    with scripted() as upstream:
        yield upstream


@pytest.fixture
def upstream(_upstream: ScriptedUpstream) -> ScriptedUpstream:
    _upstream.begin()
    return _upstream


@pytest.fixture(scope="module")
def proxy(
    _upstream: ScriptedUpstream, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[RunningProxy]:
    folder = tmp_path_factory.mktemp("http1")
    with proxying(CONFIG, folder, SCRIPTED=_upstream.port) as running:
        yield running


@pytest.fixture
def client(proxy: RunningProxy) -> Iterator[RawClient]:
    with RawClient(proxy) as client:
        yield client


def fields_of(head: bytes) -> dict[str, str]:
    """The fields of a request that the upstream saw; each may be there once."""
    lines = [line.partition(": ") for line in head.decode("latin-1").split("\r\n")[1:-2]]
    found = {name.lower(): value for name, _, value in lines}
    assert len(found) == len(lines)
    return found


def request_line(head: bytes) -> str:
    return head.partition(b"\r\n")[0].decode()


def echo_target(conversation: Conversation) -> None:
    """Answer with the request line and the body."""
    body = conversation.head.partition(b"\r\n")[0] + b"|" + conversation.body
    conversation.send(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (len(body), body))


# One connection, many requests.


def test_connections_are_kept_on_both_sides(client: RawClient, upstream: ScriptedUpstream) -> None:
    upstream.script = echo_target
    for number in range(5):
        answer = client.ask(f"GET /{number}")
        assert answer.body == b"GET /%d HTTP/1.1|" % number
        assert "connection" not in answer
    assert upstream.connections <= 1


def test_pipelined_requests_are_answered_in_order(
    client: RawClient, upstream: ScriptedUpstream
) -> None:
    upstream.script = echo_target
    requests = [
        b"GET /1 HTTP/1.1\r\nHost: localhost\r\n\r\n",
        b"POST /2 HTTP/1.1\r\nHost: localhost\r\nContent-Length: 5\r\n\r\nGET /",
        b"HEAD /3 HTTP/1.1\r\nHost: localhost\r\n\r\n",
        b"POST /4 HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n",
        b"3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n",
        b"GET /ping HTTP/1.1\r\nHost: localhost\r\n\r\n",
        b"GET /6 HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n",
        b"GET /never HTTP/1.1\r\nHost: localhost\r\n\r\n",
    ]
    client.send(b"".join(requests))
    assert client.answer().body == b"GET /1 HTTP/1.1|"
    assert client.answer().body == b"POST /2 HTTP/1.1|GET /"
    assert client.answer("HEAD")["content-length"] == str(len("HEAD /3 HTTP/1.1|"))
    assert client.answer().body == b"POST /4 HTTP/1.1|abcde"
    assert client.answer().body == b"pong"
    last = client.answer()
    assert last.body == b"GET /6 HTTP/1.1|"
    assert last["connection"] == "close"
    assert client.rest() == (b"", True)
    assert not [head for head in upstream.heads if b"never" in head]


def test_hundreds_of_pipelined_requests(client: RawClient, upstream: ScriptedUpstream) -> None:
    upstream.script = echo_target
    pad = "x" * 1000

    def send(first: int) -> None:
        lines = (
            f"GET /{first + each}?{pad} HTTP/1.1\r\nHost: localhost\r\n" for each in range(100)
        )
        client.send("\r\n".join((*lines, "")).encode())

    send(0)
    for first in range(0, 400, 100):
        if first < 300:
            send(first + 100)  # a hundred ahead: more than the proxy takes in
        for number in range(first, first + 100):
            assert client.answer().body == f"GET /{number}?{pad} HTTP/1.1|".encode()


def test_a_request_byte_by_byte(client: RawClient, upstream: ScriptedUpstream) -> None:
    upstream.script = echo_target
    for byte in (
        b"\r\nPOST /slowly HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n"
        b"4;ext=1\r\nwell\r\n0\r\nX-Trailer: t\r\n\r\n"
    ):
        client.send(bytes([byte]))
    assert client.answer().body == b"POST /slowly HTTP/1.1|well"
    assert client.ask("GET /after").body == b"GET /after HTTP/1.1|"


def test_an_answer_byte_by_byte(client: RawClient, upstream: ScriptedUpstream) -> None:
    def script(conversation: Conversation) -> None:
        for byte in (
            b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n"
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
            b"4;ext=1\r\nwell\r\n0\r\nX-Trailer: t\r\n\r\n"
        ):
            conversation.send(bytes([byte]))

    upstream.script = script
    answer = client.ask("GET /slowly")
    assert (answer.body, answer.trailers) == (b"well", b"X-Trailer: t\r\n")
    assert [each.status for each in answer.interim] == [103]


# What is sent on, to the byte.


def test_the_rest_of_a_head_is_sent_on_as_it_came(
    client: RawClient, upstream: ScriptedUpstream
) -> None:
    target = "/a/../b/./%2e%2E/%2F//c;p=1/~!$&'()*+,=:@?q=%zz&[]|^`{}\"<>\\"
    answer = client.ask(
        f"GET {target}",
        "aCCept:  */*",
        "X-Empty:",
        "X-Text: a\tb \xe9",
        "Cookie: a=1",
        "Cookie: b=2",
    )
    assert answer.status == 200
    (head,) = upstream.heads
    assert request_line(head) == f"GET {target} HTTP/1.1"
    assert (
        b"\r\naCCept:  */*\r\nX-Empty:\r\nX-Text: a\tb \xe9\r\nCookie: a=1\r\nCookie: b=2\r\n"
        in head
    )


def test_the_rest_of_an_answers_head_is_passed_as_it_came(
    client: RawClient, upstream: ScriptedUpstream
) -> None:
    upstream.says(
        b"HTTP/1.1 299 Quite \xe9 fine\r\nX_Under: 1\r\nSet-Cookie: a=1\r\nX-Empty:\r\n"
        b"Set-Cookie: b=2\r\nDate: yesterday\r\nServer: me\r\nContent-Length: 0\r\n\r\n"
    )
    answer = client.ask("GET /")
    assert answer.line == "HTTP/1.1 299 Quite \xe9 fine"
    assert answer.all("set-cookie") == ["a=1", "b=2"]
    assert answer["x_under"] == "1"
    assert answer["x-empty"] == ""
    assert answer["date"] == "yesterday"
    assert answer["server"] == "me"


def test_an_answers_fields_of_the_hop_stay_here(
    client: RawClient, upstream: ScriptedUpstream
) -> None:
    upstream.says(
        b"HTTP/1.1 200 OK\r\nConnection: keep-alive, X-Hop\r\nX-Hop: 1\r\nKeep-Alive: timeout=5\r\n"
        b"Upgrade: h2c\r\nProxy-Connection: x\r\nContent-Length: 2\r\n\r\nok"
    )
    answer = client.ask("GET /")
    for name in ("connection", "x-hop", "keep-alive", "upgrade", "proxy-connection"):
        assert name not in answer
    assert client.ask("GET /").body == b"ok"


def test_a_chunked_request_is_given_a_length(client: RawClient, upstream: ScriptedUpstream) -> None:
    body = b"5\r\nhello\r\n1;a=b\r\n \r\n5\r\nworld\r\n0\r\nX-Trailer: t\r\n\r\n"
    client.ask("POST /", "trailer: X-Trailer", "Transfer-Encoding: chunked", "X-A: b", body=body)
    assert upstream.bodies == [b"hello world"]
    found = fields_of(upstream.heads[0])
    assert found["content-length"] == "11"
    assert found["x-a"] == "b"
    assert "transfer-encoding" not in found
    assert "trailer" not in found, "there is none in a body with a length"


def test_a_chunked_request_is_streamed_where_nothing_is_buffered(
    client: RawClient, upstream: ScriptedUpstream
) -> None:
    client.send(
        b"POST /streamed/ HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n"
        b"Trailer: X-Trailer\r\n\r\n5;a=b\r\nhello\r\n"
    )
    client.send(b"6\r\n world\r\n0\r\nX-Trailer: t\r\nContent-Length: 3\r\nX_Bad: 1\r\n\r\n")
    assert client.answer().status == 200
    found = fields_of(upstream.heads[0])
    assert found["transfer-encoding"] == "chunked"
    assert found["trailer"] == "X-Trailer"
    assert "content-length" not in found
    (body,) = upstream.bodies
    assert body.endswith(b"\r\n0\r\nX-Trailer: t\r\n\r\n")
    assert b"a=b" not in body
    assert client.ask("GET /streamed/").status == 200


def test_trailers_of_an_answer_pass(client: RawClient, upstream: ScriptedUpstream) -> None:
    upstream.says(
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: X-Checksum\r\n\r\n"
        b"5;a=b\r\nhello\r\n6\r\n world\r\n0\r\nX-Checksum: 1\r\nSet-Cookie: a=1\r\n\r\n"
    )
    answer = client.ask("GET /", "TE: trailers", "Connection: TE")
    assert answer.body == b"hello world"
    assert answer.trailers == b"X-Checksum: 1\r\n"
    found = fields_of(upstream.heads[0])
    assert (found["te"], found["connection"].lower()) == ("trailers", "te")
    assert client.ask("GET /").body == b"hello world"


# 1xx.


@pytest.mark.parametrize("path", ["/", "/streamed/"])
@pytest.mark.parametrize("framing", ["Content-Length: 5", "Transfer-Encoding: chunked"])
def test_a_client_that_expects_100_is_told_to_go_on(
    client: RawClient, upstream: ScriptedUpstream, path: str, framing: str
) -> None:
    upstream.says(b"HTTP/1.1 100 Continue\r\n\r\n" + OK)
    head = f"POST {path} HTTP/1.1\r\nHost: localhost\r\nExpect: 100-continue\r\n{framing}\r\n\r\n"
    client.send(head.encode())
    assert client.head().status == 100
    client.send(b"hello" if "Length" in framing else b"5\r\nhello\r\n0\r\n\r\n")
    answer = client.answer()
    assert (answer.status, answer.interim) == (200, [])
    assert b"hello" in upstream.bodies[0]
    assert "expect" not in fields_of(upstream.heads[0])


def test_a_client_that_expects_100_is_refused_before_its_body(client: RawClient) -> None:
    answer = client.ask("POST /nowhere", "Expect: 100-continue", "Content-Length: 5", host="other")
    assert answer.status == 421
    assert not answer.interim


def test_early_hints_pass_before_the_answer(client: RawClient, upstream: ScriptedUpstream) -> None:
    arrived = threading.Event()

    def script(conversation: Conversation) -> None:
        conversation.send(b"HTTP/1.1 103 Early Hints\r\nLink: </a.css>; rel=preload\r\n\r\n")
        assert arrived.wait(PATIENCE)
        conversation.send(b"HTTP/1.1 102 Processing\r\n\r\n" + OK)

    upstream.script = script
    client.send(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
    hints = client.head()
    arrived.set()
    assert hints.status == 103
    assert hints["link"] == "</a.css>; rel=preload"
    answer = client.answer()
    assert answer.body == b"ok"
    assert [each.status for each in answer.interim] == [102]


def test_a_client_of_http_1_0_gets_no_interim_answer(
    client: RawClient, upstream: ScriptedUpstream
) -> None:
    upstream.says(b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n" + OK)
    client.send(b"GET / HTTP/1.0\r\nHost: localhost\r\n\r\n")
    answer = client.answer()
    assert (answer.status, answer.interim, answer.body) == (200, [], b"ok")


# Answers without a body.


@pytest.mark.parametrize(
    ("method", "head"),
    [
        ("HEAD", b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n"),
        ("HEAD", b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"),
        ("HEAD", b"HTTP/1.1 200 OK\r\n\r\n"),
        ("GET", b"HTTP/1.1 204 No Content\r\n\r\n"),
        ("GET", b"HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n\r\n"),
        ("GET", b"HTTP/1.1 304 Not Modified\r\n\r\n"),
        ("GET", b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"),
        ("POST", b"HTTP/1.1 201 Created\r\nLocation: /x\r\nContent-Length: 0\r\n\r\n"),
    ],
)
def test_answers_without_a_body(
    client: RawClient, upstream: ScriptedUpstream, method: str, head: bytes
) -> None:
    upstream.says(head)
    answer = client.ask(f"{method} /")
    assert answer.body == b""
    assert str(answer.status).encode() == head.split(b" ")[1]
    if b"Content-Length: 5" in head:
        assert answer["content-length"] == "5"
    if answer.status == 204:
        assert "content-length" not in answer
        assert "transfer-encoding" not in answer
    upstream.says(OK)
    assert client.ask("GET /").body == b"ok"


# Forms of the target, versions.


def test_options_asterisk(client: RawClient, upstream: ScriptedUpstream) -> None:
    upstream.says(b"HTTP/1.1 204 No Content\r\nAllow: GET, HEAD\r\n\r\n")
    answer = client.ask("OPTIONS *")
    assert answer.status == 204
    assert answer["allow"] == "GET, HEAD"
    assert request_line(upstream.heads[0]) == "OPTIONS * HTTP/1.1"


def test_absolute_form(client: RawClient, upstream: ScriptedUpstream) -> None:
    client.send(b"GET https://localhost/x?y=1 HTTP/1.1\r\nHost: elsewhere.example\r\n\r\n")
    assert client.answer().status == 200
    assert request_line(upstream.heads[0]) == "GET /x?y=1 HTTP/1.1"
    assert fields_of(upstream.heads[0])["host"] == "localhost"


def test_http_1_0(client: RawClient, upstream: ScriptedUpstream) -> None:
    client.send(b"GET /old HTTP/1.0\r\nHost: localhost\r\nConnection: keep-alive\r\n\r\n")
    answer = client.answer()
    assert answer.body == b"ok"
    assert answer["connection"] == "keep-alive"
    assert request_line(upstream.heads[0]) == "GET /old HTTP/1.1"
    assert fields_of(upstream.heads[0])["via"] == "1.0 pyproxy"
    upstream.says(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n")
    client.send(b"GET / HTTP/1.0\r\nHost: localhost\r\nConnection: keep-alive\r\n\r\n")
    answer = client.answer()
    assert answer.body == b"ok"
    assert "transfer-encoding" not in answer
    assert answer["connection"] == "close"


def test_http_1_0_without_a_host_has_no_site(client: RawClient, proxy: RunningProxy) -> None:
    client.send(b"GET / HTTP/1.0\r\n\r\n")
    assert client.answer().status == 421
    with RawClient(proxy, plain=True) as plain:
        plain.send(b"GET / HTTP/1.0\r\n\r\n")
        assert plain.answer().status == 404


@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.1 200 OK\r\n\r\nuntil the end",
        b"HTTP/1.0 200 OK\r\n\r\nuntil the end",
        b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 13\r\n\r\nuntil the end",
        b"HTTP/1.0 200 OK\r\nContent-Length: 13\r\n\r\nuntil the end",
    ],
)
def test_an_upstream_that_closes_costs_the_client_nothing(
    client: RawClient, upstream: ScriptedUpstream, answer: bytes
) -> None:
    upstream.says(answer, close=True)
    for _ in range(3):
        assert client.ask("GET /").body == b"until the end"
    assert len(upstream.heads) == 3


def die_on_reuse(conversation: Conversation) -> None:
    """Close as soon as a second request comes, as a server does whose patience just ended."""
    if conversation.number == 1:
        conversation.send(OK)
    else:
        conversation.close()


def test_a_kept_alive_connection_that_dies_costs_a_get_nothing(
    client: RawClient, upstream: ScriptedUpstream
) -> None:
    upstream.says(OK.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n"))
    client.ask("GET /last-of-the-others")
    upstream.begin()
    upstream.script = die_on_reuse
    for number in range(4):
        assert client.ask(f"GET /{number}").body == b"ok"
    assert client.ask("PUT /put", "Content-Length: 3", body=b"abc").body == b"ok"
    assert upstream.bodies[-2:] == [b"abc", b"abc"], "idempotent, and its body was kept"


def test_a_post_is_never_sent_twice(client: RawClient, upstream: ScriptedUpstream) -> None:
    upstream.script = die_on_reuse
    for _ in range(3):
        client.ask("GET /")  # leaves a connection that will die
        upstream.heads.clear()
        answer = client.ask("POST /", "Content-Length: 3", body=b"abc")
        assert answer.status in (200, 502)
        assert len(upstream.heads) == 1
    answer = client.ask("POST /", "Idempotency-Key: 1", "Content-Length: 3", body=b"abc")
    assert answer.status == 200


@pytest.mark.parametrize("framing", ["Content-Length: 5000000", "Transfer-Encoding: chunked"])
def test_an_answer_may_come_before_the_request_is_whole(
    proxy: RunningProxy, upstream: ScriptedUpstream, framing: str
) -> None:
    """Who refuses an upload early is heard, and the connection it came by serves nobody else."""

    def script(conversation: Conversation) -> None:
        if conversation.head.startswith(b"POST "):
            conversation.send(b"HTTP/1.1 401 Unauthorized\r\nContent-Length: 2\r\n\r\nno")
        else:
            conversation.send(OK)

    upstream.on_head = upstream.script = script
    with RawClient(proxy) as client:
        client.send(f"POST /streamed/ HTTP/1.1\r\nHost: localhost\r\n{framing}\r\n\r\n".encode())
        client.send(b"1000\r\n" + b"x" * 4096)
        answer = client.answer()
        assert (answer.status, answer.body) == (401, b"no")
        assert answer["connection"] == "close"
        assert client.rest() == (b"", True)
    upstream.on_head = None
    with RawClient(proxy) as client:
        for _ in range(3):
            assert client.ask("GET /streamed/").body == b"ok"


# Sites and routes.


@pytest.mark.parametrize("target", ["/x?y=1&z=%2F", "/", "//evil.example/%2e"])
@pytest.mark.parametrize("host", ["localhost", "LOCALHOST:8080"])
def test_http_is_sent_to_https(proxy: RunningProxy, target: str, host: str) -> None:
    with RawClient(proxy, plain=True) as plain:
        plain.send(f"GET {target} HTTP/1.1\r\nHost: {host}\r\n\r\n".encode())
        answer = plain.answer()
        assert answer.status == 301
        assert answer["location"] == f"https://localhost:{proxy.https_port}{target}"
        assert answer["x-frame-options"] == "SAMEORIGIN"
        assert answer["x-site"] == "of the site"
        assert "strict-transport-security" not in answer


def test_sites_that_serve_http(proxy: RunningProxy, upstream: ScriptedUpstream) -> None:
    with RawClient(proxy, plain=True) as plain:
        for host in ("open.test", "plain.test"):
            answer = plain.ask("GET /", host=host)
            assert answer.body == b"ok"
            assert "strict-transport-security" not in answer
            assert fields_of(upstream.heads[-1])["x-forwarded-proto"] == "http"
        unknown = plain.ask("GET /", host="unknown.test")
        assert (unknown.status, unknown["x-file"]) == (404, "of the file")
        assert plain.ask("GET /", host="open.test").status == 200


def test_a_site_without_tls_is_not_served_over_tls(
    client: RawClient, upstream: ScriptedUpstream
) -> None:
    answer = client.ask("GET /", host="plain.test")
    assert answer.status == 421
    assert "strict-transport-security" not in answer, "it would lock clients out of the site"
    assert not upstream.heads
    assert client.ask("GET /").status == 200


def test_unknown_hosts(client: RawClient, upstream: ScriptedUpstream) -> None:
    for host in ("unknown.test", "wild.test", "a.b.wild.test", "localhost.evil"):
        answer = client.ask("GET /", host=host)
        assert answer.status == 421
        assert answer["x-file"] == "of the file"
        assert "strict-transport-security" not in answer
    assert client.ask("GET /", host="a.WILD.test").body == b"wild"
    assert not upstream.heads
    assert client.ask("GET /", host="localhost.").status == 200


def test_a_prefix_is_stripped(client: RawClient, upstream: ScriptedUpstream) -> None:
    for asked, sent_on in (
        ("/cut/a%2Fb/?x=/cut/", "/a%2Fb/?x=/cut/"),
        ("/cut/", "/"),
        ("/cut/?q", "/?q"),
        ("/cut//evil.example/", "/evil.example/"),
    ):
        assert client.ask(f"GET {asked}").status == 200
        assert request_line(upstream.heads[-1]) == f"GET {sent_on} HTTP/1.1"


def test_headers_are_edited(client: RawClient, upstream: ScriptedUpstream) -> None:
    upstream.says(
        b"HTTP/1.1 200 OK\r\nServer: app\r\nX-Powered-By: x\r\nx-frame-options: ALLOWALL\r\n"
        b"X-Frame-Options: DENY\r\nX-Site: app\r\nX-Own: 1\r\nContent-Length: 2\r\n\r\nok"
    )
    answer = client.ask("GET /edited/", "User-Agent: me", "X-Twice: 1", "X-Twice: 2", "x-env: mine")
    found = fields_of(upstream.heads[0])
    assert (found["x-env"], found["x-twice"]) == ("production", "once")
    assert "user-agent" not in found
    assert answer["server"] == "pyproxy"
    assert answer["x-frame-options"] == "SAMEORIGIN"
    assert answer["x-site"] == "of the route"
    assert answer["x-own"] == "1"
    assert answer["strict-transport-security"] == "max-age=63072000"
    assert "x-powered-by" not in answer
    assert client.ask("GET /")["x-site"] == "of the site"


def test_redirects_and_fixed_answers(client: RawClient, upstream: ScriptedUpstream) -> None:
    answer = client.ask("GET /old/thing?x=1")
    assert (answer.status, answer["location"]) == (308, "/new/")
    answer = client.ask("GET /moved/%2Fthing?x={host}")
    assert (answer.status, answer["location"]) == (
        301,
        "https://other.test/moved/%2Fthing?x={host}",
    )
    assert client.ask("GET /ping").body == b"pong"
    assert client.ask("POST /ping", "Content-Length: 3", body=b"abc").body == b"pong"
    assert client.ask("HEAD /ping")["content-length"] == "4"
    assert not upstream.heads


def test_a_method_that_no_route_takes(client: RawClient, upstream: ScriptedUpstream) -> None:
    assert client.ask("POST /posts").status == 200
    assert client.ask("GET /posts").status == 200, "the route of / takes it"
    assert len(upstream.heads) == 2
