"""The plot of a run: for each row one panel of horizontal bars, written as SVG by hand."""

from collections.abc import Sequence
from html import escape

from benchmarks.figures import Cell, find
from benchmarks.report import figure
from benchmarks.rows import Row

_WIDTH = 860
_NAMES = 150
_BARS = 520
_BAR = 16
_GAP = 4
_TITLE = 26
_COLOURS = {"nginx": "#2f7d4f", "HAProxy": "#5b6abf", "Caddy": "#b0793a"}
_OURS = "#c0392b"
_STYLE = (
    "text{font:13px system-ui,sans-serif;fill:#222}"
    ".title{font-weight:600}.note{fill:#666;font-size:12px}"
    "@media(prefers-color-scheme:dark){text{fill:#ddd}.note{fill:#999}}"
)


def svg(rows: Sequence[Row], servers: Sequence[str], cells: Sequence[Cell], note: str) -> str:
    """Draw every row; bars are scaled within their own row, thin lines show the spread."""
    parts = [text(10, 22, "pyproxy beside other proxies", "title"), text(10, 42, note, "note")]
    top = 60
    for row in rows:
        parts += panel(row, servers, cells, top)
        top += _TITLE + len(servers) * (_BAR + _GAP) + 14
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{_WIDTH}" height="{top}" '
        f'viewBox="0 0 {_WIDTH} {top}" role="img"><style>{_STYLE}</style>'
        + "".join(parts)
        + "</svg>\n"
    )


def panel(row: Row, servers: Sequence[str], cells: Sequence[Cell], top: int) -> list[str]:
    """One row: its title and a bar for each server."""
    better = "less is better" if row.compared else "more is better"
    parts = [text(10, top + 16, f"{row.title}, {row.unit} ({better})", "title")]
    known = [(name, find(cells, row.key, name)) for name in servers]
    widest = max((cell.spread[1] for _, cell in known if cell and cell.valid), default=0.0)
    for index, (name, cell) in enumerate(known):
        parts += bar(name, cell, widest, top + _TITLE + index * (_BAR + _GAP))
    return parts


def bar(name: str, cell: Cell | None, widest: float, top: int) -> list[str]:
    """One server's bar with its figure; words in its place where there is no figure."""
    parts = [text(_NAMES - 8, top + 12, name, anchor="end")]
    if cell is None or not cell.valid or not widest:
        return [*parts, text(_NAMES + 4, top + 12, "no valid figure", "note")]
    length, low, high = (_BARS * value / widest for value in (cell.median, *cell.spread))
    middle = top + _BAR / 2
    colour = _COLOURS.get(name, _OURS)
    return [
        *parts,
        f'<rect x="{_NAMES}" y="{top}" width="{length:.1f}" height="{_BAR}" fill="{colour}"/>',
        f'<path d="M{_NAMES + low:.1f} {middle}H{_NAMES + high:.1f}" stroke="#111"/>',
        text(round(_NAMES + max(length, high) + 6), top + 12, figure(cell.median)),
    ]


def text(left: int, base: int, words: str, style: str = "", anchor: str = "start") -> str:
    """A line of text."""
    kind = f' class="{style}"' if style else ""
    return f'<text x="{left}" y="{base}" text-anchor="{anchor}"{kind}>{escape(words)}</text>'
