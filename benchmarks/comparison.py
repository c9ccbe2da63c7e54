"""One run: every row, round after round, the servers taking turns within each round."""

from collections.abc import Callable, Sequence

from benchmarks.client import WrongAnswerError
from benchmarks.figures import Cell, Sample
from benchmarks.load import LoadError
from benchmarks.rig import Rig
from benchmarks.rows import Row
from benchmarks.running import DidNotStartError
from benchmarks.servers.server import Server

TROUBLES = (DidNotStartError, WrongAnswerError, LoadError, OSError)


def compare(
    rig: Rig, rows: Sequence[Row], servers: Sequence[Server], tell: Callable[[str], None]
) -> list[Cell]:
    """Run every row on every server; a server in trouble loses that row only.

    There is no cell for a server that lacks what a row needs.
    """
    cells = []
    for row in rows:
        tell(row.title)
        able = [server for server in servers if not row.work.needs & server.lacks]
        ran = run_row(rig, row, able)
        for cell in ran:
            tell(f"  {cell.server:24} {summary(cell)}")
        cells.extend(ran)
    return cells


def run_row(rig: Rig, row: Row, servers: Sequence[Server]) -> list[Cell]:
    """Prepare every server, then A B C D A B C D …, so that a slow moment hits all alike."""
    samples: dict[str, list[Sample]] = {server.name: [] for server in servers}
    for server in servers:
        try:
            row.work.prepare(rig, server)
        except TROUBLES as error:
            samples[server.name].append(Sample(0.0, trouble=str(error)))
    for _ in range(min(rig.settings.rounds, row.work.most_rounds)):
        for server in servers:
            if not any(sample.trouble for sample in samples[server.name]):
                samples[server.name].append(one_sample(rig, row, server))
    return [Cell(row.key, server.name, samples[server.name]) for server in servers]


def one_sample(rig: Rig, row: Row, server: Server) -> Sample:
    """One round of one row on one server; what goes wrong becomes part of the sample."""
    try:
        return row.work.sample(rig, server)
    except TROUBLES as error:
        return Sample(0.0, trouble=str(error))


def summary(cell: Cell) -> str:
    """One line about a cell, for whoever watches."""
    if cell.trouble:
        return cell.trouble
    low, high = cell.spread
    errors = f"  {cell.errors} ERRORS" if cell.errors else ""
    return f"{cell.median:10.2f}  ({low:.2f} to {high:.2f}){errors}"
