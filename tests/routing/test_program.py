from proxy.routing.program import Program
from proxy.routing.route import Limits, LogPlan, Timeouts, TlsPlan, TlsSite
from proxy.routing.sites import Site, SiteTable
from proxy.routing.table import RouteTable


def test_all_sites_are_listed_once_however_many_names_they_have() -> None:
    one, other = Site("one", RouteTable({}, {})), Site("other", RouteTable({}, {}))
    table = SiteTable({"a.example": one, "b.example": one}, {".a.example": other}, other)
    program = Program((), table, {}, TlsPlan(), Limits(), Timeouts(), LogPlan())
    assert program.all_sites() == (one, other)


def test_a_program_never_shows_a_key() -> None:
    tls = TlsPlan(sites=(TlsSite(("a.example",), ((b"the chain", b"the key"),)),))
    program = Program((), SiteTable({}, {}), {}, tls, Limits(), Timeouts(), LogPlan())
    assert "the key" not in repr(program)
    assert "a.example" in repr(program)
