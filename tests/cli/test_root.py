import click
import pytest
from click.testing import CliRunner

from proxy.cli.root import COMMANDS, Commands, command


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_is_there_and_explains_itself(name: str) -> None:
    shown = CliRunner().invoke(command, [name, "--help"])
    assert shown.exit_code == 0
    # Its own first sentence is the one in the list.
    assert COMMANDS[name].split(" (")[0].rstrip(".").split(",")[0] in " ".join(shown.output.split())


def test_an_unknown_command_is_wrong_usage() -> None:
    assert isinstance(command, Commands)
    assert command.get_command(click.Context(command), "fork") is None
    done = CliRunner().invoke(command, ["fork"])
    assert done.exit_code == 2
