"""The other proxies answer the check that every row makes: they do the work they are asked."""

import pytest

from benchmarks import bodies, client
from benchmarks.client import Expected, WrongAnswerError
from benchmarks.rig import Rig, Settings
from benchmarks.running import DidNotStartError
from benchmarks.servers.caddy import Caddy
from benchmarks.servers.haproxy import HAProxy
from benchmarks.servers.nginx import Nginx
from benchmarks.servers.pyproxy import PyProxy
from benchmarks.servers.server import Feature, Server
from benchmarks.stage import SECURITY_HEADERS, Options, Part, Policies

OTHERS = [Nginx(), HAProxy(), Caddy()]
ALL = [*OTHERS, PyProxy()]
TOOLS = pytest.mark.needs("nginx", "haproxy", "caddy", "taskset")
each = pytest.mark.parametrize("server", ALL, ids=lambda server: server.name)


@TOOLS
@pytest.mark.parametrize("server", OTHERS, ids=lambda server: server.name)
def test_right_bodies_all_headers_and_tls_1_3(server: Server) -> None:
    with Rig(Settings()) as rig:
        port = rig.shared(server).port
        for path in ("/small", "/10k", "/1m"):
            client.check(port, Expected(path), rig.context)
        with pytest.raises(WrongAnswerError, match="status 404"):
            client.check(port, Expected("/absent"), rig.context)


@TOOLS
@each
def test_json_comes_with_gzip_to_who_takes_it_and_to_nobody_else(server: Server) -> None:
    with Rig(Settings()) as rig:
        port = rig.shared(server).port
        for path in ("/json/10k.json", "/json/100k.json"):
            client.check(port, Expected(path, gzip=True), rig.context)
            client.check(port, Expected(path), rig.context)
        with pytest.raises(WrongAnswerError, match="coding none"):
            client.check(port, Expected("/10k", gzip=True), rig.context)


@TOOLS
@pytest.mark.parametrize(
    "server",
    [server for server in ALL if Feature.FILES not in server.lacks],
    ids=lambda server: server.name,
)
def test_static_files_come_from_the_folder(server: Server) -> None:
    with Rig(Settings()) as rig:
        port = rig.shared(server, Options(files=True)).port
        for path in bodies.STATIC:
            client.check(port, Expected(path), rig.context)
            reply = client.ask(port, path, rig.context)
            assert reply.headers["content-type"] == "image/webp"
            assert "etag" in reply.headers


@TOOLS
@each
def test_without_policies_nothing_is_added(server: Server) -> None:
    with Rig(Settings()) as rig:
        running = rig.shared(server, Options(policies=Policies.NONE))
        headers = client.ask(running.port, "/small", rig.context).headers
        assert not {name.lower() for name in SECURITY_HEADERS} & set(headers)
        assert not running.output.with_name("access.log").exists()
        assert running.output.read_text() == ""


@TOOLS
@pytest.mark.parametrize(
    "server",
    [server for server in ALL if Feature.RATE_LIMITS not in server.lacks],
    ids=lambda server: server.name,
)
def test_with_every_policy_clients_are_limited_and_answers_compressed(server: Server) -> None:
    with Rig(Settings()) as rig:
        every = rig.shared(server, Options(policies=Policies.EVERY))
        client.check(every.port, Expected("/small/any/path"), rig.context)
        client.check(every.port, Expected("/json/10k.json", gzip=True), rig.context)
        limited = rig.shared(server, Options(policies=Policies.EVERY, rate=1, burst=4))
        said = [client.ask(limited.port, "/small", rig.context).status for _ in range(20)]
        assert said[0] == 200
        assert said[-1] == 429


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
