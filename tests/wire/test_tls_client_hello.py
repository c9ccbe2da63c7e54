"""Reading the ClientHello: of a real client, chopped, and broken."""

import ssl

import pytest
from hypothesis import given, strategies as st

from proxy.wire.tls_client_hello import (
    MAX_HELLO,
    MAX_RECORDS,
    ClientHello,
    ClientHelloError,
    parse_client_hello,
)


def real_hello(
    name: str | None, *alpn: str, version: ssl.TLSVersion = ssl.TLSVersion.TLSv1_3
) -> bytes:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.maximum_version = version
    if alpn:
        context.set_alpn_protocols(alpn)
    outgoing = ssl.MemoryBIO()
    client = context.wrap_bio(ssl.MemoryBIO(), outgoing, server_hostname=name)
    with pytest.raises(ssl.SSLWantReadError):
        client.do_handshake()
    return outgoing.read()


def vector(size: int, *content: bytes) -> bytes:
    joined = b"".join(content)
    return len(joined).to_bytes(size, "big") + joined


def extension(kind: int, *content: bytes) -> bytes:
    return kind.to_bytes(2, "big") + vector(2, *content)


def host(name: bytes) -> bytes:
    return extension(0, vector(2, b"\x00", vector(2, name)))


def body(*extensions: bytes) -> bytes:
    fixed = b"\x03\x03" + bytes(32) + vector(1) + vector(2, b"\x13\x01") + vector(1, b"\x00")
    return fixed + (vector(2, *extensions) if extensions else b"")


def message(content: bytes) -> bytes:
    return b"\x01" + vector(3, content)


def records(content: bytes, size: int = 16384) -> bytes:
    pieces = [content[at : at + size] for at in range(0, len(content), size)]
    return b"".join(b"\x16\x03\x01" + vector(2, piece) for piece in pieces)


def hello(*extensions: bytes) -> bytes:
    return records(message(body(*extensions)))


REAL = real_hello("www.example.com", "h2", "http/1.1")
MODERN = (0x0304, 0x0303)


@pytest.mark.parametrize(
    ("sent", "expected"),
    [
        (REAL, ClientHello("www.example.com", (b"h2", b"http/1.1"), MODERN)),
        (real_hello(None), ClientHello(None, (), MODERN)),
        (real_hello("127.0.0.1"), ClientHello(None, (), MODERN)),
        (
            real_hello("a.test", version=ssl.TLSVersion.TLSv1_2),
            ClientHello("a.test", (), (0x0303,)),
        ),
        (hello(), ClientHello(None, (), (0x0303,))),
        (hello(host(b"A.Test")), ClientHello("A.Test", (), (0x0303,))),
        # Reserved values before and between what is meant (RFC 8701).
        (
            hello(
                extension(0x2A2A),
                extension(43, vector(1, b"\x4a\x4a\x03\x04\x0a\x0a\x03\x03")),
                extension(16, vector(2, vector(1, b"\x1a\x1a"), vector(1, b"acme-tls/1"))),
            ),
            ClientHello(None, (b"\x1a\x1a", b"acme-tls/1"), MODERN),
        ),
        # A post-quantum key share, longer than a packet.
        (
            hello(extension(51, vector(2, b"\x11\xec", vector(2, bytes(1216)))), host(b"pq.test")),
            ClientHello("pq.test", (), (0x0303,)),
        ),
        (
            hello(extension(21, bytes(20_000)), host(b"a.test")),
            ClientHello("a.test", (), (0x0303,)),
        ),
    ],
)
def test_a_hello(sent: bytes, expected: ClientHello) -> None:
    assert parse_client_hello(sent) == expected
    assert parse_client_hello(sent + b"\x14\x03\x03\x00\x01\x01") == expected
    step = max(1, len(sent) // 2000)
    assert all(parse_client_hello(sent[:size]) is None for size in range(0, len(sent), step))
    assert parse_client_hello(sent[:-1]) is None


@pytest.mark.parametrize("size", [1, 2, 3, 4, 5, 50])
def test_a_hello_in_many_records(size: int) -> None:
    sent = records(message(body(host(b"a.b"))), size)
    assert parse_client_hello(sent) == ClientHello("a.b", (), (0x0303,))
    assert all(parse_client_hello(sent[:cut]) is None for cut in range(len(sent)))


def test_a_hello_in_too_many_records() -> None:
    with pytest.raises(ClientHelloError, match="more than 64 records"):
        parse_client_hello(records(message(body(host(b"a" * 64))), 1))


@pytest.mark.parametrize(
    ("sent", "reason"),
    [
        (b"G", "not a TLS handshake"),
        (b"\x80\x2e\x01\x03\x01", "not a TLS handshake"),
        (b"\x15\x03\x01\x00\x02\x02\x28", "not a TLS handshake"),
        (b"\x16\x02", "not a version of TLS"),
        (b"\x16\x03\x01\x00\x00", "TLS record of 0 bytes"),
        (b"\x16\x03\x01\x40\x01", "TLS record of 16385 bytes"),
        (b"\x16\x03\x01\x00\x04\x02", "no ClientHello"),
        (b"\x16\x03\x01\x00\x04\x01\xff\xff\xff", "ClientHello of 16777215 bytes"),
        (b"\x16\x03\x01\x00\x04\x01" + (MAX_HELLO + 1).to_bytes(3, "big"), "32769 bytes"),
        (records(message(b"")), "cut short"),
        (records(message(body()[:-1])), "cut short"),
        (records(message(body() + b"\x00\x05\x00\x00")), "cut short"),
        (records(message(body(host(b"a")) + b"\x00")), "bytes after the extensions"),
        (hello(host(b"a"), host(b"b")), "extension 0 stands twice"),
        (hello(extension(0, b"\x00")), "cut short"),
        (hello(extension(0, vector(2, b"\x00\x00\x09a"))), "cut short"),
        (hello(host(b"")), "no name"),
        (hello(host(b"a\x00.test")), "no name"),
        (hello(host(b"a b")), "no name"),
        (hello(host(b"a\nb")), "no name"),
        (hello(host("\u00e4.test".encode())), "no name"),
        (hello(host(b"a" * 256)), "no name"),
        (hello(extension(16, b"\x00\x03\x05h2")), "cut short"),
        (hello(extension(43, b"\x03\x03\x04\x03")), "cut short"),
    ],
)
def test_what_is_no_hello(sent: bytes, reason: str) -> None:
    with pytest.raises(ClientHelloError, match=reason):
        parse_client_hello(sent)


def test_the_longest_hello() -> None:
    padding = MAX_HELLO - len(body(extension(21), host(b"a.test")))
    sent = hello(extension(21, bytes(padding)), host(b"a.test"))
    found = parse_client_hello(sent)
    assert found is not None
    assert found.server_name == "a.test"


@given(st.lists(st.tuples(st.integers(0, len(REAL)), st.binary(max_size=6), st.integers(0, 6))))
def test_a_damaged_hello_raises_only_its_own_error(edits: list[tuple[int, bytes, int]]) -> None:
    data = REAL
    for at, put, cut in edits:
        data = data[:at] + put + data[at + cut :]
    reads_only_its_own_error(data)


@given(st.binary())
def test_random_bytes_raise_only_its_own_error(data: bytes) -> None:
    reads_only_its_own_error(data)
    reads_only_its_own_error(records(message(data)))
    reads_only_its_own_error(records(message(body(data))))


def reads_only_its_own_error(data: bytes) -> None:
    try:
        found = parse_client_hello(data)
    except ClientHelloError:
        return
    if found is not None and found.server_name is not None:
        assert found.server_name.isascii()
        assert found.server_name.isprintable()


@given(st.integers(len(REAL) // MAX_RECORDS + 1, len(REAL)))
def test_how_it_is_cut_into_records_does_not_matter(size: int) -> None:
    assert parse_client_hello(records(REAL[5:], size)) == parse_client_hello(REAL)
