"""The PROXY protocol, by HAProxy's specification and by HAProxy itself."""

import ipaddress
import shutil
import socket
import struct
import subprocess
from pathlib import Path

import pytest
from hypothesis import given, strategies as st

from proxy.wire.proxy_protocol import (
    MAX_V2,
    ProxyHeader,
    ProxyProtocolError,
    parse_proxy_header,
)
from tests.conftest import SEARCH

SIGNATURE = bytes.fromhex("0d0a0d0a000d0a515549540a")


def v2(command: int, family: int, block: bytes) -> bytes:
    return SIGNATURE + struct.pack("!BBH", command, family, len(block)) + block


def inet(*tlvs: tuple[int, bytes]) -> bytes:
    block = bytes([192, 0, 2, 1, 198, 51, 100, 7]) + struct.pack("!HH", 56324, 443)
    return block + b"".join(struct.pack("!BH", kind, len(value)) + value for kind, value in tlvs)


INET6 = (
    ipaddress.IPv6Address("2001:db8::1").packed
    + ipaddress.IPv6Address("2001:db8::2").packed
    + struct.pack("!HH", 1, 65535)
)
MAPPED = (
    ipaddress.IPv6Address("::ffff:192.0.2.1").packed
    + ipaddress.IPv6Address("::ffff:192.0.2.2").packed
    + struct.pack("!HH", 1, 2)
)
LONGEST_V6 = ":".join(["ffff"] * 8)

WHOLE: list[tuple[bytes, tuple[str, int] | None, tuple[str, int] | None]] = [
    # Version 1: the specification's own lines and its longest ones (section 2.1).
    (
        b"PROXY TCP4 192.168.0.1 192.168.0.11 56324 443\r\n",
        ("192.168.0.1", 56324),
        ("192.168.0.11", 443),
    ),
    (
        b"PROXY TCP4 255.255.255.255 255.255.255.255 65535 65535\r\n",
        ("255.255.255.255", 65535),
        ("255.255.255.255", 65535),
    ),
    (
        f"PROXY TCP6 {LONGEST_V6} {LONGEST_V6} 65535 65535\r\n".encode(),
        (LONGEST_V6, 65535),
        (LONGEST_V6, 65535),
    ),
    (b"PROXY TCP6 2001:DB8:0::1 ::1 0 443\r\n", ("2001:db8::1", 0), ("::1", 443)),
    (b"PROXY TCP6 ::ffff:192.0.2.1 ::1 1 2\r\n", ("192.0.2.1", 1), ("::1", 2)),
    (b"PROXY UNKNOWN\r\n", None, None),
    (f"PROXY UNKNOWN {LONGEST_V6} {LONGEST_V6} 65535 65535\r\n".encode(), None, None),
    (b"PROXY UNKNOWN \x00\xff anything\r\n", None, None),
    # Version 2.
    (v2(0x21, 0x11, inet()), ("192.0.2.1", 56324), ("198.51.100.7", 443)),
    (v2(0x21, 0x21, INET6), ("2001:db8::1", 1), ("2001:db8::2", 65535)),
    (v2(0x21, 0x21, MAPPED), ("192.0.2.1", 1), ("192.0.2.2", 2)),
    (v2(0x21, 0x31, bytes(216)), None, None),
    (v2(0x21, 0x00, b""), None, None),
    (v2(0x20, 0x00, b""), None, None),
    (v2(0x20, 0x11, inet()), None, None),
    (v2(0x20, 0xFF, b"no addresses at all"), None, None),
    (
        v2(0x21, 0x11, inet((0x04, b""), (0x01, b"h2"), (0xEA, b"vpce-1"))),
        ("192.0.2.1", 56324),
        ("198.51.100.7", 443),
    ),
    (
        v2(0x21, 0x11, inet((0x04, bytes(MAX_V2 - 16 - 12 - 3)))),
        ("192.0.2.1", 56324),
        ("198.51.100.7", 443),
    ),
]


@pytest.mark.parametrize(("sent", "source", "destination"), WHOLE)
def test_a_header(
    sent: bytes, source: tuple[str, int] | None, destination: tuple[str, int] | None
) -> None:
    expected = ProxyHeader(len(sent), source, destination)
    assert parse_proxy_header(sent) == expected
    assert parse_proxy_header(sent + b"\x16\x03\x01PROXY \r\n") == expected
    # One byte at a time, it is None until the last.
    assert all(parse_proxy_header(sent[:size]) is None for size in range(len(sent)))


@pytest.mark.parametrize(
    "sent",
    [
        b"GET / HTTP/1.1\r\n",
        b"\x16\x03\x01",
        b"PROXX",
        b"proxy TCP4 192.0.2.1 192.0.2.2 1 2\r\n",
        b"PROXY TCP4  192.0.2.1 192.0.2.2 1 2\r\n",
        b"PROXY TCP4 192.0.2.1 192.0.2.2 1 2 \r\n",
        b"PROXY TCP4 192.0.2.1 192.0.2.2 1\r\n",
        b"PROXY TCP4 192.0.2.1 192.0.2.2 1 2 3\r\n",
        b"PROXY TCP4 192.0.2.1\t192.0.2.2 1 2\r\n",
        b"PROXY TCP4 192.0.2.01 192.0.2.2 1 2\r\n",
        b"PROXY TCP4 192.0.2.256 192.0.2.2 1 2\r\n",
        b"PROXY TCP4 2001:db8::1 192.0.2.2 1 2\r\n",
        b"PROXY TCP6 192.0.2.1 ::1 1 2\r\n",
        b"PROXY TCP6 fe80::1%eth0 ::1 1 2\r\n",
        b"PROXY TCP6 1::2::3 ::1 1 2\r\n",
        b"PROXY TCP4 192.0.2.1 192.0.2.2 01 2\r\n",
        b"PROXY TCP4 192.0.2.1 192.0.2.2 65536 2\r\n",
        b"PROXY TCP4 192.0.2.1 192.0.2.2 1 99999\r\n",
        b"PROXY TCP4 192.0.2.1 192.0.2.2 -1 2\r\n",
        b"PROXY TCP4 192.0.2.1 192.0.2.2 1 2\n\r\n",
        b"PROXY UDP4 192.0.2.1 192.0.2.2 1 2\r\n",
        b"PROXY UNKNOWNS\r\n",
        b"PROXY\r\n",
        b"PROXY " + b"x" * 101,
        b"PROXY UNKNOWN " + b"x" * 92 + b"\r\n",
        SIGNATURE[:-1] + b"\r",
        v2(0x11, 0x11, inet()),
        v2(0x31, 0x11, inet()),
        v2(0x22, 0x11, inet()),
        v2(0x21, 0x12, inet()),
        v2(0x21, 0x22, INET6),
        v2(0x21, 0x10, inet()),
        v2(0x21, 0x41, inet()),
        v2(0x21, 0x11, inet()[:-1]),
        v2(0x21, 0x21, INET6[:-1]),
        v2(0x21, 0x31, bytes(215)),
        v2(0x21, 0x11, inet() + b"\x04\x00"),
        v2(0x21, 0x11, inet() + b"\x04\x00\x02x"),
        v2(0x21, 0x11, inet((0x04, b"x")) + b"\x04\xff\xff"),
        SIGNATURE + b"\x21\x11\xff\xff",
        SIGNATURE + b"\x20\x00\x0f\xf1",
    ],
)
def test_what_is_no_header(sent: bytes) -> None:
    with pytest.raises(ProxyProtocolError) as caught:
        parse_proxy_header(sent)
    assert caught.value.status == 400


def test_no_more_than_the_bounds_are_waited_for() -> None:
    assert parse_proxy_header(b"PROXY " + b"x" * 100) is None
    assert parse_proxy_header(SIGNATURE + b"\x21\x11\x0f\xf0" + bytes(MAX_V2 - 17)) is None


mutants = st.builds(
    lambda whole, at, put, cut: whole[0][:at] + put + whole[0][at + cut :],
    st.sampled_from(WHOLE),
    st.integers(0, 60),
    st.binary(max_size=8),
    st.integers(0, 8),
)


@given(st.one_of(st.binary(max_size=64), st.binary().map(SIGNATURE.__add__), mutants))
def test_only_its_own_error_and_only_more_makes_it_whole(data: bytes) -> None:
    try:
        header = parse_proxy_header(data)
    except ProxyProtocolError:
        return
    if header is None:
        return
    assert 0 < header.consumed <= len(data)
    assert parse_proxy_header(data[: header.consumed]) == header
    for address in (header.source, header.destination):
        if address is not None:
            assert str(ipaddress.ip_address(address[0])) == address[0]
            assert 0 <= address[1] <= 65535


@given(st.ip_addresses(), st.ip_addresses(v=4), st.integers(0, 65535), st.integers(0, 65535))
def test_written_addresses_come_back(
    source: ipaddress.IPv4Address | ipaddress.IPv6Address,
    destination: ipaddress.IPv4Address,
    source_port: int,
    destination_port: int,
) -> None:
    other = destination if source.version == 4 else ipaddress.IPv6Address(2**64 + int(destination))
    line = f"PROXY TCP{source.version} {source} {other} {source_port} {destination_port}\r\n"
    header = parse_proxy_header(line.encode())
    mapped = source.ipv4_mapped if isinstance(source, ipaddress.IPv6Address) else None
    expected = ((str(mapped or source), source_port), (str(other), destination_port))
    assert header is not None
    assert (header.source, header.destination) == expected


@pytest.mark.needs("haproxy")
@pytest.mark.parametrize(
    "options", ["send-proxy", "send-proxy-v2", "send-proxy-v2 proxy-v2-options crc32c,unique-id"]
)
@pytest.mark.parametrize("host", ["127.0.0.1", "::1"])
def test_haproxy_itself(tmp_path: Path, options: str, host: str) -> None:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.create_server((host, 0), family=family) as backend:
        front = socket.create_server((host, 0), family=family)
        config = tmp_path / "haproxy.cfg"
        address = f"[{host}]" if ":" in host else host
        config.write_text(
            "defaults\n  mode tcp\n  timeout connect 5s\n  timeout client 5s\n  timeout server 5s\n"
            f"listen front\n  bind fd@{front.fileno()}\n  unique-id-format %ci:%cp\n"
            f"  server backend {address}:{backend.getsockname()[1]} {options}\n"
        )
        program = shutil.which("haproxy", path=SEARCH)
        assert program is not None
        process = subprocess.Popen(
            [program, "-f", config], pass_fds=[front.fileno()], stderr=subprocess.DEVNULL
        )
        try:
            backend.settimeout(10)
            where = front.getsockname()
            with socket.create_connection(where[:2], timeout=10) as client:
                front.close()
                client.sendall(b"hello")
                connection, _ = backend.accept()
                with connection:
                    header, rest = receive(connection)
                assert header.source == client.getsockname()[:2]
                assert header.destination == where[:2]
                assert rest == b"hello"
        finally:
            process.terminate()
            process.wait(10)


def receive(connection: socket.socket) -> tuple[ProxyHeader, bytes]:
    connection.settimeout(10)
    data = b""
    header = None
    while header is None or len(data) < header.consumed + 5:
        piece = connection.recv(4096)
        assert piece
        data += piece
        header = parse_proxy_header(data)
    return header, data[header.consumed :]
