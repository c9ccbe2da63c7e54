"""One proxy a test, between an application and the server that decides who gets to it."""

from pathlib import Path

import pytest

from tests.journeys.forward_auth.deciding import config, verdict
from tests.journeys.running import RunningProxy, StartProxy
from tests.journeys.upstreams.server import Upstream, Upstreams


@pytest.fixture
def app(upstreams: Upstreams) -> Upstream:
    return upstreams()


@pytest.fixture
def auth(upstreams: Upstreams) -> Upstream:
    return upstreams(verdict)


@pytest.fixture
def proxy(start_proxy: StartProxy, tmp_path: Path, app: Upstream, auth: Upstream) -> RunningProxy:
    return start_proxy(config(app, auth), tmp_path)
