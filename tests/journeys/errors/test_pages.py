"""The pages that tell of an error, and the log that tells more."""

import json

import pytest

from tests.journeys.apps.scripted import ScriptedUpstream
from tests.journeys.clients.raw import RawClient
from tests.journeys.errors.log import logged
from tests.journeys.errors.wrong import REFUSED, in_chunks
from tests.journeys.running import RunningProxy, eventually


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
