from collections.abc import Iterator

import pytest

from benchmarks.comparison import compare, run_row
from benchmarks.figures import Sample
from benchmarks.load import LoadError
from benchmarks.rig import Rig, Settings
from benchmarks.rows import Row
from benchmarks.servers.nginx import Nginx
from benchmarks.servers.server import Feature, Server
from benchmarks.work import Work

pytestmark = pytest.mark.needs("nginx", "taskset")
ROUNDS = 3


class Diary(Work):
    """Writes down whose turn it was; servers named `broken` fail in their second turn."""

    def __init__(self, most_rounds: int = 99) -> None:
        self.most_rounds = most_rounds
        self.turns: list[str] = []

    def prepare(self, _rig: Rig, server: Server) -> None:
        if server.name == "absent":
            raise OSError("not installed")

    def sample(self, _rig: Rig, server: Server) -> Sample:
        self.turns.append(server.name)
        if server.name == "broken" and self.turns.count("broken") == 2:
            raise LoadError("gone")
        return Sample(float(len(self.turns)))


class NeedsFiles(Diary):
    """Work that not every server can do."""

    @property
    def needs(self) -> frozenset[Feature]:
        return frozenset({Feature.FILES})


class WithoutFiles(Nginx):
    """nginx, were it like others."""

    lacks = frozenset({Feature.FILES})


@pytest.fixture
def rig() -> Iterator[Rig]:
    with Rig(Settings(rounds=ROUNDS)) as rig:
        yield rig


def test_servers_take_turns_within_each_round(rig: Rig) -> None:
    work = Diary()
    run_row(rig, Row("key", "title", "unit", work), [Nginx("a"), Nginx("b")])
    assert work.turns == ["a", "b"] * ROUNDS


def test_slow_work_has_fewer_rounds(rig: Rig) -> None:
    work = Diary(most_rounds=1)
    run_row(rig, Row("key", "title", "unit", work), [Nginx("a")])
    assert work.turns == ["a"]


def test_a_server_in_trouble_loses_its_row_and_disturbs_no_other(rig: Rig) -> None:
    work = Diary()
    servers = [Nginx("absent"), Nginx("broken"), Nginx("a")]
    absent, broken, fine = run_row(rig, Row("key", "title", "unit", work), servers)
    assert (absent.trouble, broken.trouble, fine.trouble) == ("not installed", "gone", "")
    assert (absent.valid, broken.valid, fine.valid) == (False, False, True)
    assert work.turns.count("broken") == 2
    assert work.turns.count("a") == ROUNDS


def test_a_server_that_lacks_what_a_row_needs_is_left_out_of_it(rig: Rig) -> None:
    told: list[str] = []
    rows = [Row("files", "of files", "unit", NeedsFiles()), Row("any", "any", "unit", Diary())]
    cells = compare(rig, rows, [WithoutFiles("without"), Nginx("with")], told.append)
    found = [(cell.row, cell.server) for cell in cells]
    assert found == [("files", "with"), ("any", "without"), ("any", "with")]
    assert len(told) == len(rows) + len(cells)
