"""The application behind the proxy in config/docker-compose.yml: plain ASGI, run by uvicorn.

It answers every request with what it knows of it, so that one sees the client's own address and
scheme through the proxy.
"""

import json
from collections.abc import Awaitable, Callable, Mapping

Event = Mapping[str, object]


async def app(
    scope: Mapping[str, object],
    _receive: Callable[[], Awaitable[Event]],
    send: Callable[[Event], Awaitable[None]],
) -> None:
    """One request; uvicorn calls this as ASGI says."""
    if scope["type"] != "http":
        return
    told = {name: scope[name] for name in ("method", "scheme", "path", "client")}
    body = json.dumps(told, indent=2).encode() + b"\n"
    headers = [
        (b"content-type", b"application/json"),
        (b"content-length", str(len(body)).encode()),
    ]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": body})
