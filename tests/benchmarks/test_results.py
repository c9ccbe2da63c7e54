import json
from pathlib import Path

import pytest

from benchmarks import results
from benchmarks.results import Run
from benchmarks.rig import Settings
from benchmarks.rows import chosen
from tests.benchmarks.samples import cell

MACHINE = {
    "cpu": "Model Q",
    "cpus": "2",
    "kernel": "6.1",
    "python": "3.13.0",
    "openssl": "OpenSSL 3.0",
    "load_before": "0.10",
}


@pytest.fixture
def run() -> Run:
    cells = [
        cell("small", "nginx", 20.0, 22.0, 21.0),
        cell("small", "pyproxy", 28.0, 28.0, 28.0),
        cell("1m", "nginx", 700.0),
        cell("1m", "pyproxy", 650.0, errors=2),
    ]
    versions = {"nginx": "1.22.1", "pyproxy": "0.1"}
    return Run(MACHINE, versions, Settings(), chosen("small,1m"), cells)


def test_three_files_are_written(run: Run, tmp_path: Path) -> None:
    paths = results.write(run, tmp_path / "new" / "folder")
    assert [path.name for path in paths] == ["results.json", "results.md", "results.svg"]
    assert all(path.stat().st_size for path in paths)


def test_json_holds_every_sample_and_the_ratio(run: Run) -> None:
    document = json.loads(json.dumps(results.as_json(run)))
    small, large = document["rows"]
    assert small["servers"]["pyproxy"]["ratio_to_nginx"] == 0.75
    assert [s["figure"] for s in small["servers"]["nginx"]["samples"]] == [20.0, 22.0, 21.0]
    assert large["servers"]["pyproxy"]["median"] is None
    assert large["servers"]["pyproxy"]["errors"] == 2
    assert document["settings"]["rounds"] == Settings().rounds


def test_markdown_says_on_what_it_was_measured(run: Run) -> None:
    text = results.as_markdown(run)
    for words in ("Model Q", "nginx 1.22.1, pyproxy 0.1", "OpenSSL 3.0", "invalid: 2 errors"):
        assert words in text
