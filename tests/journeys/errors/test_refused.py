"""Requests that are refused: those that can be read in two ways, and those beyond a limit."""

import pytest

from tests.journeys.apps.scripted import ScriptedUpstream
from tests.journeys.clients.curl import curl
from tests.journeys.clients.raw import RawClient
from tests.journeys.errors.wrong import REFUSED, SMUGGLED, in_chunks
from tests.journeys.running import RunningProxy


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


def test_dot_segments_are_named(client: RawClient) -> None:
    answer = client.ask("GET /only-get/../")
    assert answer.status == 400
    assert b"The path must not have dot segments." in answer.body


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
