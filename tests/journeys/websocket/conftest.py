"""Two application servers, a scripted upstream and one proxy for each module of these journeys."""

from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from tests.journeys.apps.running import daphne, proxying, uvicorn
from tests.journeys.apps.scripted import ScriptedUpstream
from tests.journeys.running import RunningProxy
from tests.journeys.websocket.opening import CONFIG


@pytest.fixture(scope="module")
def proxy(
    _upstream: ScriptedUpstream, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[RunningProxy]:
    folder = tmp_path_factory.mktemp("websocket")
    with ExitStack() as stack:
        ports = {
            start.__name__.upper(): stack.enter_context(start(folder)).port
            for start in (uvicorn, daphne)
        }
        yield stack.enter_context(proxying(CONFIG, folder, SCRIPTED=_upstream.port, **ports))


@pytest.fixture(params=["uvicorn", "daphne"])
def server(request: pytest.FixtureRequest) -> str:
    name: str = request.param
    return name
