from xml.etree import ElementTree as ET

from benchmarks import plot
from benchmarks.rows import ROWS, chosen
from tests.benchmarks.samples import cell

SVG = "{http://www.w3.org/2000/svg}"


def bars(drawing: ET.Element) -> list[float]:
    return [float(bar.attrib["width"]) for bar in drawing.iter(f"{SVG}rect")]


def words(drawing: ET.Element) -> list[str]:
    return [text.text or "" for text in drawing.iter(f"{SVG}text")]


def test_bars_are_in_proportion() -> None:
    cells = [cell("small", "nginx", 20.0), cell("small", "pyproxy", 10.0)]
    drawing = ET.fromstring(plot.svg(chosen("small"), ["nginx", "pyproxy"], cells, "note"))  # noqa: S314 - our own text
    first, second = bars(drawing)
    assert first == 2 * second
    assert {"20.0", "10.0", "nginx", "pyproxy"} <= set(words(drawing))


def test_no_bar_for_what_is_invalid_or_missing() -> None:
    cells = [cell("small", "nginx", 20.0), cell("small", "pyproxy", 10.0, errors=1)]
    servers = ["nginx", "pyproxy", "Caddy"]
    drawing = ET.fromstring(plot.svg(chosen("small"), servers, cells, "note"))  # noqa: S314 - our own text
    assert len(bars(drawing)) == 1
    assert words(drawing).count("no valid figure") == 2


def test_names_are_escaped() -> None:
    drawing = plot.svg(chosen("small"), ["<a & b>"], [], "1 < 2")
    assert "&lt;a &amp; b&gt;" in drawing
    ET.fromstring(drawing)  # noqa: S314 - our own text


def test_everything_lies_within_the_picture() -> None:
    servers = ["nginx", "HAProxy", "Caddy", "pyproxy"]
    cells = [cell(row.key, name, 5.0, 9.0) for row in ROWS for name in servers]
    drawing = ET.fromstring(plot.svg(ROWS, servers, cells, "note"))  # noqa: S314 - our own text
    height = float(drawing.attrib["height"])
    assert all(float(text.attrib["y"]) < height for text in drawing.iter(f"{SVG}text"))
    assert len(bars(drawing)) == len(ROWS) * len(servers)
