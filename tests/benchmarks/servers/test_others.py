"""The other proxies answer the check that every row makes: they do the work they are asked."""

import pytest

from benchmarks import client
from benchmarks.client import WrongAnswerError
from benchmarks.rig import Rig, Settings
from benchmarks.running import DidNotStartError
from benchmarks.servers.caddy import Caddy
from benchmarks.servers.haproxy import HAProxy
from benchmarks.servers.nginx import FILES, SMALL, Nginx
from benchmarks.servers.server import Server
from benchmarks.stage import Part


@pytest.mark.needs("nginx", "haproxy", "caddy", "taskset")
@pytest.mark.parametrize("server", [Nginx(), HAProxy(), Caddy()], ids=lambda server: server.name)
def test_right_bodies_all_headers_and_tls_1_3(server: Server) -> None:
    with Rig(Settings()) as rig:
        running = rig.shared(server)
        for path, length in {"/small": SMALL, **FILES}.items():
            client.check(running.port, path, length, rig.context)
        with pytest.raises(WrongAnswerError, match="status 404"):
            client.check(running.port, "/absent", 1, rig.context)


class Misconfigured(Nginx):
    """nginx with a word in its file that it does not know."""

    def prepare(self, part: Part) -> list[str]:
        command = super().prepare(part)
        path = part.folder / "nginx.conf"
        path.write_text(path.read_text() + "nonsense;\n")
        return command


@pytest.mark.needs("nginx", "taskset")
def test_a_server_that_does_not_start_says_why() -> None:
    with Rig(Settings()) as rig, pytest.raises(DidNotStartError, match="nonsense"):
        rig.shared(Misconfigured())
