import pytest

from proxy.errors import BadRequestError
from proxy.exchange.exchange import Exchange
from proxy.exchange.phases import Phase
from proxy.observe.log_time import render_time
from proxy.observe.log_variables import (
    VARIABLES,
    UnknownVariableError,
    error_text,
    masked_address,
    variable,
)
from tests.fakes.exchanges import looked_at

STAMP = render_time(1823176536, 7200)


def served() -> Exchange:
    exchange = looked_at(
        block=b"Cookie: sessionid=secret\r\nX-Custom: yes\r\nContent-Type: a/b\r\n"
    )
    exchange.address = "198.51.100.7"
    exchange.request_id = "4f"
    exchange.upstream = "http://app:8000"
    exchange.connect_time = 0.0012
    exchange.response_time = 0.25
    exchange.user, exchange.limited = "alice l.", "DELAYED"
    exchange.received, exchange.sent, exchange.status, exchange.tries = 3, 1234, 200, 2
    exchange.site, exchange.route, exchange.phase = "a.test", "/api/", Phase.FINISHED
    head, client = exchange.head, exchange.client
    head.method, head.target, head.path = "POST", "/api/%41?x=1&y", "/api/A"
    head.host, head.authority, head.content_length = "a.test", "A.test:443", 3
    head.forwarding = b"X-Forwarded-For: 203.0.113.9\r\n"
    client.tls_version, client.tls_cipher = "TLSv1.3", "TLS_AES_128_GCM_SHA256"
    client.server_name = "sni.test"
    return exchange


EXPECTED = {
    "remote_addr": "198.51.100.7",
    "remote_addr_masked": "198.51.100.0",
    "remote_port": "50000",
    "remote_user": "alice%20l.",
    "limit_req_status": "DELAYED",
    "realip_remote_addr": "192.0.2.1",
    "time_local": "10/Oct/2027:15:55:36 +0200",
    "time_iso8601": "2027-10-10T15:55:36+02:00",
    "request": "POST /api/%41?x=1&y HTTP/1.1",
    "request_method": "POST",
    "request_uri": "/api/%41?x=1&y",
    "uri": "/api/A",
    "args": "x=1&y",
    "query_string": "x=1&y",
    "server_protocol": "HTTP/1.1",
    "scheme": "https",
    "host": "a.test",
    "server_name": "a.test",
    "server_port": "443",
    "request_id": "4f",
    "request_time": "0.346",
    "status": "200",
    "body_bytes_sent": "1234",
    "body_bytes_received": "3",
    "upstream_addr": "http://app:8000",
    "upstream_connect_time": "0.001",
    "upstream_header_time": "0.250",
    "upstream_response_time": "0.250",
    "upstream_tries": "2",
    "ssl_protocol": "TLSv1.3",
    "ssl_cipher": "TLS_AES_128_GCM_SHA256",
    "ssl_server_name": "sni.test",
    "site": "a.test",
    "route": "/api/",
    "phase": "finished",
    "error": "",
    "http_host": "A.test:443",
    "http_upgrade": "",
    "http_expect": "",
    "http_content_length": "3",
    "content_length": "3",
    "content_type": "a/b",
}


def test_every_variable_is_expected_below() -> None:
    assert EXPECTED.keys() == VARIABLES.keys()


@pytest.mark.parametrize(("name", "value"), EXPECTED.items(), ids=EXPECTED)
def test_variables_of_a_served_request(name: str, value: str) -> None:
    assert variable(name)(served(), 0.3456, STAMP) == value


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("http_x_custom", "yes"),
        ("http_X_Custom", "yes"),
        ("http_x_forwarded_for", "203.0.113.9"),
        ("http_absent", ""),
        ("http_cookie", "***"),
        ("http_authorization", ""),
    ],
)
def test_fields_of_the_request(name: str, value: str) -> None:
    assert variable(name)(served(), 0.0, STAMP) == value


@pytest.mark.parametrize(
    "name", ["authorization", "cookie", "proxy_authorization", "x_api_key", "x_auth_token"]
)
def test_credentials_are_never_told(name: str) -> None:
    block = f"{name.replace('_', '-').title()}: Basic c2VjcmV0\r\n".encode()
    assert variable(f"http_{name}")(looked_at(block=block), 0.0, STAMP) == "***"


def test_a_request_that_could_not_be_read_leaves_its_variables_empty() -> None:
    exchange = looked_at()
    exchange.head.method = exchange.head.target = ""
    assert variable("request")(exchange, 0.0, STAMP) == ""
    assert variable("upstream_connect_time")(exchange, 0.0, STAMP) == ""
    assert variable("status")(exchange, 0.0, STAMP) == "000"


@pytest.mark.parametrize(
    ("name", "suggestion"),
    [
        ("remote_adr", "remote_addr"),
        ("bytes_sent", "body_bytes_sent"),
        ("http_", "http_host"),
        ("user_agent", "http_user_agent"),
        ("http_transfer_encoding", ""),
        ("zzz", ""),
    ],
)
def test_an_unknown_variable_comes_with_the_nearest(name: str, suggestion: str) -> None:
    with pytest.raises(UnknownVariableError) as caught:
        variable(name)
    assert (caught.value.name, caught.value.suggestion) == (name, suggestion)
    assert f"${name}" in str(caught.value)
    assert ("did you mean" in str(caught.value)) == bool(suggestion)


@pytest.mark.parametrize(
    ("address", "masked"),
    [
        ("192.0.2.77", "192.0.2.0"),
        ("2001:db8:85a3:8d3:1319:8a2e:370:7348", "2001:db8:85a3::"),
        ("2001:db8::7348", "2001:db8::"),
        ("fe80::1%eth0", "fe80::"),
        ("::1", "::"),
        ("::ffff:192.0.2.77", "::ffff:192.0.2.0"),
        ("unix:", "unix:"),
        ("", ""),
    ],
)
def test_a_masked_address_names_no_person(address: str, masked: str) -> None:
    assert masked_address(address) == masked


def test_an_error_of_ours_is_told_by_its_detail_any_other_by_its_kind() -> None:
    assert error_text(BadRequestError("a bare CR", public="no")) == "a bare CR"
    assert error_text(KeyError("x")) == "KeyError: 'x'"
    assert error_text(None) == ""
