"""Cells with given figures, for the tests of what is made of them."""

from benchmarks.figures import Cell, Sample


def cell(row: str, server: str, *figures: float, errors: int = 0, trouble: str = "") -> Cell:
    samples = [
        Sample(figure, errors, {"cpu_us": figure, "rps": 1e6 / figure}, trouble)
        for figure in figures
    ]
    return Cell(row, server, samples)
