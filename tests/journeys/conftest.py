"""What every journey may ask for: the real command, running."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import pytest

from tests.journeys.apps.scripted import ScriptedUpstream, scripted
from tests.journeys.running import RunningProxy, StartProxy, launch, wait_until_ready
from tests.journeys.upstreams.server import Upstreams


@pytest.fixture
def start_proxy() -> Iterator[StartProxy]:
    """Start `pyproxy serve` on a configuration and wait until it serves; end it with the test.

    The text may use ${HTTP_PORT}, ${HTTPS_PORT} and ${STATE_DIR}. Where it says nothing about
    `listen`, `workers`, `state_dir` or `drain_timeout`, `running.DEFAULTS` do.
    """
    started: list[RunningProxy] = []

    def start(
        config_text: str,
        tmp_path: Path,
        *,
        environment: Mapping[str, str] | None = None,
        prefix: Sequence[str] = (),
        wait: bool = True,
    ) -> RunningProxy:
        proxy = launch(config_text, tmp_path, environment, prefix)
        started.append(proxy)
        if wait:
            wait_until_ready(proxy)
        return proxy

    yield start
    for proxy in started:
        proxy.end()


@pytest.fixture
def upstreams() -> Iterator[Upstreams]:
    """Make upstream servers, and end them with the test."""
    made = Upstreams()
    yield made
    made.close()


@pytest.fixture(scope="module")
def _upstream() -> Iterator[ScriptedUpstream]:
    """Run the scripted upstream of a module's journeys."""
    with scripted() as upstream:
        yield upstream


@pytest.fixture
def upstream(_upstream: ScriptedUpstream) -> ScriptedUpstream:
    """Return it as if nothing had been asked of it yet."""
    _upstream.begin()
    return _upstream
