import ipaddress

import pytest
from hypothesis import given, strategies as st

from proxy.message.forwarding import (
    MOST_HOPS,
    believe,
    forwarding_block,
)
from proxy.message.head import RequestHead
from proxy.message.networks import NetworkSet

NETWORKS = [ipaddress.ip_network(text) for text in ("10.0.0.0/8", "2001:db8:1::/48", "127.0.0.1")]
TRUSTED = NetworkSet(NETWORKS)


class FakeClient:
    def __init__(self, peer: str, scheme: str = "https", local_port: int = 8443) -> None:
        self.peer = peer
        self.scheme = scheme
        self.local_port = local_port
        self.trusted = TRUSTED.contains(peer)


class FakeExchange:
    def __init__(
        self, client: FakeClient, forwarding: bytes = b"", authority: str = "site.example"
    ) -> None:
        self.client = client
        self.head = RequestHead("GET", "/", "HTTP/1.1")
        self.head.authority = authority
        self.head.forwarding = forwarding
        self.address = client.peer
        self.scheme = client.scheme
        self.port = client.local_port
        self.request_id = "ours"


def believed(*lines: str, peer: str = "10.0.0.1") -> FakeExchange:
    block = "".join(f"{line}\r\n" for line in lines).encode("latin-1")
    exchange = FakeExchange(FakeClient(peer), block)
    believe(exchange, TRUSTED)
    return exchange


def sent(exchange: FakeExchange, *, forwarded: bool = False) -> dict[str, str]:
    block = forwarding_block(exchange, forwarded=forwarded).decode()
    assert block.endswith("\r\n")
    return dict(line.split(": ", 1) for line in block.split("\r\n")[:-1])


@pytest.mark.parametrize(
    ("value", "address"),
    [
        ("203.0.113.7", "203.0.113.7"),
        ("6.6.6.6, 203.0.113.7", "203.0.113.7"),
        ("6.6.6.6, 203.0.113.7, 10.0.0.9", "203.0.113.7"),
        ("203.0.113.7:5678", "203.0.113.7"),
        ("[2001:db8::7]:443,10.0.0.9", "2001:db8::7"),
        ("2001:db8::7", "2001:db8::7"),
        ("::ffff:203.0.113.7", "203.0.113.7"),
        ("10.0.0.8, 10.0.0.9", "10.0.0.8"),
        ("6.6.6.6, unknown, 10.0.0.9", "10.0.0.9"),
        ("203.0.113.7, ,", "203.0.113.7"),
        ("unknown", "10.0.0.1"),
        ("", "10.0.0.1"),
        ("[::1", "10.0.0.1"),
        ("999.1.1.1", "10.0.0.1"),
        ("6.6.6.6, " + "10.0.0.2, " * (MOST_HOPS + 5), "10.0.0.2"),
    ],
)
def test_right_most_address_that_is_not_trusted(value: str, address: str) -> None:
    assert believed(f"X-Forwarded-For: {value}").address == address


def test_lines_of_one_name_are_one_list() -> None:
    told = believed("X-Forwarded-For: 203.0.113.7", "x-forwarded-for: 10.0.0.9")
    assert told.address == "203.0.113.7"


def test_untrusted_peer_is_not_believed() -> None:
    lines = [
        "X-Forwarded-For: 6.6.6.6", "CF-Connecting-IP: 6.6.6.6", "Forwarded: for=6.6.6.6",
        "X-Forwarded-Proto: http", "X-Forwarded-Port: 1", "X-Forwarded-Host: evil.example",
        "X-Request-ID: theirs",
    ]  # fmt: skip
    exchange = believed(*lines, peer="203.0.113.7")
    assert (exchange.address, exchange.scheme, exchange.port) == ("203.0.113.7", "https", 8443)
    assert exchange.request_id == "ours"
    assert sent(exchange, forwarded=True) == {
        "X-Forwarded-For": "203.0.113.7",
        "X-Forwarded-Proto": "https",
        "X-Forwarded-Host": "site.example",
        "X-Forwarded-Port": "443",
        "X-Real-IP": "203.0.113.7",
        "Forwarded": 'for=203.0.113.7;host="site.example";proto=https',
    }


def test_cloudflare_says_where_the_list_ends() -> None:
    worker = "10.98.0.103"  # within the trusted networks, and yet the client
    told = believed(f"X-Forwarded-For: 6.6.6.6, {worker}, 10.0.0.9", f"CF-Connecting-IP: {worker}")
    assert told.address == worker
    assert sent(told)["X-Forwarded-For"] == f"{worker}, 10.0.0.9, 10.0.0.1"


def test_cloudflare_alone() -> None:
    assert believed("CF-Connecting-IP: 203.0.113.7").address == "203.0.113.7"
    assert believed("CF-Connecting-IP: 203.0.113.7, 6.6.6.6").address == "10.0.0.1"
    assert (
        sent(believed("CF-Connecting-IP: 203.0.113.7"))["X-Forwarded-For"]
        == "203.0.113.7, 10.0.0.1"
    )


def test_clients_cloudflare_field_does_not_beat_what_a_proxy_wrote() -> None:
    told = believed("CF-Connecting-IP: 6.6.6.6", "X-Forwarded-For: 203.0.113.7")
    assert told.address == "203.0.113.7"
    told = believed("CF-Connecting-IP: 6.6.6.6", "Forwarded: for=203.0.113.7")
    assert told.address == "10.0.0.1"
    told = believed("CF-Connecting-IP: 203.0.113.7", "Forwarded: for=203.0.113.7")
    assert told.address == "203.0.113.7"


@pytest.mark.parametrize(
    ("value", "address", "scheme"),
    [
        ("for=203.0.113.7;proto=http", "203.0.113.7", "http"),
        ('For="[2001:db8::7]:4711" ; Proto=http', "2001:db8::7", "http"),
        ("for=6.6.6.6, for=203.0.113.7, for=10.0.0.9;proto=https", "203.0.113.7", "https"),
        ('for="203.0.113.7:80"', "203.0.113.7", "https"),
        (r'for="203\.0.113.7"', "203.0.113.7", "https"),
        ("for=_hidden", "10.0.0.1", "https"),
        ("for=unknown;proto=http", "10.0.0.1", "http"),
        ("proto=http", "10.0.0.1", "http"),
        ('for="6.6.6.6, for=203.0.113.7', "10.0.0.1", "https"),
        ('for="6.6.6.6, for="[2001:db8::7]"', "10.0.0.1", "https"),
        ("for", "10.0.0.1", "https"),
        ("", "10.0.0.1", "https"),
        (",,", "10.0.0.1", "https"),
    ],
)
def test_forwarded(value: str, address: str, scheme: str) -> None:
    told = believed(f"Forwarded: {value}")
    assert (told.address, told.scheme) == (address, scheme)


@pytest.mark.parametrize(
    ("lines", "scheme", "port"),
    [
        (["X-Forwarded-Proto: http"], "http", 80),
        (["X-Forwarded-Proto: HTTPS"], "https", 443),
        (["X-Forwarded-Proto: wss"], "https", 443),
        (["X-Forwarded-Proto: https, http"], "http", 80),
        (["X-Forwarded-Proto: gopher"], "https", 8443),
        (["X-Forwarded-Proto: https", "X-Forwarded-Port: 444"], "https", 444),
        (["X-Forwarded-Port: 444"], "https", 444),
        (["X-Forwarded-Port: 0"], "https", 443),
        (["X-Forwarded-Port: 99999999999999"], "https", 443),
        (["X-Forwarded-Proto: https", "X-Forwarded-Host: site.example:9443"], "https", 9443),
    ],
)
def test_scheme_and_port(lines: list[str], scheme: str, port: int) -> None:
    told = believed(*lines)
    assert (told.scheme, told.port) == (scheme, port)


@pytest.mark.parametrize(
    ("value", "kept"),
    [("a" * 128, True), ("0123-abc_DEF.~+/=:@", True), ("a" * 129, False), ("", False),
     ("a b", False), ("a,b", False), ("<b>", False), ('"', False), ("é", False)],
)  # fmt: skip
def test_request_id(value: str, *, kept: bool) -> None:
    assert believed(f"X-Request-ID: {value}").request_id == (value if kept else "ours")


def test_what_the_client_put_before_itself_is_not_passed_on() -> None:
    told = believed(
        "X-Forwarded-For: 6.6.6.6, 203.0.113.7, 10.0.0.9", "X-Forwarded-Host: a.example"
    )
    assert sent(told, forwarded=True) == {
        "X-Forwarded-For": "203.0.113.7, 10.0.0.9, 10.0.0.1",
        "X-Forwarded-Proto": "https",
        "X-Forwarded-Host": "a.example",
        "X-Forwarded-Port": "443",
        "X-Real-IP": "203.0.113.7",
        "Forwarded": 'for=203.0.113.7;host="a.example";proto=https, for=10.0.0.9, for=10.0.0.1',
    }


def test_address_that_is_not_in_the_list_comes_first() -> None:
    told = believed("X-Forwarded-For: 6.6.6.6, 203.0.113.7, unknown")
    told.address = "203.0.113.7"  # by PROXY protocol, say
    assert sent(told)["X-Forwarded-For"] == "203.0.113.7, 10.0.0.1"


def test_clients_that_name_no_host() -> None:
    fields = sent(FakeExchange(FakeClient("203.0.113.7"), authority=""), forwarded=True)
    assert fields["Forwarded"] == "for=203.0.113.7;proto=https"
    assert "X-Forwarded-Host" not in fields


def test_trusted_peer_that_says_nothing_is_the_client() -> None:
    assert sent(believed())["X-Forwarded-For"] == "10.0.0.1"


OTHERS = [
    "x-forwarded-user: jo",
    "client-cert: :abc=:",
    "x-original-url: /a",
    "x-forwarded-ssl: on",
]


def test_what_is_not_understood_is_passed_on_from_a_trusted_peer() -> None:
    block = forwarding_block(believed(*OTHERS, "CF-Connecting-IP: 203.0.113.7", "X-Request-ID: a"))
    assert [line for line in block.decode().split("\r\n") if line in OTHERS] == OTHERS
    assert b"connecting" not in block.lower()
    assert b"request-id" not in block.lower()
    assert (
        sent(believed("X-Forwarded-User: a", "x-forwarded-user: b"))["x-forwarded-user"] == "a, b"
    )


def test_what_is_not_understood_is_not_passed_on_from_others() -> None:
    talking, silent = believed(*OTHERS, peer="203.0.113.7"), believed(peer="203.0.113.7")
    assert forwarding_block(talking) == forwarding_block(silent)


@pytest.mark.parametrize("host", ["a b", "a\tb", "user@a", 'a"', "", "a/../b"])
def test_told_host_must_be_one(host: str) -> None:
    assert sent(believed(f"X-Forwarded-Host: {host}"))["X-Forwarded-Host"] == "site.example"


@pytest.mark.parametrize(
    ("authority", "scheme", "port"),
    [
        ("site.example", "https", "443"),
        ("site.example", "http", "80"),
        ("site.example:9443", "https", "9443"),
        ("", "https", "8443"),
        ("[", "http", "80"),
    ],
)
def test_port_is_the_one_asked_for(authority: str, scheme: str, port: str) -> None:
    exchange = FakeExchange(FakeClient("203.0.113.7", scheme), authority=authority)
    fields = sent(exchange)
    assert fields["X-Forwarded-Port"] == port
    assert fields.get("X-Forwarded-Host", "") == authority


def test_spellings_of_the_peer() -> None:
    assert sent(FakeExchange(FakeClient("::ffff:203.0.113.7")))["X-Real-IP"] == "203.0.113.7"
    fields = sent(FakeExchange(FakeClient("2001:db8::7")), forwarded=True)
    assert fields["X-Forwarded-For"] == "2001:db8::7"
    assert fields["Forwarded"] == 'for="[2001:db8::7]";host="site.example";proto=https'
    fields = sent(FakeExchange(FakeClient("unix:")))
    assert fields["X-Forwarded-For"] == "unknown"
    assert "X-Real-IP" not in fields


junk = st.text(
    st.characters(min_codepoint=32, max_codepoint=255, exclude_characters="\x7f"), max_size=40
)
names = st.sampled_from(
    ["X-Forwarded-For", "Forwarded", "CF-Connecting-IP", "X-Forwarded-Proto", "X-Forwarded-Port",
     "X-Forwarded-Host", "X-Real-IP", "X-Request-ID"]
)  # fmt: skip
values = (
    junk
    | st.ip_addresses().map(str)
    | st.from_regex(r"(for=[0-9.\"\[\]:;,=a-z]{0,20}[,;]?){0,3}", fullmatch=True)
)
lines = st.lists(
    st.tuples(names, values).map(lambda pair: f"{pair[0]}: {pair[1].strip()}"), max_size=6
)


@given(lines)
def test_untrusted_client_changes_nothing(told: list[str]) -> None:
    silent, talking = believed(peer="203.0.113.7"), believed(*told, peer="203.0.113.7")
    assert (talking.address, talking.scheme, talking.port) == ("203.0.113.7", "https", 8443)
    assert forwarding_block(talking, forwarded=True) == forwarding_block(silent, forwarded=True)


@given(lines, values)
def test_client_behind_a_trusted_proxy_cannot_choose_its_address(told: list[str], own: str) -> None:
    """The proxy appends the client's address to what the client sent, and passes the rest on."""
    exchange = believed(*told, f"X-Forwarded-For: {own}, 203.0.113.7")
    assert exchange.address == "203.0.113.7"
    fields = sent(exchange)
    assert fields["X-Forwarded-For"] == "203.0.113.7, 10.0.0.1"
    assert fields["X-Real-IP"] == "203.0.113.7"


@given(lines)
def test_whatever_is_told_the_block_is_well_formed(told: list[str]) -> None:
    exchange = believed(*told)
    block = forwarding_block(exchange, forwarded=True)
    assert block.count(b"\n") == block.count(b"\r\n") == 6
    assert exchange.scheme in {"http", "https"}
    assert 1 <= exchange.port <= 65535
