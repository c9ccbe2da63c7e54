"""Tables of plain text: columns as wide as what is in them."""

from collections.abc import Sequence

from proxy.observe.log_text import one_line


def table(rows: Sequence[Sequence[str]], *, indent: int = 0) -> str:
    """Return rows as lines; the first one is the heading. Columns that are empty are left out.

    What is in them may come from processes that meet the world: it disturbs no terminal.
    """
    if not rows:
        return ""
    shown = [[one_line(cell) for cell in row] for row in rows]
    columns = [column for column in zip(*shown, strict=True) if any(column[1:])]
    widths = [max(map(len, column)) for column in columns]
    lines = []
    for cells in zip(*columns, strict=True):
        line = "  ".join(cell.ljust(width) for cell, width in zip(cells, widths, strict=True))
        lines.append(" " * indent + line.rstrip())
    return "\n".join(lines)


def duration(seconds: float) -> str:
    """Return a time for people: "42s", "3m 20s", "5h 10m", "12d 4h"."""
    whole = int(seconds)
    for unit, size, smaller, smaller_size in (
        ("d", 86400, "h", 3600),
        ("h", 3600, "m", 60),
        ("m", 60, "s", 1),
    ):
        if whole >= size:
            return f"{whole // size}{unit} {whole % size // smaller_size}{smaller}"
    return f"{whole}s"
