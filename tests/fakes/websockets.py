"""Where WebSockets are counted, for one worker alone."""

from proxy.net.websockets import WebSockets
from proxy.state.connections import ROW_SIZE, ConnectionTable
from proxy.state.counters import Counters


def no_websockets(counters: Counters | None = None) -> WebSockets:
    """None are open, and nobody else counts."""
    row = memoryview(bytearray(ROW_SIZE))
    return WebSockets(counters or Counters(), ConnectionTable([row], 0, b"key"))
