import json
import re

import pytest
from hypothesis import given, strategies as st

from proxy.errors import UpstreamError
from proxy.exchange.exchange import Exchange
from proxy.exchange.phases import Phase
from proxy.observe.access_log import compile_format
from proxy.observe.log_text import MAX_FIELD
from proxy.observe.log_time import render_time
from proxy.observe.log_variables import FormatError, UnknownVariableError
from tests.fakes.exchanges import looked_at

STAMP = render_time(1823176536, 7200)
NGINX_COMBINED = (
    '$remote_addr - $remote_user [$time_local] "$request" '
    '$status $body_bytes_sent "$http_referer" "$http_user_agent"'
)
combined = compile_format("combined")
as_json = compile_format("json")
by_variables = compile_format(NGINX_COMBINED)


def request(block: bytes = b"", target: str = "/", address: str = "192.0.2.1") -> Exchange:
    exchange = looked_at(address, block)
    exchange.head.target = target
    exchange.status, exchange.sent = 200, 612
    return exchange


def test_combined_is_that_of_nginx() -> None:
    exchange = request(b"Referer: https://a.test/\r\nUser-Agent: curl/8.5.0\r\n", "/index.html?a=b")
    assert combined(exchange, 0.1, STAMP) == (
        '192.0.2.1 - - [10/Oct/2027:15:55:36 +0200] "GET /index.html?a=b HTTP/1.1" 200 612 '
        '"https://a.test/" "curl/8.5.0"'
    )


def test_a_user_is_told_in_one_word() -> None:
    exchange = request()
    for user, told in (
        ("alice", "alice"),
        ("al ice", "al%20ice"),
        ('a" 1', "a\\x22%201"),
        ("a\n- - [", "a\\x0A-%20-%20["),
    ):
        exchange.user = user
        start = f'192.0.2.1 - {told} [10/Oct/2027:15:55:36 +0200] "GET / HTTP/1.1" 200 612'
        assert combined(exchange, 0.1, STAMP).startswith(start)
        assert combined(exchange, 0.1, STAMP) == by_variables(exchange, 0.1, STAMP)


def test_json_tells_what_gates_found_where_they_found_anything() -> None:
    exchange = request()
    assert {"user", "limit_req_status"}.isdisjoint(json.loads(as_json(exchange, 0.1, STAMP)))
    exchange.user, exchange.limited = 'al "ice', "REJECTED_DRY_RUN"
    told = json.loads(as_json(exchange, 0.1, STAMP))
    assert (told["user"], told["limit_req_status"]) == ('al "ice', "REJECTED_DRY_RUN")
    exchange.user = ""
    told = json.loads(as_json(exchange, 0.1, STAMP))
    assert "user" not in told
    assert told["limit_req_status"] == "REJECTED_DRY_RUN"


def test_what_there_is_not_is_a_dash() -> None:
    exchange = request(address="")
    exchange.head.method = ""
    exchange.status = 0
    line = '- - - [10/Oct/2027:15:55:36 +0200] "-" 000 612 "-" "-"'
    assert combined(exchange, 0.1, STAMP) == by_variables(exchange, 0.1, STAMP) == line


fields = st.binary(max_size=60).map(lambda data: data.replace(b"\r", b"").replace(b"\n", b""))


@given(fields, fields, st.text(max_size=40), st.text(max_size=20))
def test_combined_is_its_own_definition_and_cannot_be_forged(
    referer: bytes, agent: bytes, target: str, address: str
) -> None:
    block = b"Referer: %s\r\nUser-Agent: %s\r\n" % (referer, agent)
    exchange = request(block, target, address)
    line = combined(exchange, 0.1, STAMP)
    assert line == by_variables(exchange, 0.1, STAMP)
    assert re.fullmatch(
        r'[ !#-~]+ - - \[[^]]+\] "GET [ !#-~]* HTTP/1\.1" 200 612 "[ !#-~]+" "[ !#-~]+"', line
    )


def test_a_line_cannot_be_forged_by_a_quote_or_a_line_end() -> None:
    exchange = request(b'User-Agent: x" 200 1 "-\r\n', '/" 500\n192.0.2.9 - - [')
    line = combined(exchange, 0.1, STAMP)
    assert line.count('"') == 6
    assert '"GET /\\x22 500\\x0A192.0.2.9 - - [ HTTP/1.1"' in line
    assert line.endswith('"-" "x\\x22 200 1 \\x22-"')


def test_long_fields_are_cut_one_by_one() -> None:
    long = "a" * 10_000
    block = f"Referer: {long}\r\nUser-Agent: {long}\r\n".encode()
    exchange = request(block, "/" + long)
    for render in (combined, by_variables, as_json):
        assert 3 * MAX_FIELD < len(render(exchange, 0.1, STAMP)) < 3 * MAX_FIELD + 1000


def test_json_says_everything() -> None:
    exchange = request(b'Referer: r\r\nUser-Agent: "caf\xe9"\r\nCookie: secret\r\n', '/"\n')
    exchange.request_id, exchange.site, exchange.route = "4f", "a.test", "/api/"
    exchange.upstream, exchange.tries, exchange.received = "http://app:8000", 2, 7
    exchange.connect_time, exchange.status = 0.0015, 504
    exchange.error, exchange.phase = UpstreamError(504, "no answer in 60 s"), Phase.SENT
    exchange.head.host = "a.test"
    exchange.client.tls_version, exchange.client.tls_cipher = "TLSv1.3", "X"
    line = as_json(exchange, 0.25, STAMP)
    assert line.isascii()
    assert "\n" not in line
    assert json.loads(line) == {
        "time": "2027-10-10T15:55:36+02:00",
        "request_id": "4f",
        "client": "192.0.2.1",
        "method": "GET",
        "scheme": "https",
        "host": "a.test",
        "target": '/"\n',
        "version": "HTTP/1.1",
        "status": 504,
        "bytes_sent": 612,
        "bytes_received": 7,
        "duration": 0.25,
        "upstream": "http://app:8000",
        "upstream_connect_time": 0.0015,
        "upstream_response_time": None,
        "tries": 2,
        "route": "/api/",
        "site": "a.test",
        "referer": "r",
        "user_agent": '"caf\xe9"',
        "tls_version": "TLSv1.3",
        "tls_cipher": "X",
        "error": "no answer in 60 s",
        "phase": "sent",
    }


@given(fields, st.text(max_size=40), st.text(max_size=20))
def test_json_is_json_whatever_clients_send(agent: bytes, target: str, host: str) -> None:
    exchange = request(b"User-Agent: %s\r\n" % agent, target)
    exchange.head.host = exchange.request_id = exchange.site = host
    told = json.loads(as_json(exchange, 0.25, STAMP))
    assert (told["target"], told["host"], told["site"]) == (target, host, host)
    assert told["user_agent"] == agent.strip(b" \t").decode("latin-1")


def test_a_format_of_ones_own() -> None:
    render = compile_format('100% "${status}x" rt=$request_time é $http_user_agent;%s\n')
    exchange = request(b'User-Agent: 50%s "\xe9\r\n')
    assert render(exchange, 1.5, STAMP) == '100% "200x" rt=1.500 é 50%s \\x22\\xE9;%s'


def test_credentials_are_masked() -> None:
    render = compile_format("$http_authorization $http_cookie")
    exchange = request(b"Authorization: Basic c2VjcmV0\r\nCookie: s=secret\r\n")
    assert render(exchange, 0.0, STAMP) == "*** ***"


@pytest.mark.parametrize(
    ("log_format", "message"),
    [
        ("", "with \\$variables$"),
        ("combind", "did you mean combined\\?"),
        ("no variable", "with \\$variables$"),
        ("$status $", "column 9"),
        ("a $-b", "column 3"),
        ("${status", "column 1"),
        ("$status\n$host", "one line"),
        ("$status \x1b[1m", "one line"),
    ],
)
def test_a_format_that_cannot_be(log_format: str, message: str) -> None:
    with pytest.raises(FormatError, match=message):
        compile_format(log_format)


def test_an_unknown_variable_is_named() -> None:
    with pytest.raises(UnknownVariableError, match=r"\$remote_adr; did you mean \$remote_addr\?"):
        compile_format("$status $remote_adr")
