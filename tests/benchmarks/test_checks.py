from pathlib import Path

import pytest

from benchmarks import checks
from benchmarks.checks import APART, CHECKS, Bench, Check
from proxy.errors import ProxyError
from proxy.exchange.exchange import Exchange
from proxy.policy.part import Part
from proxy.routing.program import Program
from proxy.routing.route import Route


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> Program:
    folder: Path = tmp_path_factory.mktemp("checks")
    return checks.compiled(folder)


@pytest.fixture(autouse=True)
def few_calls(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checks, "CALLS", 200)
    monkeypatch.setattr(checks, "ROUNDS", 1)
    monkeypatch.setattr(checks, "MANY", 300)


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.title)
def test_each_check_measures_what_lets_requests_through(program: Program, check: Check) -> None:
    few = Check(check.title, check.path, check.call, min(check.clients, 300))
    assert checks.measured(Bench(), program, few) > 0


def test_what_refuses_is_not_measured(program: Program) -> None:
    def refuse(_: Exchange) -> Part:
        return Part("no")

    with pytest.raises(LookupError, match="not let through"):
        checks.measured(Bench(), program, Check("", "/limited/", lambda _: refuse))
    with pytest.raises(LookupError, match="no route for /absent/"):
        checks.measured(Bench(), program, Check("", "/absent/", checks.gate))
    with pytest.raises(LookupError, match="has 0 gates"):
        checks.measured(Bench(), program, Check("", "/cached/", checks.gate))
    with pytest.raises(LookupError, match="encodes nothing"):
        checks.measured(Bench(), program, Check("", "/limited/", checks.decision("text/css", 9)))


def test_the_clients_are_in_the_networks_and_the_password_is_right(program: Program) -> None:
    site = program.sites.find("localhost")
    assert site is not None
    for path in ("/allowed/", "/guarded/", "/staff/"):
        (asking,) = checks.exchanges(path, 1)
        route = site.routes.find(asking.head)
        assert isinstance(route, Route)
        guard = checks.gate(route)
        checks.settle(guard, asking)
        asking.address = "192.0.2.1"
        asking.head.block = b""
        with pytest.raises(ProxyError, match=r"no access|no credentials"):
            guard(asking)


def test_time_goes_on_from_call_to_call_and_everybody_has_a_turn() -> None:
    seen: list[tuple[str, float]] = []
    bench, asking = Bench(), checks.exchanges("/limited/", 3)

    def note(exchange: Exchange) -> None:
        seen.append((exchange.address, exchange.started))

    bench.timed(note, asking, 2)
    bench.timed(None, asking, 3)
    bench.timed(note, asking, 4)
    addresses, times = zip(*seen, strict=True)
    assert [address[-1] for address in addresses] == [*"123", *"1231"]
    assert times[6] - times[0] == pytest.approx(9 * APART)
