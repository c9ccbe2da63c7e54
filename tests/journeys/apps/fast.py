"""A FastAPI application: it says what it saw, streams, and does as the tests tell it."""

import asyncio
import hashlib
from collections import Counter
from collections.abc import AsyncIterator

from fastapi import FastAPI, Request, Response, WebSocket
from fastapi.responses import JSONResponse, RedirectResponse, StreamingResponse

from tests.journeys.apps.patterned import pieces
from tests.journeys.apps.sockets import converse, ended, progress

METHODS = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"]
application = FastAPI()
counts: Counter[str] = Counter()
released = asyncio.Semaphore(0)


@application.api_route("/echo{rest:path}", methods=METHODS)
async def echo(request: Request) -> JSONResponse:
    raw = request.scope["raw_path"].decode()
    query = request.scope["query_string"].decode()
    told = {
        "method": request.method,
        "target": f"{raw}?{query}" if query else raw,
        "headers": [(name.lower(), value) for name, value in request.headers.items()],
        "body": (await request.body()).decode(),
        "secure": request.url.scheme == "https",
        "absolute": str(request.url.replace(query="")),
        "client": request.client.host if request.client else "",
    }
    return JSONResponse(told, headers={"X-Application": "fast"})


@application.get("/redirect")
async def redirect() -> RedirectResponse:
    return RedirectResponse("/profile/?next=%2F", 302)


@application.get("/cookies")
async def cookies() -> Response:
    answer = Response("baked")
    answer.set_cookie("sessionid", "abc", secure=True, httponly=True, samesite="lax", path="/")
    answer.set_cookie("theme", "dark", samesite="none", secure=True, domain="uvicorn.test")
    return answer


@application.api_route("/cors", methods=["GET", "OPTIONS"])
async def cors() -> Response:
    allow = {
        "Access-Control-Allow-Origin": "https://elsewhere.example",
        "Access-Control-Allow-Credentials": "true",
        "Vary": "Origin",
    }
    return Response(headers=allow)


@application.get("/status/{code}")
async def status(code: int) -> Response:
    return Response(status_code=code, headers={"ETag": '"abc"'})


@application.get("/download")
async def download(request: Request, size: int) -> StreamingResponse:
    async def body() -> AsyncIterator[bytes]:
        counts["sent"] = 0
        for piece in pieces(size):
            yield piece
            counts["sent"] += len(piece)
            if counts["sent"] % (1024 * 1024) == 0 and await request.is_disconnected():
                counts["downloads given up"] += 1
                return

    return StreamingResponse(body(), headers={"Content-Length": str(size)})


@application.get("/chunked")
async def chunked(size: int) -> StreamingResponse:
    return StreamingResponse(pieces(size))


@application.api_route("/upload", methods=["POST", "PUT"])
async def upload(request: Request) -> dict[str, str | int]:
    counts["uploads"] += 1
    counts["received"] = 0
    found = hashlib.sha256()
    async for piece in request.stream():
        counts["received"] += len(piece)
        found.update(piece)
    length = request.headers.get("content-length", "")
    return {"size": counts["received"], "sha256": found.hexdigest(), "length": length}


@application.get("/events")
async def events(count: int) -> StreamingResponse:
    """Each event goes out when /release is called, so that one held back is never followed."""

    async def body() -> AsyncIterator[str]:
        for number in range(count):
            await released.acquire()
            yield f"data: {number}\n\n"

    return StreamingResponse(body(), media_type="text/event-stream")


@application.post("/release")
async def release() -> dict[str, bool]:
    released.release()
    return {"released": True}


@application.get("/hang")
async def hang(request: Request) -> Response:
    counts["hanging"] += 1
    while (await request.receive())["type"] != "http.disconnect":
        pass
    counts["left"] += 1
    return Response()


@application.get("/counts")
async def count() -> dict[str, int]:
    return dict(counts)


@application.websocket("/ws/{what}")
async def websocket(socket: WebSocket, what: str) -> None:
    await converse(what, socket.scope, socket.receive, socket.send)


@application.get("/sockets")
async def sockets() -> dict[str, object]:
    return {"ended": list(ended), "flood": progress["flood"]}
