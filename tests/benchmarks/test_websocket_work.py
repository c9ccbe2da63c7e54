import pytest

from benchmarks.client import WrongAnswerError
from benchmarks.rig import Rig, Settings
from benchmarks.servers.nginx import Nginx
from benchmarks.stage import Part
from benchmarks.websocket_work import Echoes, IdleWebSockets

SETTINGS = Settings(seconds=1, idle_connections=10)
TOOLS = pytest.mark.needs("nginx", "taskset")


class Deaf(Nginx):
    """nginx that does not pass upgrades on."""

    def prepare(self, part: Part) -> list[str]:
        command = super().prepare(part)
        path = part.folder / "nginx.conf"
        path.write_text(path.read_text().replace("Upgrade $http_upgrade", 'Upgrade ""'))
        return command


@TOOLS
def test_echoes_are_counted_without_an_error() -> None:
    with Rig(SETTINGS) as rig:
        work = Echoes(connections=2, window=4)
        work.prepare(rig, Nginx())
        sample = work.sample(rig, Nginx())
    assert sample.valid
    assert sample.figure > 0
    assert sample.details["requests"]


@TOOLS
def test_a_server_that_passes_no_websocket_has_no_figure() -> None:
    with Rig(SETTINGS) as rig, pytest.raises(WrongAnswerError, match="WebSocket"):
        Echoes().prepare(rig, Deaf())


@TOOLS
@pytest.mark.parametrize(("server", "errors"), [(Nginx(), 0), (Deaf(), 3 * 10 + 2 * 2)])
def test_idle_websockets_must_all_be_there(server: Nginx, errors: int) -> None:
    with Rig(SETTINGS) as rig:
        sample = IdleWebSockets(warm=2).sample(rig, server)
    assert sample.errors == errors
