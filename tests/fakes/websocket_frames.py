"""Frames of WebSockets, written by the letter of RFC 6455, 5.2, for both directions."""

KEY = b"\x01\x80\xff\x0a"


def frame(kind: int, payload: bytes = b"", *, fin: bool = True, key: bytes = b"") -> bytes:
    """A frame; masked with `key` where there is one."""
    mask = 0x80 if key else 0
    size = len(payload)
    if size <= 125:
        length = bytes([mask | size])
    elif size < 1 << 16:
        length = bytes([mask | 126]) + size.to_bytes(2)
    else:
        length = bytes([mask | 127]) + size.to_bytes(8)
    if key:
        payload = bytes(byte ^ key[number % 4] for number, byte in enumerate(payload))
    return bytes([(0x80 if fin else 0) | kind]) + length + key + payload


def of_client(kind: int, payload: bytes = b"", *, fin: bool = True) -> bytes:
    """A frame as clients send it."""
    return frame(kind, payload, fin=fin, key=KEY)


def closing(code: int, reason: str = "") -> bytes:
    """A close frame as servers send it."""
    return frame(8, code.to_bytes(2) + reason.encode())


def read_masked(data: bytes) -> tuple[int, bytes]:
    """Opcode and payload of one short masked frame, which is all of `data`."""
    assert data[1] & 0x80
    assert len(data) == 6 + (data[1] & 0x7F)
    key = data[2:6] * 32
    return data[0] & 0x0F, bytes(one ^ other for one, other in zip(data[6:], key, strict=False))
