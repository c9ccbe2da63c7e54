"""Control frames of WebSockets that are the proxy's own (RFC 6455, 5.5)."""

from wsproto.frame_protocol import CloseReason, FrameProtocol

__all__ = ["CloseReason", "close_frame", "ping_frame"]


def close_frame(code: CloseReason, reason: str, *, masked: bool) -> bytes:
    """Return a close frame; `masked` for one that goes to a server (RFC 6455, 5.3)."""
    return bytes(FrameProtocol(client=masked, extensions=[]).close(code, reason))


def ping_frame(payload: bytes, *, masked: bool) -> bytes:
    """Return a ping; `masked` for one that goes to a server, by a key of its own each time."""
    return bytes(FrameProtocol(client=masked, extensions=[]).ping(payload))
