import pytest

from benchmarks.idle_clients import IdleClients
from benchmarks.rig import Rig, Settings
from benchmarks.servers.nginx import Nginx

COUNT = 5


@pytest.mark.needs("nginx", "taskset")
def test_connections_are_held_and_their_loss_is_noticed() -> None:
    with Rig(Settings()) as rig:
        server = Nginx()
        part = rig.part(server)
        with (
            rig.fresh(server, part) as running,
            IdleClients(running.port, COUNT, rig.stage.certificate, part.cores) as clients,
        ):
            assert clients.opened() == COUNT
            assert clients.ask() == COUNT
            running.stop()
            assert clients.ask() == 0
