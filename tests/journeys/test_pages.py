"""Error pages of the operator's own, errors taken over from an application, and maintenance."""

import itertools
import json
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Self

import pytest

from tests.journeys.apps.running import proxying, serving
from tests.journeys.clients.curl import curl
from tests.journeys.clients.raw import Answer, RawClient
from tests.journeys.errors.log import logged
from tests.journeys.running import PATIENCE, RunningProxy, StartProxy, eventually

STYLED = """\
<!doctype html>
<html lang="en">
<style>body{margin:0}h1::before{content:"{status"}@media(width<9rem){h1{color:#{f}}}</style>
<h1>{status} {reason}</h1>
<p>of <a href="https://{host}/">{host}</a>, request <code>{request_id}</code> {unknown}
"""
PAGES = {
    "styled.html": STYLED,
    "file.txt": "the file's page for {status} {reason} at {host}\n",
    "site.html": "<p>the site's page for {status}\n",
    "route.html": "<p>the route's page for {status}\n",
    "slow.json": '{"slow": "down", "status": {status}, "id": "{request_id}"}\n',
    "closed.html": "<style>p{color:red}</style><p>closed for today ({status})\n",
}
CONFIG = """
user: null
log: {access: {format: json}}
limits: {body: 1KB}
trusted_proxies: [loopback]
rate_limits: {hourly: {rate: 1/hour}}
error_pages: {4xx: file.txt, 5xx: file.txt, 404: styled.html}
upstreams:
  app: {servers: ["http://127.0.0.1:${APP}"], max_fails: 1}
  absent: {servers: ["http://127.0.0.1:1"], hold: off}
sites:
  - hosts: [localhost]
    redirect_http: off
    error_pages: {502: site.html, 413: site.html, 429: slow.json}
    routes:
      - {path: /app/, proxy: app}
      - {path: /down/, proxy: absent}
      - {path: /down/own/, proxy: absent, error_pages: {502: route.html}}
      - {path: /down/file/, proxy: absent, error_pages: {502: null}}
      - {path: /down/ours/, proxy: absent, error_pages: {502: null, 5xx: null}}
      - {path: /slow/, proxy: app, rate_limit: hourly}
      - {path: /posts, methods: [POST], proxy: app}
      - {path: /taken/, proxy: app, intercept_errors: on, error_pages: {5xx: null, 503: route.html}}
  - hosts: [closed.test]
    maintenance: {when: "${FLAG}", page: closed.html, retry_after: 10m, allow: [10.0.0.0/8]}
    routes:
      - {path: /, proxy: app}
      - {path: /healthz, respond: {body: well}, maintenance: off}
  - hosts: [shut.test]
    maintenance: on
    routes: [{path: /, proxy: app}]
"""


@pytest.fixture(scope="module")
def flag(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("flags") / "maintenance"


@pytest.fixture(scope="module")
def proxy(tmp_path_factory: pytest.TempPathFactory, flag: Path) -> Iterator[RunningProxy]:
    folder = tmp_path_factory.mktemp("pages")
    write_pages(folder)
    command = ["uvicorn", "tests.journeys.apps.saying:application", "--port", "{port}"]
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("STATIC", str(folder))
        with (
            serving(command, folder) as app,
            proxying(CONFIG, folder, APP=app.port, FLAG=str(flag)) as running,
        ):
            yield running


@pytest.fixture
def client(proxy: RunningProxy) -> Iterator[RawClient]:
    with RawClient(proxy) as client:
        yield client


def write_pages(folder: Path) -> None:
    for name, text in PAGES.items():
        (folder / name).write_text(text)


def request_id_in(answer: Answer) -> str:
    return answer.body.decode().partition("<code>")[2].partition("</code>")[0]


# Which page.


@pytest.mark.needs("curl")
def test_a_page_is_sent_as_it_was_written(proxy: RunningProxy) -> None:
    done = curl(proxy, "/no/such/path", "-H", "Accept: text/html,*/*;q=0.8")
    assert done.head.startswith("HTTP/1.1 404 Not Found\r\n")
    page = done.body.decode()
    request_id = page.partition("<code>")[2].partition("</code>")[0]
    assert logged(proxy, request_id)["status"] == 404
    expected = STYLED
    for name, value in {
        "{status}": "404", "{reason}": "Not Found", "{host}": "localhost",
        "{request_id}": request_id,
    }.items():  # fmt: skip
        expected = expected.replace(name, value)
    assert page == expected
    head = done.head.lower()
    assert "\r\ncontent-type: text/html; charset=utf-8\r\n" in head
    assert "\r\ncache-control: no-store\r\n" in head
    assert head.count("\r\nx-content-type-options: nosniff\r\n") == 1
    assert "\r\nstrict-transport-security: " in head
    assert "content-security-policy" not in head, "ours would forbid what the page may need"


@pytest.mark.parametrize(
    ("path", "page"),
    [
        ("/down/", b"<p>the site's page for 502\n"),
        ("/down/own/", b"<p>the route's page for 502\n"),
        ("/down/file/", b"the file's page for 502 Bad Gateway at localhost\n"),
    ],
)
def test_a_server_that_is_down(client: RawClient, path: str, page: bytes) -> None:
    answer = client.ask(f"GET {path}")
    assert (answer.status, answer.body) == (502, page)
    assert client.ask("GET /app/").status == 200, "the connection serves on"


def test_pages_taken_away_leave_ours(client: RawClient) -> None:
    answer = client.ask("GET /down/ours/")
    assert b"<h1>502 Bad Gateway</h1>" in answer.body
    assert answer["content-security-policy"].startswith("default-src 'none'")


def test_a_body_that_is_too_large(proxy: RunningProxy) -> None:
    with RawClient(proxy) as client:
        answer = client.ask("POST /app/", "Content-Length: 2000")
        assert (answer.status, answer.body) == (413, b"<p>the site's page for 413\n")


def test_a_method_that_is_not_allowed(client: RawClient) -> None:
    answer = client.ask("GET /posts")
    assert (answer.status, answer["allow"]) == (405, "POST")
    assert answer.body == b"the file's page for 405 Method Not Allowed at localhost\n"


def test_too_many_requests(client: RawClient) -> None:
    assert client.ask("GET /slow/").status == 200
    answer = client.ask("GET /slow/", "Accept: text/html")
    assert answer.status == 429
    assert answer["content-type"] == "application/json"
    told = json.loads(answer.body)
    assert (told["slow"], told["status"], len(told["id"])) == ("down", 429, 32)
    assert 0 < int(answer["retry-after"]) <= 3600


def test_a_host_that_no_site_has(proxy: RunningProxy) -> None:
    with RawClient(proxy) as client:
        answer = client.ask("GET /", host="other.test")
        assert answer.status == 421
        assert answer.body == b"the file's page for 421 Misdirected Request at other.test\n"
    with RawClient(proxy, plain=True) as client:
        answer = client.ask("GET /", host="other.test")
        assert answer.status == 404
        assert b'<h1>404 Not Found</h1>\n<p>of <a href="https://other.test/">' in answer.body


def test_a_request_that_cannot_be_read(proxy: RunningProxy) -> None:
    with RawClient(proxy) as client:
        client.send(b"GET / HTTP/1.1\r\nHost: localhost\r\nHost: localhost\r\n\r\n")
        answer = client.answer()
        assert answer.status == 400
        assert answer.body.startswith(b"the file's page for 400 Bad Request at ")
        assert answer["connection"] == "close"


def test_what_a_client_says_stays_text(proxy: RunningProxy) -> None:
    with RawClient(proxy, plain=True) as client:
        answer = client.ask("GET /", host="o'ther.test")
        assert answer.status == 404
        assert b'<a href="https://o&#x27;ther.test/">o&#x27;ther.test</a>' in answer.body


def test_a_program_gets_json(client: RawClient) -> None:
    answer = client.ask("GET /no/such/path", "Accept: application/json")
    assert (answer.status, answer["content-type"]) == (404, "application/json")
    assert json.loads(answer.body)["title"] == "Not Found"


def test_head_has_the_page_s_length_and_no_body(client: RawClient) -> None:
    length = len(client.ask("GET /down/").body)
    answer = client.ask("HEAD /down/")
    assert (answer.status, answer.body, answer["content-length"]) == (502, b"", str(length))


# Errors of the application's own.


def test_an_application_s_own_errors_pass_unless_they_are_to_be_replaced(client: RawClient) -> None:
    answer = client.ask("GET /app/?status=404")
    assert (answer.status, answer.body) == (404, b"said by the application\n")


def test_an_error_is_taken_over(client: RawClient, proxy: RunningProxy) -> None:
    before = proxy.log()
    said = "&header=ETag:x&header=Set-Cookie:a=b&header=Cache-Control:public&header=Retry-After:7"
    for _ in range(5):
        answer = client.ask(f"GET /taken/?status=404{said}")
        assert answer.status == 404
        assert b"<h1>404 Not Found</h1>" in answer.body
        assert b"said by" not in answer.body
        assert (answer["cache-control"], answer["set-cookie"]) == ("no-store", "a=b")
        assert answer["retry-after"] == "7"
        assert "etag" not in answer
        line = logged(proxy, request_id_in(answer))
        assert line["status"] == 404
        assert line["upstream"].startswith("http://127.0.0.1:")
    answer = client.ask("GET /taken/?status=503")
    assert (answer.status, answer.body) == (503, b"<p>the route's page for 503\n")
    answer = client.ask("GET /taken/")
    assert (answer.status, answer.body) == (200, b"said by the application\n")
    assert proxy.log() == before, "nothing failed, so that there is nothing to tell"


def test_who_may_not_see_it_is_told_how_to(client: RawClient) -> None:
    answer = client.ask("GET /taken/?status=401&header=WWW-Authenticate:Basic%20realm=x")
    assert (answer.status, answer["www-authenticate"]) == (401, "Basic realm=x")
    assert answer.body == b"the file's page for 401 Unauthorized at localhost\n"


def test_errors_without_a_page_pass(client: RawClient) -> None:
    answer = client.ask("GET /taken/?status=500&header=ETag:x")
    assert (answer.status, answer.body, answer["etag"]) == (500, b"said by the application\n", "x")


def test_a_program_keeps_what_the_application_says(client: RawClient) -> None:
    answer = client.ask("GET /taken/?status=404&header=ETag:x", "Accept: application/json")
    assert (answer.status, answer.body) == (404, b"said by the application\n")


def test_a_post_whose_answer_is_taken_over_leaves_its_connection_whole(client: RawClient) -> None:
    for status in (400, 413, 503):
        answer = client.ask(
            f"POST /taken/?status={status}", "Content-Length: 1000", body=b"x" * 1000
        )
        assert answer.status == status
        assert b"said by" not in answer.body
        assert "connection" not in answer


# Maintenance.


def test_a_site_that_is_shut(proxy: RunningProxy) -> None:
    with RawClient(proxy, host="shut.test") as client:
        answer = client.ask("GET /", "Accept: application/json", host="shut.test")
        assert answer.status == 503
        assert json.loads(answer.body)["detail"].startswith("This site is being worked on")
        answer = client.ask("GET /", host="shut.test")
        assert answer.body == b"the file's page for 503 Service Unavailable at shut.test\n"


def test_a_flag_file_opens_and_closes_a_site_while_requests_run(
    proxy: RunningProxy, flag: Path
) -> None:
    with Asking(proxy) as asking:
        eventually(lambda: 200 in asking.last(5))
        flag.touch()
        eventually(lambda: set(asking.last(5)) == {503})
        with RawClient(proxy, host="closed.test") as client:
            closed(client)
        flag.unlink()
        eventually(lambda: set(asking.last(5)) == {200})
    runs = [status for status, _ in itertools.groupby(asking.statuses)]
    assert runs == [200, 503, 200], "it closed once and opened once"
    assert "maintenance" not in proxy.log(), "what was asked for is no error"


def closed(client: RawClient) -> None:
    answer = client.ask("GET /", host="closed.test")
    assert answer.status == 503
    assert answer.body == b"<style>p{color:red}</style><p>closed for today (503)\n"
    assert answer["retry-after"] == "600"
    assert answer["cache-control"] == "no-store"
    post = client.ask("POST /", "Content-Length: 5", host="closed.test", body=b"12345")
    assert post.status == 503
    assert client.ask("GET /healthz", host="closed.test").body == b"well", "for load balancers"
    operator = client.ask("GET /", "X-Forwarded-For: 10.1.2.3", host="closed.test")
    assert operator.status == 200, "the operators look whether it works"
    other = client.ask("GET /", "X-Forwarded-For: 11.1.2.3", host="closed.test")
    assert other.status == 503


class Asking:
    """Somebody who asks for a page of closed.test without end, on one connection."""

    def __init__(self, proxy: RunningProxy) -> None:
        self._client = RawClient(proxy, host="closed.test")
        self._over = threading.Event()
        self.statuses: list[int] = []
        self._thread = threading.Thread(target=self._ask)

    def _ask(self) -> None:
        while not self._over.wait(0.01):
            self.statuses.append(self._client.ask("GET /", host="closed.test").status)

    def last(self, count: int) -> list[int]:
        """The statuses of the last answers."""
        return self.statuses[-count:]

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join(PATIENCE)
        self._client.close()


# Changes.


def test_a_page_changes_with_a_reload(start_proxy: StartProxy, tmp_path: Path) -> None:
    (tmp_path / "lost.txt").write_text("lost")
    proxy = start_proxy(
        "error_pages: {404: lost.txt}\n"
        "sites: [{hosts: [localhost], routes: [{path: /x, respond: 204}]}]\n",
        tmp_path,
    )
    with RawClient(proxy) as client:
        assert client.ask("GET /").body == b"lost"
        (tmp_path / "lost.txt").write_text("found")
        assert client.ask("GET /").body == b"lost"
        assert proxy.reload().returncode == 0
        eventually(lambda: client.ask("GET /").body == b"found")
        (tmp_path / "lost.txt").unlink()
        done = proxy.reload()
        assert done.returncode != 0
        assert "lost.txt" in done.stdout + done.stderr
        assert client.ask("GET /").body == b"found", "the old configuration serves on"
