"""What a run leaves behind: a JSON file with every sample, the tables, the plot."""

import dataclasses
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from benchmarks import plot, report
from benchmarks.figures import Cell, find, ratio
from benchmarks.rig import Settings
from benchmarks.rows import Row


@dataclasses.dataclass(frozen=True, slots=True)
class Run:
    """Everything about one run: where, with what, how, and what came of it."""

    machine: Mapping[str, str]
    versions: Mapping[str, str]
    settings: Settings
    rows: Sequence[Row]
    cells: Sequence[Cell]

    @property
    def servers(self) -> list[str]:
        """The servers' names in their order."""
        return list(self.versions)

    @property
    def note(self) -> str:
        """One line on machine and settings."""
        settings, machine = self.settings, self.machine
        return (
            f"{machine['cpu']}, {machine['cpus']} CPUs; {settings.rounds} rounds of "
            f"{settings.seconds} s, {settings.connections} connections; medians (lowest to highest)"
        )


def write(run: Run, folder: Path) -> list[Path]:
    """Write results.json, results.md and results.svg; return their paths."""
    folder.mkdir(parents=True, exist_ok=True)
    texts = {
        "results.json": json.dumps(as_json(run), indent=2) + "\n",
        "results.md": as_markdown(run),
        "results.svg": plot.svg(run.rows, run.servers, run.cells, run.note),
    }
    for name, text in texts.items():
        (folder / name).write_text(text)
    return [folder / name for name in texts]


def as_json(run: Run) -> dict[str, Any]:
    """Every sample, with medians, spreads and ratios beside it."""
    return {
        "machine": dict(run.machine),
        "versions": dict(run.versions),
        "settings": dataclasses.asdict(run.settings),
        "rows": [
            {
                "key": row.key,
                "title": row.title,
                "unit": row.unit,
                "reach": row.first,
                "aim": row.aim,
                "servers": {
                    cell.server: cell_as_json(row, cell, run.cells)
                    for cell in run.cells
                    if cell.row == row.key
                },
            }
            for row in run.rows
        ],
    }


def cell_as_json(row: Row, cell: Cell, cells: Sequence[Cell]) -> dict[str, Any]:
    """One row on one server; no median where an error makes it invalid."""
    reference = find(cells, row.key, report.REFERENCE) if row.compared else None
    return {
        "valid": cell.valid,
        "median": cell.median if cell.valid else None,
        "spread": list(cell.spread) if cell.valid else None,
        "ratio_to_nginx": ratio(cell, reference),
        "errors": cell.errors,
        "trouble": cell.trouble,
        "samples": [
            {"figure": sample.figure, "errors": sample.errors, **sample.details}
            for sample in cell.samples
        ],
    }


def as_markdown(run: Run) -> str:
    """The tables with what one must know to read them."""
    versions = ", ".join(f"{name} {version}".strip() for name, version in run.versions.items())
    machine = run.machine
    return "\n".join(
        [
            "# Figures",
            "",
            f"{run.note}.",
            f"{versions}; kernel {machine['kernel']}, {machine['openssl']}.",
            f"Python {machine['python']}; load average before: {machine['load_before']}.",
            "",
            report.main_table(run.rows, run.servers, run.cells),
            "",
            report.detail_table(run.rows, run.cells),
            "",
            *([report.troubles(run.rows, run.cells), ""] if any_trouble(run.cells) else []),
        ]
    )


def any_trouble(cells: Sequence[Cell]) -> bool:
    """Whether a cell has no figure."""
    return any(cell.trouble for cell in cells)
