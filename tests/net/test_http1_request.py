"""The head that goes upstream."""

import ipaddress
from dataclasses import replace

import pytest

from proxy.exchange.exchange import Exchange
from proxy.message.edit import FieldEdit
from proxy.message.forwarding import believe
from proxy.message.head import HeadLimits, RequestHead
from proxy.message.networks import NetworkSet
from proxy.net.http1_request import request_head
from proxy.routing.route import ProxyPlan
from proxy.wire.http1_server import Http1Server
from tests.fakes.exchanges import looked_at

PLAN = ProxyPlan("app")


def read(raw: bytes) -> RequestHead:
    machine = Http1Server(HeadLimits())
    machine.receive(raw)
    head = machine.next_event()
    assert isinstance(head, RequestHead)
    return head


def asked(
    target: str = "/a?b=c", fields: str = "", method: str = "GET", version: str = "1.1"
) -> Exchange:
    exchange = looked_at()
    exchange.request_id = "id-1"
    exchange.head = read(
        f"{method} {target} HTTP/{version}\r\nHost: Shop.Test:8443\r\n{fields}\r\n".encode()
    )
    return exchange


def lines(exchange: Exchange, plan: ProxyPlan = PLAN, length: int | None = None) -> list[str]:
    raw = request_head(exchange, plan, length).decode("ascii")
    assert raw.endswith("\r\n\r\n")
    assert raw.count("\r\n\r\n") == 1
    return raw.split("\r\n")[:-2]


def values(sent: list[str], name: str) -> list[str]:
    """Values of a field, by its name in any case."""
    pairs = [line.partition(": ")[::2] for line in sent[1:]]
    return [value for each, value in pairs if each.lower() == name.lower()]


def test_the_whole_head() -> None:
    assert lines(asked(fields="Accept: */*\r\nCookie: a=b\r\n")) == [
        "GET /a?b=c HTTP/1.1",
        "Host: Shop.Test:8443",
        "Accept: */*",
        "Cookie: a=b",
        "X-Forwarded-For: 192.0.2.1",
        "X-Forwarded-Proto: https",
        "X-Forwarded-Host: Shop.Test:8443",
        "X-Forwarded-Port: 8443",
        "X-Real-IP: 192.0.2.1",
        "Via: 1.1 pyproxy",
        "X-Request-ID: id-1",
    ]


def test_the_host_may_be_another_and_the_clients_is_still_told() -> None:
    sent = lines(asked(), replace(PLAN, host="inner.test"))
    assert sent[1] == "Host: inner.test"
    assert values(sent, "Host") == ["inner.test"]
    assert values(sent, "X-Forwarded-Host") == ["Shop.Test:8443"]


def test_via_tells_the_clients_version() -> None:
    sent = lines(asked(version="1.0"))
    assert sent[0] == "GET /a?b=c HTTP/1.1"
    assert values(sent, "Via") == ["1.0 pyproxy"]


def test_an_earlier_via_stays() -> None:
    assert values(lines(asked(fields="Via: 1.1 cdn\r\n")), "Via") == ["1.1 cdn", "1.1 pyproxy"]


def test_a_client_speaks_for_nobody() -> None:
    fields = (
        "X-Forwarded-For: 203.0.113.9\r\nX-Real-IP: 203.0.113.9\r\nX-Forwarded-Proto: http\r\n"
        "Forwarded: for=203.0.113.9\r\nX-Request-ID: mine\r\nX_Forwarded_For: 203.0.113.9\r\n"
    )
    sent = lines(asked(fields=fields))
    assert not any("203.0.113.9" in line for line in sent)
    assert values(sent, "X-Request-ID") == ["id-1"]
    assert values(sent, "X-Forwarded-Proto") == ["https"]
    assert not values(sent, "Forwarded")


def test_a_trusted_proxy_speaks_for_its_clients() -> None:
    exchange = asked(
        fields="X-Forwarded-For: 203.0.113.9\r\nX-Forwarded-Proto: http\r\nX-Request-ID: its\r\n"
    )
    exchange.client.trusted = True
    believe(exchange, NetworkSet([ipaddress.ip_network("192.0.2.0/24")]))
    sent = lines(exchange)
    assert values(sent, "X-Forwarded-For") == ["203.0.113.9, 192.0.2.1"]
    assert values(sent, "X-Real-IP") == ["203.0.113.9"]
    assert values(sent, "X-Forwarded-Proto") == ["http"]
    assert values(sent, "X-Request-ID") == ["its"]


def test_the_clients_of_a_trusted_proxy_are_not_taken_for_each_other() -> None:
    exchange = asked(fields="X-Forwarded-For: 203.0.113.9\r\n")
    exchange.client.trusted = True
    trusted = NetworkSet([ipaddress.ip_network("192.0.2.0/24")])
    believe(exchange, trusted)
    assert values(lines(exchange), "X-Real-IP") == ["203.0.113.9"]
    other = Exchange(
        exchange.stream, exchange.client, asked(fields="X-Forwarded-For: 203.0.113.8\r\n").head, 0.0
    )
    believe(other, trusted)
    assert values(lines(other), "X-Real-IP") == ["203.0.113.8"]


def test_forwarded_only_where_asked_for() -> None:
    sent = lines(asked(), replace(PLAN, forwarded=True))
    assert values(sent, "Forwarded") == ['for=192.0.2.1;host="Shop.Test:8443";proto=https']


def test_what_is_kept_for_a_client_is_of_one_host_and_one_way() -> None:
    """Two routes, and two hosts, on one connection."""
    first = asked()
    lines(first)
    told = first.client.told
    assert told is not None
    other = Exchange(first.stream, first.client, read(b"GET / HTTP/1.1\r\nHost: b.test\r\n\r\n"), 0)
    assert values(lines(other), "X-Forwarded-Host") == ["b.test"]
    again = Exchange(first.stream, first.client, first.head, 0)
    assert values(lines(again, replace(PLAN, forwarded=True)), "Forwarded")
    assert not values(lines(Exchange(first.stream, first.client, first.head, 0)), "Forwarded")


def test_edits_reach_what_the_client_sent_and_what_we_add() -> None:
    edit = FieldEdit(["cookie", "x-forwarded-port"], b"X-Stage: test\r\n")
    sent = lines(asked(fields="Cookie: a=b\r\nAccept: */*\r\n"), replace(PLAN, request_edit=edit))
    assert not values(sent, "Cookie")
    assert not values(sent, "X-Forwarded-Port")
    assert values(sent, "X-Stage") == ["test"]
    assert values(sent, "Accept") == ["*/*"]
    assert values(sent, "X-Request-ID") == ["id-1"]


@pytest.mark.parametrize(
    ("target", "line"),
    [
        ("/api/x?y=/api/", "GET /x?y=/api/ HTTP/1.1"),
        ("/api", "GET / HTTP/1.1"),
        ("/api?x", "GET /?x HTTP/1.1"),
    ],
)
def test_a_prefix_is_taken_off(target: str, line: str) -> None:
    assert lines(asked(target), replace(PLAN, strip="/api"))[0] == line


def test_a_target_goes_as_it_came() -> None:
    assert lines(asked("/a%2Fb/c//d?%zz"))[0] == "GET /a%2Fb/c//d?%zz HTTP/1.1"
    assert lines(asked("*", method="OPTIONS"))[0] == "OPTIONS * HTTP/1.1"
    assert lines(asked("http://shop.test:8443/x?y"))[0] == "GET /x?y HTTP/1.1"


def test_a_target_cannot_be_taken_for_an_authority() -> None:
    """`new URL("//x/internal/", base)` has the path /internal/; routes saw /x/internal/."""
    assert lines(asked("//x/internal/?a=//b"))[0] == "GET /x/internal/?a=//b HTTP/1.1"


# Framing.


def framing(sent: list[str]) -> list[str]:
    """Lines behind the request id."""
    return sent[sent.index("X-Request-ID: id-1") + 1 :]


@pytest.mark.parametrize(
    ("fields", "length", "expected"),
    [
        ("", None, []),
        ("Content-Length: 0\r\n", None, ["Content-Length: 0"]),
        ("Content-Length: 7\r\n", None, ["Content-Length: 7"]),
        ("Transfer-Encoding: chunked\r\n", None, ["Transfer-Encoding: chunked"]),
        ("Transfer-Encoding: chunked\r\n", 12, ["Content-Length: 12"]),
        ("Transfer-Encoding: chunked\r\n", 0, ["Content-Length: 0"]),
        ("Content-Length: 7\r\n", 7, ["Content-Length: 7"]),
        ("Connection: TE\r\nTE: trailers\r\n", None, ["TE: trailers", "Connection: TE"]),
        ("Connection: X-Secret\r\nX-Secret: 1\r\nKeep-Alive: 5\r\n", None, []),
    ],
)
def test_the_framing_is_ours(fields: str, length: int | None, expected: list[str]) -> None:
    sent = lines(asked(method="POST", fields=fields), length=length)
    assert framing(sent) == expected
    for name in ("Content-Length", "Transfer-Encoding", "Connection", "Upgrade", "TE"):
        told = [line for line in expected if line.startswith(f"{name}: ")]
        assert [f"{name}: {value}" for value in values(sent, name)] == told
    assert not values(sent, "X-Secret")
    assert not values(sent, "Keep-Alive")


def test_trailers_are_announced_only_where_they_can_be_sent() -> None:
    fields = "Transfer-Encoding: chunked\r\nTrailer: Checksum\r\n"
    exchange = asked(method="POST", fields=fields)
    assert values(lines(exchange, length=3), "Trailer") == []
    assert values(lines(exchange), "Trailer") == ["Checksum"]


def test_an_upgrade_is_asked_for() -> None:
    sent = lines(asked(fields="Connection: keep-alive, Upgrade\r\nUpgrade: WebSocket\r\n"))
    assert framing(sent) == ["Connection: Upgrade", "Upgrade: websocket"]
    assert len(values(sent, "Upgrade")) == len(values(sent, "Connection")) == 1


# What is worked out once for a head.


def test_a_repeated_head_costs_the_request_id_alone() -> None:
    first = asked()
    lines(first)
    again = looked_at()
    again.plan, again.request_id = first.plan, "id-2"
    again.head = RequestHead("", "", "")  # not looked at
    sent = request_head(again, PLAN, None)
    assert sent == request_head(first, PLAN, None).replace(b"id-1", b"id-2")


def test_what_was_worked_out_for_another_way_is_not_used() -> None:
    exchange = asked()
    lines(exchange)
    known = exchange.plan
    assert lines(exchange, replace(PLAN, host="b.test"))[1] == "Host: b.test"
    assert exchange.plan is not known


def test_a_length_told_once_is_not_remembered() -> None:
    """A kept body of chunks has another length each time."""
    exchange = asked(method="POST", fields="Transfer-Encoding: chunked\r\n")
    assert framing(lines(exchange, length=3)) == ["Content-Length: 3"]
    assert framing(lines(exchange)) == ["Transfer-Encoding: chunked"]
    assert framing(lines(exchange, length=4)) == ["Content-Length: 4"]
