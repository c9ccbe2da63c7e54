"""What is measured, and the little arithmetic on it: medians, spreads, ratios."""

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Sample:
    """One round: the row's figure, how much went wrong, and what else was seen.

    `trouble` tells why there is no figure; a sample with errors or trouble counts for nothing.
    """

    figure: float
    errors: int = 0
    details: Mapping[str, float] = field(default_factory=dict)
    trouble: str = ""

    @property
    def valid(self) -> bool:
        """Whether the figure may be shown."""
        return not self.errors and not self.trouble


@dataclass(frozen=True, slots=True)
class Cell:
    """All rounds of one row on one server."""

    row: str
    server: str
    samples: Sequence[Sample]

    @property
    def valid(self) -> bool:
        """Whether every round went without an error."""
        return bool(self.samples) and all(sample.valid for sample in self.samples)

    @property
    def errors(self) -> int:
        """Errors of all rounds."""
        return sum(sample.errors for sample in self.samples)

    @property
    def trouble(self) -> str:
        """Why there is no figure; empty when there is one."""
        return next((sample.trouble for sample in self.samples if sample.trouble), "")

    @property
    def median(self) -> float:
        """The median of the figure over all rounds."""
        return statistics.median(sample.figure for sample in self.samples)

    @property
    def spread(self) -> tuple[float, float]:
        """The lowest and the highest figure."""
        figures = [sample.figure for sample in self.samples]
        return min(figures), max(figures)

    def detail(self, name: str) -> float | None:
        """The median of another value; None where a round did not measure it."""
        values = [sample.details[name] for sample in self.samples if name in sample.details]
        return statistics.median(values) if values else None


def ratio(cell: Cell, reference: Cell | None) -> float | None:
    """The reference's figure divided by the cell's: above 1 the cell's server needs less.

    None where either has no valid figure.
    """
    if reference is None or not reference.valid or not cell.valid or not cell.median:
        return None
    return reference.median / cell.median


def find(cells: Sequence[Cell], row: str, server: str) -> Cell | None:
    """The cell of a row and a server."""
    return next((cell for cell in cells if (cell.row, cell.server) == (row, server)), None)
