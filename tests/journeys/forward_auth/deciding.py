"""An authentication server, an application, and a configuration that asks the one for the other."""

import asyncio
import itertools
import urllib.parse

from tests.journeys.running import RunningProxy
from tests.journeys.upstreams.server import Handler, Request, Upstream, answer

MB = 1 << 20
GOOD = {"Cookie": "theme=dark; session=good"}
CONFIG = """
user: null
log: {access: {to: ./access.log, format: json}}
trusted_proxies: [127.0.0.7]
sites:
  - hosts: [localhost]
    redirect_http: off
    forward_auth:
      url: AUTH/api/verify?x=1
      copy_headers: [Remote-User, Remote-Groups, X-Forwarded-User]
      timeout: 2s
    routes:
      - {path: /, proxy: "APP"}
      - {path: /login, forward_auth: off, proxy: "AUTH"}
      - {path: /open/, forward_auth: off, proxy: "APP"}
      - path: /refreshed/
        forward_auth: {url: AUTH/api/verify, copy_headers: [remote-user, set-cookie]}
        proxy: "APP"
      - {path: /stripped/, strip_prefix: true, proxy: "APP"}
"""


async def verdict(request: Request, client: asyncio.StreamWriter) -> None:
    """Let whoever has a session in; send the others to log in, and let anybody log in."""
    path, _, query = request.target.partition("?")
    if path == "/login":
        (back,) = urllib.parse.parse_qs(query)["rd"]
        cookie = "Set-Cookie: session=good; Path=/; Secure; HttpOnly"
        client.write(answer("", "303 See Other", f"Location: {back}", cookie))
    elif "session=good" in request.get("cookie"):
        who = ("Remote-User: alice", "Remote-Groups: staff", "Set-Cookie: session=good; new=1")
        client.write(answer("welcome", "200 OK", *who))
    else:
        back = urllib.parse.quote(request.get("x-original-url"), safe="")
        fields = ("Set-Cookie: seen=1", "Connection: X-Hop", "X-Hop: 1")
        where = f"Location: /login?rd={back}"
        client.write(answer("log in first", "302 Found", where, *fields))


def saying(*answers: bytes) -> Handler:
    """Answer with these in turn, the last for ever."""
    numbers = itertools.count()

    async def handle(_request: Request, client: asyncio.StreamWriter) -> None:
        client.write(answers[min(next(numbers), len(answers) - 1)])

    return handle


YES = answer("", "200 OK", "Remote-User: alice")


def config(app: Upstream, auth: Upstream) -> str:
    return CONFIG.replace("APP", app.url).replace("AUTH", auth.url)


def with_app(proxy: RunningProxy, url: str) -> None:
    """Have another application behind it."""
    text = proxy.config.read_text()
    old = text.partition('path: /, proxy: "')[2].partition('"')[0]
    done = proxy.reload(text.replace(old, url))
    assert done.returncode == 0, done.stderr
