"""Django Channels on Daphne: what the proxy is there for."""

import json
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import ClientConnection

from tests.journeys.apps.running import channels, proxying
from tests.journeys.running import PATIENCE, RunningProxy
from tests.journeys.websocket.opening import opened

CONFIG = """
user: null
sites:
  - hosts: [localhost]
    routes:
      - {path: /, proxy: "http://127.0.0.1:${APP}"}
      - {path: /chat/, proxy: "http://127.0.0.1:${APP}", websocket: {ping_interval: 300ms}}
"""


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningProxy]:
    folder: Path = tmp_path_factory.mktemp("channels")
    with channels(folder) as app, proxying(CONFIG, folder, APP=app.port) as proxy:
        yield proxy


def joined(site: RunningProxy, path: str, origin: str | None = None) -> ClientConnection:
    return opened(site, path, origin=origin or f"https://localhost:{site.https_port}")


def say(socket: ClientConnection, text: str) -> None:
    socket.send(json.dumps({"text": text}))


def hear(socket: ClientConnection) -> str:
    text: str = json.loads(socket.recv(PATIENCE))["text"]
    return text


def test_a_room_hears_what_one_says(site: RunningProxy) -> None:
    with ExitStack() as stack:
        inside = [stack.enter_context(joined(site, "/chat/blue")) for _ in range(4)]
        other = stack.enter_context(joined(site, "/chat/red"))
        for number, socket in enumerate(inside):
            say(socket, f"hello {number}")
            assert [hear(each) for each in inside] == [f"hello {number}"] * 4
        inside[0].close(4321, "off")
        assert [hear(each) for each in inside[1:]] == ["left: 4321"] * 3
        say(other, "alone")
        assert hear(other) == "alone"


def test_a_long_silence_between_pings(site: RunningProxy) -> None:
    with joined(site, "/chat/quiet") as socket:
        say(socket, "one")
        assert hear(socket) == "one"
        with pytest.raises(TimeoutError):
            socket.recv(1.2)
        say(socket, "two")
        assert hear(socket) == "two"


def test_a_synchronous_consumer_closes(site: RunningProxy) -> None:
    with joined(site, "/shout") as socket:
        say(socket, "bye")
        assert hear(socket) == "BYE"
        with pytest.raises(ConnectionClosed) as closed:
            socket.recv(PATIENCE)
        assert closed.value.rcvd is not None
        assert closed.value.rcvd.code == 4000


def test_a_page_of_elsewhere_gets_no_socket(site: RunningProxy) -> None:
    """The application decides by Origin, so that has to come through."""
    with pytest.raises(InvalidStatus) as refused:
        joined(site, "/chat/blue", origin="https://elsewhere.example")
    assert refused.value.response.status_code == 403
