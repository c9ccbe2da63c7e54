"""A Starlette application that answers as its query says, and serves a folder by itself.

`/anything?status=404&header=Cache-Control:%20no-store&header=…` is answered so; `/static/` serves
the folder in the variable STATIC, with ETag, Last-Modified, conditions and ranges.
"""

import os

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles


async def say(request: Request) -> Response:
    query = request.query_params
    answer = Response(b"said by the application\n", int(query.get("status", "200")))
    for line in query.getlist("header"):
        name, _, value = line.partition(":")
        answer.headers.append(name, value.strip())
    return answer


METHODS = ["GET", "HEAD", "POST", "OPTIONS"]
application = Starlette(
    routes=[
        Mount("/static", StaticFiles(directory=os.environ["STATIC"])),
        Route("/{rest:path}", say, methods=METHODS),
    ]
)
