import pytest

from benchmarks.rig import Rig, Settings
from benchmarks.running import Running, pause
from benchmarks.servers.caddy import Caddy
from benchmarks.servers.haproxy import HAProxy
from benchmarks.servers.nginx import Nginx
from benchmarks.servers.pyproxy import PyProxy
from benchmarks.servers.server import Server
from benchmarks.stage import Options
from benchmarks.websocket_clients import WebSocketClients

COUNT = 5
SERVERS = [Nginx(), HAProxy(), Caddy(), PyProxy()]


def clients_of(rig: Rig, running: Running) -> WebSocketClients:
    return WebSocketClients(running.port, COUNT, rig.stage.certificate, rig.stage.cores.others)


@pytest.mark.needs("nginx", "haproxy", "caddy", "taskset")
@pytest.mark.parametrize("server", SERVERS, ids=lambda server: server.name)
def test_messages_come_back_through_every_server(server: Server) -> None:
    with Rig(Settings()) as rig:
        running = rig.shared(server, Options(websockets=True))
        with clients_of(rig, running) as clients:
            assert (clients.opened(), clients.ask()) == (COUNT, COUNT)
            done = clients.load(0.5, 3)
            assert done.errors == 0
            assert done.requests
            assert done.seconds == pytest.approx(0.5, abs=0.4)
            assert clients.ask() == COUNT


@pytest.mark.needs("nginx", "taskset")
def test_lost_websockets_are_noticed() -> None:
    with Rig(Settings()) as rig:
        server = Nginx()
        part = rig.part(server, options=Options(websockets=True))
        with rig.fresh(server, part) as running, clients_of(rig, running) as clients:
            assert clients.opened() == COUNT
            running.stop()
            pause(0.2)
            assert clients.ask() == 0
            assert clients.load(0.1, 1).broken == COUNT


@pytest.mark.needs("nginx", "taskset")
def test_a_refused_upgrade_opens_nothing() -> None:
    with Rig(Settings()) as rig, clients_of(rig, rig.shared(Nginx())) as clients:
        assert clients.opened() == 0
        assert clients.ask() == 0
