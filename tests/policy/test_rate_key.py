import pytest

from proxy.exchange.exchange import Exchange
from proxy.policy.rate_key import by_client, by_cookie, by_header, by_host, together
from tests.fakes.exchanges import looked_at

client = by_client(lambda address: address == "10.0.0.1")


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("2001:db8:1:2::1", "2001:db8:1:2:ffff::9"),
        ("::ffff:192.0.2.1", "192.0.2.1"),
        ("192.0.2.1", "192.0.2.1"),
    ],
)
def test_one_client_has_one_key(one: str, other: str) -> None:
    assert client(looked_at(one)) == client(looked_at(other))


def test_another_client_has_another() -> None:
    addresses = ["192.0.2.1", "192.0.2.2", "2001:db8:1:2::1", "2001:db8:1:3::1", "unix:", ""]
    assert len({client(looked_at(address)) for address in addresses}) == len(addresses)


def test_the_address_that_a_trusted_proxy_tells_counts() -> None:
    exchange = looked_at("10.0.0.9")
    exchange.address = "192.0.2.1"
    assert client(exchange) == client(looked_at("192.0.2.1"))


def test_exempt_clients_have_no_key_whatever_a_limit_goes_by() -> None:
    kinds = (
        client, by_header("x-key", client), by_cookie("id", client), by_host(client),
        together(client),
    )  # fmt: skip
    block = b"X-Key: one\r\nCookie: id=one\r\n"
    for kind in kinds:
        assert kind(looked_at("10.0.0.1", block)) is None
        assert kind(looked_at("10.0.0.1", block)) is None, "the second time from memory"
        assert kind(looked_at("10.0.0.2", block)) is not None


def test_addresses_remembered_are_bounded() -> None:
    asked: list[str] = []

    def exempt(address: str) -> bool:
        asked.append(address)
        return False

    bounded = by_client(exempt)
    for number in range(10_000):
        assert bounded(looked_at(f"10.{number >> 8}.{number & 255}.1"))
    assert bounded(looked_at("10.39.15.1"))
    assert len(asked) == 10_000
    assert bounded(looked_at("10.0.0.1"))
    assert len(asked) == 10_001, "forgotten with the rest"


@pytest.mark.parametrize("kind", ["header", "cookie"])
def test_values_are_told_apart_whoever_sends_them(kind: str) -> None:
    if kind == "header":
        key = by_header("X-Key", client)
        one, other = b"x-key: one\r\n", b"X-KEY: other\r\n"
    else:
        key = by_cookie("id", client)
        one, other = b"Cookie: a=b; id=one\r\n", b"Cookie: id=other\r\n"
    assert key(looked_at("192.0.2.1", one)) == key(looked_at("192.0.2.2", one))
    assert key(looked_at("192.0.2.1", one)) != key(looked_at("192.0.2.1", other))


@pytest.mark.parametrize(
    "block", [b"", b"X-Key:\r\nCookie: id=\r\n", b"X-Keys: a\r\nCookie: x=y\r\n"]
)
def test_who_sends_no_value_is_counted_by_client(block: bytes) -> None:
    for key in (by_header("X-Key", client), by_cookie("id", client)):
        found = {key(looked_at(address, block)) for address in ("192.0.2.1", "192.0.2.2")}
        assert len(found) == 2
        assert None not in found


def test_no_value_is_taken_for_an_address() -> None:
    key = by_header("X-Key", client)
    plain = key(looked_at("65.66.67.68"))
    assert plain is not None
    for value in (b"ABCD", b"@ABCD", b"65.66.67.68"):
        assert key(looked_at("192.0.2.1", b"X-Key: " + value + b"\r\n")) != plain


def test_repeated_fields_are_one_value() -> None:
    key = by_header("X-Key", client)
    twice = looked_at(block=b"X-Key: a\r\nX-Key: b\r\n")
    assert key(twice) == key(looked_at(block=b"X-Key: a, b\r\n"))
    assert key(twice) != key(looked_at(block=b"X-Key: a\r\n"))


def test_bytes_outside_ascii_make_keys_too() -> None:
    key = by_header("X-Key", client)
    found = {key(looked_at(block=b"X-Key: " + value + b"\r\n")) for value in (b"\xff", b"\xfe")}
    assert len(found) == 2


def test_hosts() -> None:
    def asking(host: str) -> Exchange:
        exchange = looked_at()
        exchange.head.host = host
        return exchange

    key = by_host(client)
    assert key(asking("a.example")) == key(asking("a.example"))
    assert len({key(asking(host)) for host in ("a.example", "b.example", "")}) == 3


def test_together_there_is_one_key() -> None:
    key = together(client)
    assert key(looked_at("192.0.2.1")) == key(looked_at("2001:db8::1")) == b""
