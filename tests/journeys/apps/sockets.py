"""What the applications say over WebSockets, in plain ASGI, so that every server can run it."""

import json
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]

FLOOD = 400
"""Messages of 64 KB that `flood` sends: far more than all buffers on the way hold."""

ended: list[tuple[str, int]] = []
"""Path and close code of each conversation that the client ended."""
progress = {"flood": 0}


async def converse(what: str, scope: Scope, receive: Receive, send: Send) -> None:
    """Hold the conversation that the last part of a path names."""
    assert (await receive())["type"] == "websocket.connect"
    if what == "refused":
        await send({"type": "websocket.close", "code": 4003})
        return
    offered = scope["subprotocols"]
    await send({"type": "websocket.accept", "subprotocol": offered[-1] if offered else None})
    if what == "told":
        headers = [
            (name.decode("latin-1"), value.decode("latin-1")) for name, value in scope["headers"]
        ]
        told = {"path": scope["path"], "headers": headers}
        await send({"type": "websocket.send", "text": json.dumps(told)})
    elif what == "farewell":
        await send({"type": "websocket.close", "code": 4002, "reason": "enough"})
        return
    elif what == "flood":
        await _flood(send)
    await _echo(scope["path"], receive, send)


async def _flood(send: Send) -> None:
    progress["flood"] = 0
    for number in range(FLOOD):
        body = number.to_bytes(8, "big") * (64 * 1024 // 8)
        await send({"type": "websocket.send", "bytes": body})
        progress["flood"] = number + 1


async def _echo(path: str, receive: Receive, send: Send) -> None:
    while True:
        message = await receive()
        if message["type"] == "websocket.disconnect":
            ended.append((path, message["code"]))
            return
        text = message.get("text")
        if text is not None:
            await send({"type": "websocket.send", "text": text})
        else:
            await send({"type": "websocket.send", "bytes": message["bytes"]})
