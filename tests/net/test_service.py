"""The one way through the worker: ids, routes, gates, errors, and one line in the log."""

import ipaddress
import logging
import re
from dataclasses import replace

import pytest

from proxy.errors import BadRequestError, Fault, ProxyError, UpstreamError
from proxy.exchange.answer import Answer
from proxy.exchange.exchange import Exchange
from proxy.exchange.phases import Phase
from proxy.message.edit import FieldEdit
from proxy.message.head import RequestHead
from proxy.routing.route import ProxyPlan, Route
from proxy.routing.sites import Site, SiteTable
from proxy.routing.table import RouteTable
from tests.fakes.bench import get, posting
from tests.fakes.serving import Line, head_of, one_site


def ok(exchange: Exchange) -> None:
    exchange.stream.send_answer(exchange, Answer(head_of(length=2), b"ok"))


def status(out: bytes) -> int:
    """Status of the only answer."""
    assert out.count(b"HTTP/1.1 ") == 1
    return int(out[9:12])


# The beginning.


def test_every_request_has_an_id_of_its_own() -> None:
    line = Line(ok)
    line.send(get() * 3)
    ids = [entry["request_id"] for entry in line.entries()]
    assert len(set(ids)) == 3
    assert all(re.fullmatch("[0-9a-f]{32}", each) for each in ids)
    other = Line(ok)
    other.send(get())
    assert other.entries()[0]["request_id"][:16] != ids[0][:16]  # nor two workers the same


def test_a_head_that_cannot_be_read_has_an_id_and_a_line_too() -> None:
    line = Line(made=one_site(Route("/")))
    line.send(b"GET / HTTP/1.1\r\nBad Name: x\r\n\r\n")
    out = line.out()
    assert status(out) == 400
    (entry,) = line.entries()
    assert entry["request_id"].encode() in out
    assert (entry["status"], entry["method"], entry["phase"]) == (400, "", "finished")
    assert line.counters.requests == 1
    assert line.counters.requests_active == 0


def test_refusals_without_a_site_have_the_files_headers() -> None:
    edit = FieldEdit((), b"X-Frame-Options: DENY\r\n")
    line = Line(made=replace(one_site(Route("/")), edit=edit))
    line.send(b"nonsense\r\n\r\n")
    assert b"\r\nX-Frame-Options: DENY\r\n" in line.out()


@pytest.mark.parametrize("trusted", [False, True])
def test_an_id_and_an_address_are_taken_from_trusted_peers_alone(trusted: bool) -> None:  # noqa: FBT001
    line = Line(ok)
    made = replace(line.service.live.program, trusted=(ipaddress.ip_network("192.0.2.0/24"),))
    line.use(made)
    line.client.trusted = trusted
    line.send(get(fields="X-Request-ID: its-own\r\nX-Forwarded-For: 203.0.113.9\r\n"))
    (entry,) = line.entries()
    assert (entry["request_id"] == "its-own") is trusted
    assert entry["client"] == ("203.0.113.9" if trusted else "192.0.2.1")


# The end.


def test_an_exchange_is_logged_and_counted_once() -> None:
    line = Line()
    exchange = line.asked(get())
    line.service.finish(exchange, exchange.started + 1.5)
    line.service.finish(exchange, exchange.started + 2.5)
    line.service.leave(exchange, exchange.started + 3.5)
    assert [entry["duration"] for entry in line.entries()] == [1.5]
    assert line.counters.requests_active == 0
    assert exchange.consumer is None


@pytest.mark.parametrize(
    ("answered", "name"),
    [
        (101, "responses_1xx"), (200, "responses_2xx"), (299, "responses_2xx"),
        (304, "responses_3xx"), (404, "responses_4xx"), (502, "responses_5xx"),
    ],
)  # fmt: skip
def test_answers_are_counted_by_class(answered: int, name: str) -> None:
    line = Line()
    exchange = line.asked(get())
    exchange.status, exchange.received, exchange.sent = answered, 3, 4
    line.service.finish(exchange, exchange.started)
    counters = line.counters
    counted = {
        each: getattr(counters, each) for each in (f"responses_{one}xx" for one in range(1, 6))
    }
    assert {each for each, count in counted.items() if count} == {name}
    assert (counters.bytes_received, counters.bytes_sent) == (3, 4)


def test_a_client_that_left_is_499_and_no_answer_of_ours() -> None:
    line = Line()
    exchange = line.asked(get())
    line.service.leave(exchange, exchange.started)
    assert line.entries()[0]["status"] == 499
    assert line.takers[0].told == ["gone"]
    assert line.counters.requests_aborted == 1
    assert line.counters.responses_4xx == 0


def test_the_end_of_a_websocket_is_no_aborted_request() -> None:
    line = Line()
    exchange = line.asked(get())
    exchange.status = 101
    line.service.leave(exchange, exchange.started)
    assert line.counters.requests_aborted == 0
    assert line.entries()[0]["status"] == 101


def test_a_log_that_is_off_still_counts() -> None:
    line = Line(ok)
    line.service.use(line.service.live, None)
    line.send(get())
    assert not line.lines
    assert line.counters.responses_2xx == 1


# The way.


def test_methods_and_paths_without_a_route() -> None:
    line = Line(made=one_site(Route("/form/", frozenset(["POST", "PUT"]), serve=ok)))
    line.send(get("/form/"))
    out = line.out()
    assert status(out) == 405
    assert b"\r\nAllow: POST, PUT\r\n" in out
    line.send(get("/other/"))
    assert status(line.out()) == 404
    assert [entry["error"] for entry in line.entries()] == [
        "no route for this method", "no route for this path",
    ]  # fmt: skip
    assert [entry["site"] for entry in line.entries()] == ["localhost"] * 2
    assert not line.channel.closing


@pytest.mark.parametrize(("scheme", "expected"), [("https", 421), ("http", 404)])
def test_hosts_that_are_not_served_here(scheme: str, expected: int) -> None:
    line = Line()
    line.client.scheme = scheme
    line.send(b"GET / HTTP/1.1\r\nHost: other.test\r\n\r\n")
    assert status(line.out()) == expected
    assert not line.exchanges
    assert "other.test" in line.entries()[0]["error"]


def test_a_site_without_tls_is_not_served_over_it() -> None:
    site = Site("localhost", RouteTable({}, {"/": (Route("/", serve=ok),)}), tls=False)
    made = one_site(sites=SiteTable({"localhost": site}, {}))
    for scheme, expected in (("https", 421), ("http", 200)):
        line = Line(made=made)
        line.client.scheme = scheme
        line.send(get())
        assert status(line.out()) == expected


def test_gates_are_asked_in_order_and_the_first_answer_wins() -> None:
    asked: list[str] = []

    def passes(exchange: Exchange) -> None:
        asked.append("passes")
        assert exchange.phase is Phase.ROUTED
        assert (exchange.site, exchange.route, exchange.body_limit) == ("localhost", "/", 7)

    def answers(_: Exchange) -> Answer:
        asked.append("answers")
        return Answer(head_of(302, length=0))

    def never(_: Exchange) -> None:
        asked.append("never")

    line = Line(gates=(passes, answers, never), body_limit=7)
    line.send(get() * 2)
    assert asked == ["passes", "answers"] * 2  # also of a head that is remembered
    assert not line.exchanges
    assert [entry["status"] for entry in line.entries()] == [302, 302]


def test_plain_gates_come_before_the_route_and_only_without_tls() -> None:
    def redirect(_: Exchange) -> Answer:
        return Answer(head_of(301, length=0))

    site = Site(
        "localhost",
        RouteTable({}, {"/a/": (Route("/a/", serve=ok),)}),
        plain_gates=(redirect,),
        edit_plain=FieldEdit((), b"X: plain\r\n"),
    )
    made = one_site(sites=SiteTable({"localhost": site}, {}))
    plain = Line(made=made)
    plain.client.scheme = "http"
    plain.send(get("/nowhere"))
    out = plain.out()
    assert status(out) == 301
    assert b"\r\nX: plain\r\n" in out
    secure = Line(made=made)
    secure.send(get("/a/"))
    assert status(secure.out()) == 200


def test_headers_are_those_of_the_scheme() -> None:
    route = Route("/", edit=FieldEdit((), b"S: tls\r\n"), edit_plain=FieldEdit((), b"S: plain\r\n"))
    route.serve = ok
    for scheme, expected in (("https", b"\r\nS: tls\r\n"), ("http", b"\r\nS: plain\r\n")):
        line = Line(made=one_site(route))
        line.client.scheme = scheme
        line.send(get())
        assert expected in line.out()


def test_a_remembered_head_is_looked_up_again_after_a_reload() -> None:
    line = Line(ok)
    line.send(get())
    line.use(one_site(Route("/", serve=line.keep)))
    line.asked(get())


# Errors.


def test_an_error_of_a_gate_is_answered_and_the_connection_goes_on() -> None:
    def gate(_: Exchange) -> None:
        raise BadRequestError("not today", status=403, public="Closed.")

    line = Line(gates=(gate,))
    line.send(get() * 2)
    assert [(entry["status"], entry["error"]) for entry in line.entries()] == [
        (403, "not today")
    ] * 2
    assert line.out().count(b"Closed.") == 2


@pytest.mark.parametrize("where", ["gate", "handler"])
def test_a_bug_is_a_500_with_its_trace_in_the_log(
    where: str, caplog: pytest.LogCaptureFixture
) -> None:
    def bug(_: Exchange) -> None:
        raise ZeroDivisionError("secret")

    line = Line(bug) if where == "handler" else Line(gates=(bug,))
    line.send(get() + get("/again"))
    out = line.out()
    assert out.count(b"HTTP/1.1 500 ") == 2
    assert b"secret" not in out
    assert len(line.lines) == 2
    traces = [record for record in caplog.records if record.exc_info]
    assert len(traces) == 2
    assert line.entries()[0]["request_id"] in traces[0].getMessage()
    assert line.counters.requests_active == 0


def test_a_route_without_a_handler_is_a_500() -> None:
    line = Line(made=one_site(Route("/")))
    line.send(get())
    assert status(line.out()) == 500


@pytest.mark.parametrize(
    ("error", "level"),
    [
        (BadRequestError("theirs"), None),
        (UpstreamError(502, "the app's"), logging.WARNING),
        (ProxyError(503, Fault.PROXY, "ours"), logging.ERROR),
    ],
)
def test_the_error_log_is_not_for_what_clients_do_wrong(
    error: ProxyError, level: int | None, caplog: pytest.LogCaptureFixture
) -> None:
    line = Line()
    exchange = line.asked(get("/x"))
    line.service.fail(exchange, error)
    assert [record.levelno for record in caplog.records] == ([level] if level else [])
    if level:
        text = caplog.records[0].getMessage()
        assert error.detail in text
        assert exchange.request_id in text
        assert "/x" in text
    assert line.entries()[0]["error"] == error.detail


def test_the_consumer_of_a_failed_exchange_is_told_once() -> None:
    line = Line()
    exchange = line.asked(posting(10))
    line.service.fail(exchange, UpstreamError(502, "gone"))
    line.send(b"0123456789")
    line.lost()
    assert line.takers[0].told == ["gone"]
    assert line.takers[0].body == b""
    assert [entry["status"] for entry in line.entries()] == [502]
    assert line.gone == [line.session]


def test_an_error_after_the_answers_beginning_cuts_it() -> None:
    line = Line()
    exchange = line.asked(get())
    line.session.send_head(exchange, head_of(length=10))
    line.service.fail(exchange, UpstreamError(502, "half an answer"))
    assert status(line.out()) == 200
    assert line.channel.closing
    (entry,) = line.entries()
    assert (entry["status"], entry["error"]) == (200, "half an answer")
    assert line.takers[0].told == ["gone"]


def test_a_refusal_closes_whatever_its_status() -> None:
    line = Line()
    exchange = line.asked(get())
    line.service.refuse(exchange, BadRequestError("too many", status=429))
    assert b"\r\nConnection: close\r\n" in line.out()
    assert line.channel.closing


def test_the_second_is_told_in_the_answer_and_in_the_log(monkeypatch: pytest.MonkeyPatch) -> None:
    line = Line(ok)
    monkeypatch.setattr("proxy.net.service.wall_time", lambda: 784111777.0)
    line.service.tick()
    line.send(get())
    assert b"\r\nDate: Sun, 06 Nov 1994 08:49:37 GMT\r\n" in line.out()
    assert line.entries()[0]["time"].startswith("1994-11-0")


def test_routes_to_pools_are_bound_when_a_program_goes_live() -> None:
    line = Line()
    with pytest.raises(KeyError):  # a pool that is not there is found then, not by a request
        line.use(one_site(Route("/", proxy=ProxyPlan("missing"))))
    assert line.asked(get()).head.method == "GET"  # and the one in force stays


def test_the_limits_of_heads_are_the_programs() -> None:
    line = Line(ok)
    limits = replace(line.service.live.program.limits, target=20)
    line.use(replace(line.service.live.program, limits=limits))
    fresh = Line(made=line.service.live.program)
    fresh.send(get("/" + "x" * 30))
    assert status(fresh.out()) == 414


def test_begin_takes_any_head() -> None:
    line = Line()
    exchange = line.service.begin(line.session, line.client, RequestHead("", "", "HTTP/1.1"), 5.0)
    assert exchange.started == 5.0
    assert exchange.request_id
    assert line.counters.requests_active == 1
