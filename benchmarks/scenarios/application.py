"""The smallest ASGI application, served by uvicorn where a real application server is wanted."""

from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

from benchmarks.bodies import SMALL

Message = MutableMapping[str, Any]


async def application(
    scope: Message,
    receive: Callable[[], Awaitable[Message]],
    send: Callable[[Message], Awaitable[None]],
) -> None:
    """Answer every HTTP request with the same hundred bytes."""
    if scope["type"] != "http":
        raise NotImplementedError(scope["type"])
    await receive()
    headers = [(b"content-type", b"text/plain"), (b"content-length", str(SMALL).encode("ascii"))]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": b"x" * SMALL})
