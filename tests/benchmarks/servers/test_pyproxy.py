from dataclasses import replace
from pathlib import Path

import pytest

from benchmarks.servers.pyproxy import PyProxy
from benchmarks.stage import Options, Part, Policies, Stage, make_certificate, split_cores
from proxy.settings.load import load


@pytest.fixture
def part(tmp_path: Path) -> Part:
    certificate, key = make_certificate(tmp_path)
    stage = Stage(tmp_path, certificate, key, 8080, split_cores())
    options = Options(keep_alive=300, hold=10, body=4 << 30, generation=2)
    return Part(stage, tmp_path, 8443, workers=2, cores=frozenset({0}), options=options)


def test_the_configuration_is_one_that_the_proxy_takes(part: Part) -> None:
    command = PyProxy().prepare(part)
    settings = load(command[-1], {})
    assert settings.workers == part.workers
    assert settings.limits.body == 4 << 30
    assert settings.timeouts.keep_alive == 300


@pytest.mark.parametrize("policies", Policies)
@pytest.mark.parametrize("files", [False, True])
def test_so_it_is_with_all_policies(part: Part, policies: Policies, *, files: bool) -> None:
    options = Options(policies=policies, files=files, rate=7)
    settings = load(PyProxy().prepare(replace(part, options=options))[-1], {})
    (site,) = settings.sites
    limits = {name for route in site.routes for name in route.rate_limit or ()}
    assert limits == set(settings.rate_limits)
    assert limits == ({"clients"} if policies is Policies.EVERY else set())
    assert any(route.files for route in site.routes) is files


def test_with_http_2_and_websockets_no_limit_is_in_the_way(part: Part) -> None:
    options = Options(http2=True, websockets=True)
    settings = load(PyProxy().prepare(replace(part, options=options))[-1], {})
    assert settings.upstreams["origin"].max_connections == options.pool
    assert not settings.limits.websockets_per_ip


def test_a_reload_is_a_command_on_the_same_file(part: Part) -> None:
    serve, again = PyProxy().prepare(part), PyProxy().reload_command(part)
    assert again[-3:] == ["reload", *serve[-2:]]
