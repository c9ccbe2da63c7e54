import json
import sys
from pathlib import Path

from benchmarks import hotspots
from benchmarks.sampled import SAVE_EVERY, Sampler
from benchmarks.servers.nginx import Nginx
from benchmarks.servers.pyproxy import PyProxy

REPORT = """\
# To display the perf.data header info, please use --header/--header-only options.
# Overhead  Symbol                                            IPC   [IPC Coverage]

    26.27%  [.] _PyObject_Free                                -      -
     0.78%  [k] do_syscall_64-x                               -      -
"""


def test_comments_and_empty_columns_are_left_out() -> None:
    assert hotspots.shares(REPORT.splitlines()) == [
        "    26.27%  [.] _PyObject_Free",
        "     0.78%  [k] do_syscall_64-x",
    ]


def test_functions_are_ranked_by_their_share() -> None:
    lines = hotspots.ranked({"b": 5, "c": 10, "a": 5, "main": 20}, samples=20)
    assert [line.split() for line in lines] == [["50.00%", "c"], ["25.00%", "a"], ["25.00%", "b"]]


def test_the_busiest_process_is_shown(tmp_path: Path) -> None:
    (tmp_path / "samples.1").write_text('{"samples": 2, "own": {"idle": 2}, "whole": {"idle": 2}}')
    (tmp_path / "samples.2").write_text('{"samples": 4, "own": {"f": 2}, "whole": {"f": 3}}')
    own, whole = hotspots.python_shares(tmp_path / "samples").values()
    assert own == ["    50.00%  f"]
    assert whole == ["    75.00%  f"]


def test_without_samples_there_is_nothing_to_show(tmp_path: Path) -> None:
    (tmp_path / "samples.1").touch()
    assert hotspots.python_shares(tmp_path / "samples") == {}


def test_only_pyproxy_is_sampled() -> None:
    nginx = Nginx()
    assert hotspots.sampled(nginx) is nginx
    assert hotspots.sampled(PyProxy("pyproxy before")).name == "pyproxy before"


def deep(sampler: Sampler, depth: int) -> None:
    if depth:
        deep(sampler, depth - 1)
    else:
        sampler.tick(0, sys._getframe())


def test_recursion_counts_once_and_counts_are_saved_now_and_then(tmp_path: Path) -> None:
    path = tmp_path / "samples.7"
    with path.open("w") as file:
        sampler = Sampler(file)
        for _ in range(2 * SAVE_EVERY + 1):
            deep(sampler, 3)
    counts = json.loads(path.read_text())
    (running,) = counts["own"]
    assert running.endswith(" deep")
    assert counts["samples"] == counts["own"][running] == counts["whole"][running] == 2 * SAVE_EVERY
