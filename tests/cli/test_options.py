from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from proxy.cli import options
from proxy.cli.options import config_option


@click.command
@config_option
def show(config: str) -> None:
    click.echo(config)


@pytest.fixture
def places(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder to be in, and a place further away."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("PYPROXY_CONFIG", raising=False)
    monkeypatch.setattr(options, "PLACES", (Path("proxy.yaml"), tmp_path / "etc" / "proxy.yaml"))
    (tmp_path / "etc").mkdir()
    return tmp_path


def test_the_places_are_tried_in_turn(places: Path) -> None:
    done = CliRunner().invoke(show, [])
    assert done.exit_code == 2
    assert "neither ./proxy.yaml nor" in done.output
    (places / "etc" / "proxy.yaml").touch()
    assert CliRunner().invoke(show, []).output == f"{places / 'etc' / 'proxy.yaml'}\n"
    (places / "proxy.yaml").touch()
    assert CliRunner().invoke(show, []).output == "proxy.yaml\n"
    variable = {"PYPROXY_CONFIG": "elsewhere.yaml"}
    assert CliRunner().invoke(show, [], env=variable).output == "elsewhere.yaml\n"
    assert CliRunner().invoke(show, ["-c", "x.yaml"], env=variable).output == "x.yaml\n"
