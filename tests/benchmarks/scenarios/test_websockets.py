import pytest

from benchmarks.rig import Rig, Settings
from benchmarks.scenarios.websockets import HeldWebSockets
from benchmarks.servers.pyproxy import PyProxy


@pytest.mark.needs("nginx", "taskset")
def test_websockets_outlive_reloads() -> None:
    with Rig(Settings()) as rig:
        outcome = HeldWebSockets(20).play(rig, PyProxy())
    assert outcome.passed, outcome
    assert outcome.figures["opened"] == outcome.figures["fewest that answered"] == 20
