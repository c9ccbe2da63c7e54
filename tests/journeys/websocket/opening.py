"""Opening WebSockets, by a library and by hand."""

from collections.abc import Sequence
from dataclasses import dataclass

import httpx
from websockets.sync.client import ClientConnection, connect
from websockets.typing import Origin, Subprotocol

from tests.journeys.clients.raw import tls_context
from tests.journeys.running import PATIENCE, RunningProxy

# Every timeout of a request is shorter than the silences here.
CONFIG = """
user: null
timeouts: {request_header: 1s, body_idle: 1s, keep_alive: 1s, write_idle: 30s}
upstreams:
  uvicorn:
    servers: ["http://127.0.0.1:${UVICORN}"]
    timeouts: {response: 10s, idle: 1s}
    keep_alive: {idle: 1s}
  daphne: {servers: ["http://127.0.0.1:${DAPHNE}"], timeouts: {response: 10s, idle: 1s}}
  scripted: {servers: ["http://127.0.0.1:${SCRIPTED}"], timeouts: {response: 10s, idle: 1s}}
sites:
  - hosts: [localhost]
    routes:
      - {path: /uvicorn/, proxy: uvicorn, strip_prefix: true}
      - {path: /daphne/, proxy: daphne, strip_prefix: true}
      - {path: /scripted/, proxy: scripted}
      - {path: /pinged/, proxy: uvicorn, strip_prefix: true, websocket: {ping_interval: 200ms}}
      - {path: /small/, proxy: uvicorn, strip_prefix: true, websocket: {max_message: 100KB}}
      - {path: /brief/, proxy: uvicorn, strip_prefix: true, websocket: {idle_timeout: 1s}}
  - {hosts: [open.test], redirect_http: off, routes: [{path: /, proxy: scripted}]}
"""
KEY = "dGhlIHNhbXBsZSBub25jZQ=="
ACCEPT = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="  # RFC 6455, 1.3


def opened(
    proxy: RunningProxy,
    path: str,
    *,
    origin: str | None = None,
    subprotocols: Sequence[str] = (),
    headers: dict[str, str] | None = None,
    compression: str | None = "deflate",
) -> ClientConnection:
    """Open a WebSocket over TLS, the certificate verified; it keeps silent about pings."""
    return connect(
        f"wss://localhost:{proxy.https_port}{path}",
        ssl=tls_context(proxy.ca_file),
        origin=None if origin is None else Origin(origin),
        subprotocols=[Subprotocol(each) for each in subprotocols] or None,
        additional_headers=headers,
        compression=compression,
        open_timeout=PATIENCE,
        close_timeout=PATIENCE,
        ping_interval=None,
        max_size=None,
        proxy=None,
    )


@dataclass(frozen=True)
class Told:
    """What the application under uvicorn says of its conversations."""

    ended: list[tuple[str, int]]
    flood: int


def sockets(proxy: RunningProxy) -> Told:
    found = httpx.get(
        f"https://localhost:{proxy.https_port}/uvicorn/sockets",
        verify=tls_context(proxy.ca_file),
        timeout=PATIENCE,
        trust_env=False,
    ).json()
    return Told([(path, code) for path, code in found["ended"]], found["flood"])


def handshake(path: str = "/scripted/", *more: str) -> bytes:
    lines = [
        f"GET {path} HTTP/1.1", "Host: localhost", "Upgrade: websocket", "Connection: Upgrade",
        f"Sec-WebSocket-Key: {KEY}", "Sec-WebSocket-Version: 13", *more,
    ]  # fmt: skip
    return "\r\n".join(lines).encode() + b"\r\n\r\n"


SWITCHED = (
    "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    f"Sec-WebSocket-Accept: {ACCEPT}\r\nSec-WebSocket-Extensions: x-odd; a=1\r\n\r\n"
).encode()
