"""The five deployments in config/, run as they stand but for ports, addresses and certificates."""

import asyncio
import re
from dataclasses import dataclass
from pathlib import Path

import pytest
import yaml

from tests.journeys.clients.curl import Curled, curl
from tests.journeys.running import TREE, RunningProxy, StartProxy
from tests.journeys.upstreams.server import Request, Upstream, Upstreams, answer

pytestmark = pytest.mark.needs("curl")

YEAR, MONTH, WEEK = 31536000, 2592000, 604800
OWN = (
    "X-Frame-Options: ALLOWALL", "x-content-type-options: sniff", "Referrer-Policy: unsafe-url",
    "Content-Security-Policy: default-src *", "X-XSS-Protection: 0", "Permissions-Policy: usb=*",
    "Strict-Transport-Security: max-age=1",
)  # fmt: skip
"""What an application sends that knows better."""

NOSNIFF = {"x-content-type-options": "nosniff"}
XSS = {"x-xss-protection": "1; mode=block"}
DOWNGRADE = {"referrer-policy": "no-referrer-when-downgrade"}
HEADERS = {
    0: {
        "strict-transport-security": "max-age=63072000",
        "content-security-policy": "default-src 'self'",
        "x-frame-options": "SAMEORIGIN",
        "permissions-policy": "geolocation=()",
        **NOSNIFF, **XSS, **DOWNGRADE,
    },
    1: {"x-frame-options": "SAMEORIGIN", **NOSNIFF, **XSS, **DOWNGRADE},
    2: {"x-frame-options": "DENY", "referrer-policy": "no-referrer", **NOSNIFF, **XSS},
    3: {
        "strict-transport-security": "max-age=63072000",
        "x-frame-options": "SAMEORIGIN",
        **NOSNIFF, **DOWNGRADE,
    },
    4: {
        "strict-transport-security": "max-age=31536000",
        "x-frame-options": "SAMEORIGIN",
        **NOSNIFF, **XSS, **DOWNGRADE,
    },
}  # fmt: skip
HOSTS = {0: "moviediary.live", 1: "localhost", 2: "localhost", 3: "webhook.example.com",
         4: "pineriverapp.com"}  # fmt: skip


async def application(request: Request, client: asyncio.StreamWriter) -> None:
    """Answer as the target says, with headers of its own, and JSON of some length."""
    status = "404 Not Found" if "absent" in request.target else "200 OK"
    body = '{"answer": "%s"}' % ("yes, " * 1000)
    client.write(answer(body, status, "Content-Type: application/json", *OWN))


@dataclass
class Deployed:
    proxy: RunningProxy
    number: int
    upstream: Upstream

    def curl(self, path: str, *options: str, data: bytes | None = None) -> Curled:
        scheme = "http" if self.number == 2 else "https"
        return curl(self.proxy, path, *options, host=HOSTS[self.number], scheme=scheme, data=data)


@pytest.fixture
def deployed(
    request: pytest.FixtureRequest, start_proxy: StartProxy, upstreams: Upstreams, tmp_path: Path
) -> Deployed:
    """Run a deployment by number."""
    number: int = request.param
    server = upstreams(application)
    text = (TREE / "config" / f"deployment-{number}.yaml").read_text()
    text = re.sub(r"\$\{WEBHOOK_HOST:-([^}]*)\}", r"\1", text)
    config = yaml.safe_load(text)
    plain = number == 2
    config["listen"] = {
        "http": "127.0.0.1:${HTTP_PORT}", "https": None if plain else "127.0.0.1:${HTTPS_PORT}",
    }  # fmt: skip
    config["user"] = None
    for upstream in config["upstreams"].values():
        upstream["servers"] = [server.url]
    for site in config["sites"]:
        if not plain:
            site["tls"] = "self_signed"
        for route in site["routes"]:
            _move_files(route, tmp_path)
    proxy = start_proxy(yaml.safe_dump(config), tmp_path)
    return Deployed(proxy, number, server)


def _move_files(route: dict[str, object], folder: Path) -> None:
    """Have files served from beneath a folder of the test's."""
    files = route.get("files")
    if files is None:
        return
    root = files["root"] if isinstance(files, dict) else files
    moved = folder / str(root).strip("/")
    moved.mkdir(parents=True, exist_ok=True)
    (moved / "style.css").write_text("body { color: black }\n" * 100)
    route["files"] = {**files, "root": str(moved)} if isinstance(files, dict) else str(moved)


def fields_of(done: Curled) -> dict[str, str]:
    """The last head's fields; one that comes twice fails."""
    lines = done.head.strip().split("\r\n\r\n")[-1].split("\r\n")[1:]
    found: dict[str, str] = {}
    for line in lines:
        name, _, value = line.partition(":")
        assert name.lower() not in found, f"{name} twice in {done.head}"
        found[name.lower()] = value.strip()
    return found


ALL = pytest.mark.parametrize("deployed", HEADERS, indirect=True)


@ALL
def test_headers_are_on_every_answer_to_the_letter(deployed: Deployed) -> None:
    expected = HEADERS[deployed.number]
    answers = {
        "200": deployed.curl("/some/page"),
        "404": deployed.curl("/absent"),
        "400": deployed.curl("/a/%2e%2e/b"),
        "head": deployed.curl("/some/page", "-I"),
    }
    if deployed.number != 3:
        answers["file"] = deployed.curl("/static/style.css")
        answers["no file"] = deployed.curl("/static/none.css")
        answers["method"] = deployed.curl("/static/style.css", "-X", "DELETE")
    for name, done in answers.items():
        found = fields_of(done)
        for header, value in expected.items():
            if name == "400" and header == "strict-transport-security":
                continue  # the request could not be read, so nobody knows whose host that binds
            assert found.get(header) == value, (name, header)


@pytest.mark.parametrize("deployed", [0, 1, 3, 4], indirect=True)
def test_http_is_sent_to_https_without_hsts(deployed: Deployed) -> None:
    host = HOSTS[deployed.number]
    done = curl(deployed.proxy, "/x?y=1", host=host, scheme="http")
    assert done.head.startswith("HTTP/1.1 301 ")
    found = fields_of(done)
    assert found["location"] == f"https://{host}:{deployed.proxy.https_port}/x?y=1"
    assert "strict-transport-security" not in found
    assert found["x-frame-options"] == HEADERS[deployed.number]["x-frame-options"]


def statuses(deployed: Deployed, path: str, count: int, *options: str) -> list[str]:
    """Statuses of requests one after the other on one connection."""
    done = deployed.curl(f"{path}?[1-{count}]", *options, "-o", "/dev/null")
    assert done.code == 0, done.errors
    return re.findall(r"^HTTP/1.1 ([0-9]{3})", done.head, re.MULTILINE)


@pytest.mark.parametrize("deployed", [2], indirect=True)
def test_the_todo_apis_limits_are_three_of_their_own(deployed: Deployed) -> None:
    login = statuses(deployed, "/auth/login/", 6, "-X", "POST")
    assert login == ["200"] * 4 + ["429"] * 2
    assert statuses(deployed, "/auth/csrf/", 8) == ["200"] * 6 + ["429"] * 2
    assert statuses(deployed, "/api/todos/", 23) == ["200"] * 21 + ["429"] * 2
    assert statuses(deployed, "/api/docs/", 30) == ["200"] * 30
    refused = deployed.curl("/auth/login/", "-X", "POST")
    found = fields_of(refused)
    assert refused.head.startswith("HTTP/1.1 429 ")
    assert 0 < int(found["retry-after"]) <= 12
    assert found["x-frame-options"] == "DENY"


@pytest.mark.parametrize("deployed", [0], indirect=True)
def test_logins_to_the_movie_diary_are_limited(deployed: Deployed) -> None:
    found = statuses(deployed, "/api/token/", 6, "-X", "POST")
    assert found == ["200"] * 4 + ["429"] * 2
    assert statuses(deployed, "/api/movies/", 20) == ["200"] * 20


AGES = [(2, "/static/", YEAR), (2, "/media/", MONTH), (4, "/static/", MONTH), (4, "/media/", WEEK)]


@pytest.mark.parametrize(("deployed", "path", "age"), AGES, indirect=["deployed"])
def test_files_may_be_kept_as_long_as_promised(deployed: Deployed, path: str, age: int) -> None:
    found = fields_of(deployed.curl(f"{path}style.css"))
    assert found["cache-control"] == f"max-age={age}"
    assert found["content-type"].startswith("text/css")
    assert "expires" in found


@pytest.mark.parametrize("deployed", [0, 2, 4], indirect=True)
def test_json_and_style_sheets_are_compressed(deployed: Deployed) -> None:
    paths = ["/api/docs/x", "/static/style.css"]
    for path in paths:
        done = deployed.curl(path, "-H", "Accept-Encoding: gzip", "-o", "/dev/null")
        found = fields_of(done)
        assert found["content-encoding"] == "gzip", path
        assert found["vary"].lower() == "accept-encoding"


@pytest.mark.parametrize("deployed", [3], indirect=True)
def test_a_webhooks_body_arrives_byte_for_byte(deployed: Deployed) -> None:
    body = bytes(range(256)) * 100
    done = deployed.curl("/webhook?a=%2f", "--data-binary", "@-", data=body)
    assert done.code == 0
    (request,) = deployed.upstream.requests
    assert (request.body, request.target) == (body, "/webhook?a=%2f")
