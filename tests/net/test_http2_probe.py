import asyncio

import pytest

from proxy.net.http2_probe import judge_http2
from proxy.net.probes import Target, ask
from proxy.upstream.plan import HealthPlan
from tests.fakes.bench import server_plan
from tests.fakes.http2_app import Asked, Http2App, Talk
from tests.fakes.wires import Script, Wire, on_uvloop, upstream

HEALTH = HealthPlan("/healthz?deep=1", 10.0, 5.0, rise=2, fall=3, expect=200, host="app.test")


async def asked(script: Script) -> str:
    async with upstream(script) as server:
        target = Target(server_plan(server.port, "h2c"), ("127.0.0.1", server.port), HEALTH)
        return await ask(target)


def ok(talk: Talk, asked: Asked) -> None:
    talk.head(asked)
    talk.data(asked, b"fine", end=True)


def bare(talk: Talk, asked: Asked) -> None:
    talk.head(asked, end=True)


def early(talk: Talk, asked: Asked) -> None:
    talk.machine.send_headers(asked.number, [(":status", "103")])
    bare(talk, asked)


def endless(talk: Talk, asked: Asked) -> None:
    talk.head(asked)
    talk.data(asked, b"x" * 65535)


def failing(talk: Talk, asked: Asked) -> None:
    talk.head(asked, status="503", end=True)


def resetting(talk: Talk, asked: Asked) -> None:
    talk.machine.reset_stream(asked.number, 2)


def leaving(talk: Talk, asked: Asked) -> None:
    talk.head(asked)
    talk.flush()
    talk.wire.close()


@pytest.mark.parametrize("answer", [ok, bare, early, endless])
@on_uvloop
async def test_good_answers(answer: Script) -> None:
    app = Http2App(answer)  # type: ignore[arg-type]  # one of those above
    assert await asked(app.script) == ""
    (request,) = app.asked
    assert request.fields[":path"] == "/healthz?deep=1"
    assert request.fields[":authority"] == "app.test"
    assert request.fields["user-agent"] == "pyproxy health check"
    assert request.ended


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (failing, "status 503 instead of 200"),
        (resetting, "reset by the upstream: INTERNAL_ERROR"),
        (leaving, "closed before the end of its answer"),
    ],
)
@on_uvloop
async def test_bad_answers(answer: Script, reason: str) -> None:
    assert await asked(Http2App(answer).script) == reason  # type: ignore[arg-type]  # as above


@on_uvloop
async def test_who_does_not_speak_http2() -> None:
    async def other(wire: Wire) -> None:
        wire.send(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")

    assert await asked(other) == "broken answer: the upstream does not speak HTTP/2"


@on_uvloop
async def test_no_more_is_read_than_is_needed() -> None:
    app = Http2App(endless)
    async with upstream(app.script) as server:
        reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
        raw = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"
        found = await judge_http2(reader, writer, raw, secure=False, expect=200, most=1000)
        writer.transport.abort()
    assert found == ""
