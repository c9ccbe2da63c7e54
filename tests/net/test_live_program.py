"""What a program becomes in a worker: each route with its handler, and bounds for new clients."""

from typing import cast

import pytest

from proxy.files.plan import FilesPlan
from proxy.net.file_handler import FileHandler
from proxy.net.live_program import LiveProgram
from proxy.net.pool import LivePool
from proxy.net.spool import SpoolBudget
from proxy.routing.route import Limits, ProxyPlan, Route
from tests.fakes.serving import Line, one_site


def test_routes_are_bound_to_those_who_serve_them() -> None:
    hop, files, gate = Route("/a/", proxy=ProxyPlan("app")), Route("/b/"), Route("/c/")
    files.files = FilesPlan("/nowhere")
    made = one_site(hop, files, gate, limits=Limits(header_size=1000, headers=10, target=100))
    live = LiveProgram(made, {"app": cast("LivePool", None)}, Line().service, SpoolBudget())
    assert hop.serve is not None
    assert isinstance(getattr(files.serve, "__self__", None), FileHandler)
    assert gate.serve is None, "its gates answer"
    assert tuple(live.head_limits) == (1000, 10, 100)


def test_a_route_whose_pool_is_missing_is_a_bug() -> None:
    made = one_site(Route("/", proxy=ProxyPlan("absent")))
    with pytest.raises(KeyError):
        LiveProgram(made, {}, Line().service, SpoolBudget())
