import sys
from pathlib import Path

import pytest

from benchmarks.servers import catalogue


def test_what_is_compared_unless_told_otherwise_is_known() -> None:
    assert set(catalogue.DEFAULT) <= set(catalogue.all_servers())


def test_another_checkout_runs_under_its_own_interpreter(tmp_path: Path) -> None:
    python = tmp_path / ".venv" / "bin" / "python"
    python.parent.mkdir(parents=True)
    python.symlink_to(sys.executable)
    server = catalogue.other_trees((f"before={tmp_path}",))["before"]
    assert server.name == "pyproxy before"
    assert server.version_command()[0] == str(python)
    assert server.folder(None) == tmp_path


def test_a_checkout_without_one_runs_under_this(tmp_path: Path) -> None:
    server = catalogue.other_trees((f"before={tmp_path}",))["before"]
    assert server.version_command()[0] == sys.executable


def test_another_interpreter_runs_this_checkout() -> None:
    server = catalogue.other_pythons(("old=/opt/python3.11",))["old"]
    assert server.version_command()[0] == "/opt/python3.11"
    assert (server.folder(None) / "benchmarks").is_dir()


@pytest.mark.parametrize("word", ["before", "=path", "name="])
def test_a_name_and_a_path_are_wanted(word: str) -> None:
    with pytest.raises(ValueError, match="NAME=PATH"):
        catalogue.other_trees((word,))
