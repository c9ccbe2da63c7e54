"""Real applications under the servers that people run, asked through the proxy over TLS."""

import json
from collections.abc import Iterable, Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any

import httpx
import pytest

from tests.journeys.apps.patterned import digest, pieces
from tests.journeys.apps.running import daphne, gunicorn, proxying, uvicorn
from tests.journeys.clients.curl import curl
from tests.journeys.clients.raw import tls_context
from tests.journeys.running import PATIENCE, RunningProxy, eventually

CONFIG = """
log: {access: {format: json}, error: {level: debug}}
user: null
sites:
  - {hosts: [uvicorn.test], routes: [{path: /, proxy: "http://127.0.0.1:${UVICORN}"}]}
  - {hosts: [gunicorn.test], routes: [{path: /, proxy: "http://127.0.0.1:${GUNICORN}"}]}
  - {hosts: [daphne.test], routes: [{path: /, proxy: "http://127.0.0.1:${DAPHNE}"}]}
"""
SERVERS = ["uvicorn", "gunicorn", "daphne"]
FIELDS = {
    "strict-transport-security": "max-age=63072000",
    "x-content-type-options": "nosniff",
    "x-frame-options": "SAMEORIGIN",
    "referrer-policy": "no-referrer-when-downgrade",
}


@pytest.fixture(scope="module")
def proxy(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningProxy]:
    folder = tmp_path_factory.mktemp("applications")
    with ExitStack() as stack:
        ports = {
            start.__name__.upper(): stack.enter_context(start(folder)).port
            for start in (uvicorn, gunicorn, daphne)
        }
        yield stack.enter_context(proxying(CONFIG, folder, **ports))


@dataclass
class Site:
    """One of the applications, by the name it is asked by."""

    name: str
    proxy: RunningProxy
    client: httpx.Client

    @property
    def host(self) -> str:
        return f"{self.name}.test"

    @property
    def origin(self) -> str:
        return f"https://{self.host}:{self.proxy.https_port}"

    def request(
        self,
        method: str,
        path: str,
        headers: Mapping[str, str] | None = None,
        content: bytes | Iterable[bytes] | None = None,
    ) -> httpx.Response:
        return self.client.request(
            method,
            f"https://127.0.0.1:{self.proxy.https_port}{path}",
            headers={**(headers or {}), "Host": f"{self.host}:{self.proxy.https_port}"},
            content=content,
            extensions={"sni_hostname": self.host},
        )

    def told(
        self,
        method: str = "GET",
        path: str = "/echo",
        headers: Mapping[str, str] | None = None,
        content: bytes | Iterable[bytes] | None = None,
    ) -> dict[str, Any]:
        """Return what the application says it saw."""
        answer = self.request(method, path, headers, content)
        assert answer.status_code == 200, answer.text
        found: dict[str, Any] = answer.json()
        return found

    def log_line(self, request_id: str) -> dict[str, Any]:
        """Return the line of the access log about a request."""

        def look() -> dict[str, Any]:
            for line in self.proxy.output().splitlines():
                if request_id in line:
                    found: dict[str, Any] = json.loads(line)
                    return found
            return {}

        return eventually(look)


@pytest.fixture(params=SERVERS)
def site(request: pytest.FixtureRequest, proxy: RunningProxy) -> Iterator[Site]:
    with httpx.Client(
        verify=tls_context(proxy.ca_file), timeout=PATIENCE, trust_env=False
    ) as client:
        yield Site(request.param, proxy, client)


def fields(told: dict[str, Any]) -> dict[str, str]:
    """The request's fields, each of which may be there once."""
    pairs = told["headers"]
    found = dict(pairs)
    assert len(found) == len(pairs), pairs
    return found


@pytest.mark.parametrize("method", ["GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"])
def test_methods(site: Site, method: str) -> None:
    content = b"a body" if method in {"POST", "PUT", "PATCH"} else b""
    told = site.told(method, "/echo/a%20b//c?x=1&y=%2F&y=", content=content)
    assert told["method"] == method
    assert told["target"] == "/echo/a%20b//c?x=1&y=%2F&y="
    assert told["body"] == content.decode()


def test_head(site: Site) -> None:
    got, headed = site.request("GET", "/echo"), site.request("HEAD", "/echo")
    assert headed.status_code == 200
    assert headed.content == b""
    assert headed.headers["content-type"] == got.headers["content-type"]
    assert headed.headers["x-application"] == got.headers["x-application"]


def test_what_the_application_is_told_of_the_client(site: Site) -> None:
    told = site.told()
    found = fields(told)
    assert found["host"] == f"{site.host}:{site.proxy.https_port}"
    assert found["x-forwarded-for"] == "127.0.0.1"
    assert found["x-forwarded-proto"] == "https"
    assert found["x-forwarded-host"] == f"{site.host}:{site.proxy.https_port}"
    assert found["x-forwarded-port"] == str(site.proxy.https_port)
    assert found["x-real-ip"] == "127.0.0.1"
    assert len(found["x-request-id"]) == 32
    assert "forwarded" not in found
    assert told["secure"] is True
    assert told["absolute"] == f"{site.origin}/echo"
    assert told["client"] == "127.0.0.1"


def test_what_a_client_says_of_itself_is_replaced(site: Site) -> None:
    claimed = {
        "X-Forwarded-For": "6.6.6.6", "X-Forwarded-Proto": "http", "X-Forwarded-Host": "evil",
        "X-Forwarded-Port": "1", "X-Real-IP": "6.6.6.6", "X-Request-ID": "mine",
        "X-Forwarded-Prefix": "/evil", "X-Forwarded-Server": "evil", "Forwarded": "for=6.6.6.6",
        "CF-Connecting-IP": "6.6.6.6",
    }  # fmt: skip
    told = site.told(headers=claimed)
    found = fields(told)
    assert found["x-forwarded-for"] == found["x-real-ip"] == "127.0.0.1"
    assert not [value for value in found.values() if "6.6.6.6" in value or "evil" in value]
    assert found["x-request-id"] != "mine"
    assert told["secure"] is True
    assert told["absolute"] == f"{site.origin}/echo"


def test_fields_of_the_connection_and_with_underscores_stay_here(site: Site) -> None:
    sent = {
        "Connection": "keep-alive, X-Of-This-Hop", "X-Of-This-Hop": "1", "Keep-Alive": "timeout=9",
        "Proxy-Connection": "keep-alive", "Proxy-Authorization": "Basic eDp5", "Proxy": "http://evil",
        "Upgrade": "h2c", "HTTP2-Settings": "AAMAAABkAAQAAP__", "X_Forwarded_For": "6.6.6.6",
        "X_Real_IP": "6.6.6.6", "X-Kept": "kept",
    }  # fmt: skip
    found = fields(site.told(headers=sent))
    assert found["x-kept"] == "kept"
    gone = {name.lower().replace("_", "-") for name in sent} - {"x-kept", "x-real-ip"}
    assert not {name.replace("_", "-") for name in found} & (gone - {"x-forwarded-for"})
    assert found["x-forwarded-for"] == "127.0.0.1"


def test_credentials_pass_and_are_not_logged(site: Site) -> None:
    secret = f"Bearer eyJ.{site.name}.sig"
    cookie = f"sessionid=very-{site.name}-secret; theme=dark"
    found = fields(site.told(headers={"Authorization": secret, "Cookie": cookie}))
    assert found["authorization"] == secret
    assert found["cookie"] == cookie
    line = site.log_line(found["x-request-id"])
    assert line["status"] == 200
    assert f"eyJ.{site.name}" not in site.proxy.output() + site.proxy.log()
    assert f"very-{site.name}-secret" not in site.proxy.output() + site.proxy.log()


def test_a_redirect_is_passed_as_it_is(site: Site) -> None:
    answer = site.request("GET", "/redirect")
    assert answer.status_code == 302
    assert answer.headers["location"] == "/profile/?next=%2F"
    assert dict(answer.headers).items() >= FIELDS.items()


def test_cookies_are_passed_as_they_are(site: Site) -> None:
    one, two = site.request("GET", "/cookies").headers.get_list("set-cookie")
    assert one.startswith("sessionid=abc; ")
    parts = {part.lower() for part in one.split("; ")}
    assert {"secure", "httponly", "samesite=lax", "path=/"} <= parts
    parts = {part.lower() for part in two.split("; ")}
    assert {"theme=dark", "secure", "samesite=none", f"domain={site.host}"} <= parts


@pytest.mark.parametrize("method", ["GET", "OPTIONS"])
def test_cors_fields_are_passed_as_they_are(site: Site, method: str) -> None:
    asked = {"Origin": "https://elsewhere.example", "Access-Control-Request-Method": "PUT"}
    answer = site.request(method, "/cors", headers=asked)
    allowed = answer.headers.get_list("access-control-allow-origin")
    assert allowed == ["https://elsewhere.example"]
    assert answer.headers["access-control-allow-credentials"] == "true"
    assert "Origin" in answer.headers["vary"]


@pytest.mark.parametrize("code", [201, 204, 304, 403, 404, 500, 503])
def test_statuses_pass(site: Site, code: int) -> None:
    answer = site.request("GET", f"/status/{code}")
    assert answer.status_code == code
    assert answer.content == b""
    assert answer.headers["etag"] == '"abc"'
    assert dict(answer.headers).items() >= FIELDS.items()
    assert site.request("GET", "/echo").status_code == 200


@pytest.mark.parametrize("size", [0, 1, 65_536, 1_000_003])
def test_bodies_both_ways(site: Site, size: int) -> None:
    expected = digest(pieces(size))
    for path in (f"/download?size={size}", f"/chunked?size={size}"):
        answer = site.request("GET", path)
        assert len(answer.content) == size
        assert digest([answer.content]) == expected
    whole = b"".join(pieces(size))
    assert site.told("POST", "/upload", content=whole)["sha256"] == expected
    in_chunks = site.told("POST", "/upload", content=pieces(size))
    assert (in_chunks["size"], in_chunks["sha256"]) == (size, expected)
    assert in_chunks["length"] == str(size), "buffered, it has a length (gunicorn, WSGI)"


def test_the_log_tells_of_the_request(site: Site) -> None:
    found = fields(site.told("POST", "/echo?q=1", content=b"12345"))
    line = site.log_line(found["x-request-id"])
    assert line["status"] == 200
    assert line["upstream"].startswith("http://127.0.0.1:")
    text = json.dumps(line)
    assert "/echo?q=1" in text
    assert site.host in text


# curl.


@pytest.mark.needs("curl")
@pytest.mark.parametrize("version", ["--http1.1", "--http1.0"])
def test_curl(site: Site, version: str) -> None:
    done = curl(site.proxy, "/echo?by=curl", version, host=site.host)
    assert done.code == 0, done.errors
    told = json.loads(done.body)
    assert fields(told)["x-forwarded-proto"] == "https"
    assert told["absolute"] == f"{site.origin}/echo"
    assert done.head.startswith("HTTP/1.1 200 ")
    assert "transfer-encoding" not in done.head.lower() or version == "--http1.1"


@pytest.mark.needs("curl")
@pytest.mark.parametrize("version", ["--http1.1", "--http1.0"])
def test_curl_takes_a_body_without_length(site: Site, version: str) -> None:
    done = curl(site.proxy, "/chunked?size=300000", version, host=site.host)
    assert done.code == 0, done.errors
    assert digest([done.body]) == digest(pieces(300_000))
    assert ("transfer-encoding: chunked" in done.head.lower()) is (version == "--http1.1")


@pytest.mark.needs("curl")
@pytest.mark.parametrize("options", [(), ("-H", "Transfer-Encoding: chunked")])
def test_curl_waits_for_100_continue(site: Site, options: tuple[str, ...]) -> None:
    body = b"".join(pieces(200_000))
    done = curl(
        site.proxy, "/upload", "-H", "Expect: 100-continue", "--expect100-timeout", str(PATIENCE),
        "--data-binary", "@-", *options, host=site.host, data=body,
    )  # fmt: skip
    assert done.code == 0, done.errors
    assert done.head.startswith("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 ")
    assert json.loads(done.body)["sha256"] == digest([body])


@pytest.mark.needs("curl")
def test_curl_head_and_put(site: Site) -> None:
    done = curl(site.proxy, "/echo", "--head", host=site.host)
    assert (done.code, done.errors) == (0, "")
    done = curl(site.proxy, "/echo", "-X", "PUT", "--data-binary", "@-", host=site.host, data=b"x")
    assert json.loads(done.body)["method"] == "PUT"
    assert json.loads(done.body)["body"] == "x"


@pytest.mark.needs("curl")
def test_the_redirect_to_https_ends_at_the_application(site: Site) -> None:
    done = curl(site.proxy, "/echo?x=1", host=site.host, scheme="http")
    assert done.head.startswith("HTTP/1.1 301 ")
    assert f"Location: {site.origin}/echo?x=1\r\n" in done.head.replace("location:", "Location:")
    assert "strict-transport-security" not in done.head.lower()
