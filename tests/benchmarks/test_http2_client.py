import pytest

from benchmarks import http2_client
from benchmarks.client import Expected, WrongAnswerError
from benchmarks.rig import Rig, Settings
from benchmarks.servers.caddy import Caddy
from benchmarks.servers.haproxy import HAProxy
from benchmarks.servers.nginx import Nginx
from benchmarks.servers.pyproxy import PyProxy
from benchmarks.servers.server import Server
from benchmarks.stage import Options

SERVERS = [Nginx(), HAProxy(), Caddy(), PyProxy()]


@pytest.mark.needs("nginx", "haproxy", "caddy", "taskset")
@pytest.mark.parametrize("server", SERVERS, ids=lambda server: server.name)
def test_every_server_gives_right_answers_over_http_2(server: Server) -> None:
    with Rig(Settings()) as rig:
        port, certificate = rig.shared(server, Options(http2=True)).port, rig.stage.certificate
        for path in ("/small", "/small/any/path?page=1", "/10k", "/1m"):
            http2_client.check(port, Expected(path), certificate)
        with pytest.raises(WrongAnswerError, match="status 404"):
            http2_client.check(port, Expected("/absent"), certificate)


@pytest.mark.needs("nginx", "haproxy", "taskset")
def test_a_server_of_http_1_is_noticed() -> None:
    with Rig(Settings()) as rig:
        port = rig.shared(HAProxy()).port
        with pytest.raises(WrongAnswerError, match="not agreed on"):
            http2_client.check(port, Expected(), rig.stage.certificate)
