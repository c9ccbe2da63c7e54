"""The tables of a run, as Markdown, which reads well in a terminal too."""

from collections.abc import Sequence

from benchmarks.figures import Cell, find, ratio
from benchmarks.rows import Row

REFERENCE = "nginx"
NONE = "-"
DETAILS = (
    ("cpu_us", "CPU µs", 1),
    ("rps", "req/s", 0),
    ("p50_ms", "p50 ms", 2),
    ("p99_ms", "p99 ms", 2),
    ("faults", "minor faults", 3),
    ("pss_mb", "memory MB", 1),
)


def main_table(rows: Sequence[Row], servers: Sequence[str], cells: Sequence[Cell]) -> str:
    """One line a row: each server's median, and nginx's divided by that of each pyproxy."""
    ours = [name for name in servers if name.startswith("pyproxy")]
    compared = REFERENCE in servers
    head = ["work", "unit", *servers]
    if compared:
        head += [f"nginx / {name}" for name in ours] + ["reach, aim"]
    lines = []
    for row in rows:
        line = [row.title, row.unit, *(shown(find(cells, row.key, name)) for name in servers)]
        if compared:
            reference = find(cells, row.key, REFERENCE)
            line += [shown_ratio(row, find(cells, row.key, name), reference) for name in ours]
            line.append(shown_aim(row))
        lines.append(line)
    return markdown(head, lines)


def detail_table(rows: Sequence[Row], cells: Sequence[Cell]) -> str:
    """One line for each row and server with everything else that was seen."""
    lines = [
        [row.title, *detail_line(cell)] for row in rows for cell in cells if cell.row == row.key
    ]
    return markdown(
        ["work", "server", *(title for _, title, _ in DETAILS), "errors", "also"], lines
    )


def detail_line(cell: Cell) -> list[str]:
    """A cell's server, known details, errors, and the details that only its row has."""
    known = {name for name, _, _ in DETAILS}
    names = {name for sample in cell.samples for name in sample.details}
    also = [f"{name}={number(cell.detail(name), 1)}" for name in sorted(names - known)]
    values = [number(cell.detail(name), digits) for name, _, digits in DETAILS]
    errors = "failed" if cell.trouble else str(cell.errors)
    return [cell.server, *values, errors, " ".join(also)]


def troubles(rows: Sequence[Row], cells: Sequence[Cell]) -> str:
    """Why cells have no figure, one paragraph each; empty when all have one."""
    titles = {row.key: row.title for row in rows}
    return "\n\n".join(
        f"{cell.server}, {titles[cell.row]}: {cell.trouble}" for cell in cells if cell.trouble
    )


def shown(cell: Cell | None) -> str:
    """A median with its spread; a cell with errors shows them and no figure."""
    if cell is None:
        return NONE
    if cell.trouble:
        return "failed"
    if not cell.valid:
        return f"invalid: {cell.errors} errors"
    low, high = cell.spread
    between = f" ({figure(low)} to {figure(high)})" if len(cell.samples) > 1 else ""
    return figure(cell.median) + between


def shown_ratio(row: Row, cell: Cell | None, reference: Cell | None) -> str:
    """The ratio to nginx, where the row has one."""
    if not row.compared or cell is None:
        return NONE
    return number(ratio(cell, reference), 2)


def shown_aim(row: Row) -> str:
    """What a row is to reach first, and to aim for."""
    return f"{number(row.first, 2)}, {number(row.aim, 2)}" if row.first else NONE


def figure(value: float) -> str:
    """A figure with as many digits as it deserves."""
    return f"{value:.0f}" if value >= 100 else f"{value:.1f}" if value >= 10 else f"{value:.2f}"


def number(value: float | None, digits: int) -> str:
    """A number, or a dash where there is none."""
    return NONE if value is None else f"{value:,.{digits}f}"


def markdown(head: Sequence[str], lines: Sequence[Sequence[str]]) -> str:
    """A Markdown table whose columns line up: the first to the left, the others to the right."""
    cells = [
        [cell.replace("|", "/").replace("\n", " ") for cell in line] for line in (head, *lines)
    ]
    widths = [max(len(line[column]) for line in cells) for column in range(len(head))]
    rule = [
        "-" * width if not column else "-" * (width - 1) + ":"
        for column, width in enumerate(widths)
    ]
    return "\n".join(
        "| "
        + " | ".join(
            cell.rjust(width) if column else cell.ljust(width)
            for column, (cell, width) in enumerate(zip(line, widths, strict=True))
        )
        + " |"
        for line in (cells[0], rule, *cells[1:])
    )
