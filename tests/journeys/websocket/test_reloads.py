"""Many WebSockets held through reloads."""

import asyncio
import ssl
from pathlib import Path

from websockets.asyncio.client import ClientConnection, connect

from tests.journeys.apps.running import proxying, uvicorn
from tests.journeys.clients.raw import tls_context
from tests.journeys.running import PATIENCE, RunningProxy
from tests.journeys.websocket.opening import CONFIG

HELD = 200
AT_ONCE = 25


async def opened(
    proxy: RunningProxy, context: ssl.SSLContext, gate: asyncio.Semaphore
) -> ClientConnection:
    async with gate:
        return await connect(
            f"wss://localhost:{proxy.https_port}/pinged/ws/echo",
            ssl=context,
            compression=None,
            open_timeout=PATIENCE,
            ping_interval=None,
            proxy=None,
        )


async def answers(socket: ClientConnection, text: str) -> bool:
    await socket.send(text)
    async with asyncio.timeout(PATIENCE):
        return await socket.recv() == text


async def test_none_is_lost_in_three_reloads(tmp_path: Path) -> None:
    config = f"workers: 2\nlimits: {{connections_per_ip: 0, websockets_per_ip: 0}}\n{CONFIG}"
    gate = asyncio.Semaphore(AT_ONCE)
    with (
        uvicorn(tmp_path) as server,
        proxying(config, tmp_path, UVICORN=server.port, DAPHNE=1, SCRIPTED=1) as proxy,
    ):
        context = tls_context(proxy.ca_file)
        sockets = await asyncio.gather(*(opened(proxy, context, gate) for _ in range(HELD)))
        for turn in range(3):
            changed = config + f"headers: {{X-Turn: '{turn}'}}\n"
            reloaded = await asyncio.to_thread(proxy.reload, changed)
            assert reloaded.returncode == 0, reloaded.stderr
            told = await asyncio.gather(*(answers(each, f"turn {turn}") for each in sockets))
            assert sum(told) == HELD
        await asyncio.gather(*(each.close() for each in sockets))
