from benchmarks import hotspots
from benchmarks.servers.nginx import Nginx
from benchmarks.servers.pyproxy import PyProxy

REPORT = """\
# To display the perf.data header info, please use --header/--header-only options.
# Overhead  Symbol                                            IPC   [IPC Coverage]

    26.27%  [.] _PyObject_Free                                -      -
     0.78%  [.] py::inner.<locals>.<genexpr>:/tmp/loop-1.py   -      -
"""


def test_comments_and_empty_columns_are_left_out() -> None:
    assert hotspots.shares(REPORT.splitlines()) == [
        "    26.27%  [.] _PyObject_Free",
        "     0.78%  [.] py::inner.<locals>.<genexpr>:/tmp/loop-1.py",
    ]


def test_only_python_is_told_to_show_itself() -> None:
    nginx, ours = Nginx(), PyProxy("pyproxy before")
    assert hotspots.traced(nginx) is nginx
    traced = hotspots.traced(ours)
    assert traced.name == "pyproxy before"
    assert traced.environment() == {**ours.environment(), "PYTHONPERFSUPPORT": "1"}
